"""sbatch, squeue, scancel, srun and scontrol for one machine: `python fake_slurm.py PROGRAM ARGUMENTS`.

Batch scripts really run, as local processes; nodes are the loopback addresses 127.0.0.1, 127.0.0.2, …
What the real programs would refuse is refused here, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KNOWN = (
    *("job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "output", "error"),
    *("open-mode", "signal", "requeue", "export", "partition", "time", "account"),
)


def install(folder: Path) -> Path:
    """Make the programs in a folder, for PATH; their state is beside them."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in ("sbatch", "squeue", "scancel", "srun", "scontrol"):
        program = bin_folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__)} {folder} {name} "$@"\n')
        program.chmod(0o755)
    return bin_folder


class Slurm:
    """The cluster's state: a file a job."""

    def __init__(self, folder: Path) -> None:
        self._jobs = folder / "jobs"
        self._folder = folder

    def sbatch(self, arguments: list[str]) -> int:
        parsable, script = arguments
        assert parsable == "--parsable"
        options: dict[str, str] = {}
        for line in Path(script).read_text().splitlines():
            if line.startswith("#SBATCH "):
                name, _, value = line.removeprefix("#SBATCH --").partition("=")
                if name not in KNOWN:
                    print(f"sbatch: unrecognized option '--{name}'", file=sys.stderr)
                    return 1
                options[name] = value
        number = len(list(self._jobs.iterdir())) + 1
        self._write(number, {"name": options["job-name"], "state": "RUNNING", "tasks": []})
        nodes = ",".join(f"127.0.0.{i + 1}" for i in range(int(options["nodes"])))
        exported = {n: os.environ[n] for n in options["export"].split(",") if n in os.environ}
        with Path(options["output"]).open("ab") as output:
            subprocess.Popen(
                [sys.executable, __file__, str(self._folder), "slurmstepd", str(number), script],
                env={**exported, "SLURM_JOB_ID": str(number), "SLURM_JOB_NODELIST": nodes},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        print(f"{number};fake")
        return 0

    def slurmstepd(self, arguments: list[str]) -> int:
        number, script = int(arguments[0]), arguments[1]
        process = subprocess.Popen(["bash", script], start_new_session=True)
        self._change(number, batch=process.pid)
        code = process.wait()
        self._change(number, state="FAILED" if code else "COMPLETED")
        return 0

    def srun(self, arguments: list[str]) -> int:
        while arguments[0].startswith("--"):
            assert arguments.pop(0) in ("--export=ALL", "--kill-on-bad-exit=1")
        number, nodes = int(os.environ["SLURM_JOB_ID"]), os.environ["SLURM_JOB_NODELIST"].split(",")
        tasks = [
            subprocess.Popen(arguments, env={**os.environ, "SLURM_PROCID": str(i)}, start_new_session=True)
            for i in range(len(nodes))
        ]
        self._change(number, tasks=[t.pid for t in tasks])
        while any(t.poll() is None for t in tasks):
            if any(t.poll() for t in tasks):
                for t in tasks:
                    _signal(t.pid, signal.SIGTERM)
                break
            time.sleep(0.05)
        return max(t.wait() for t in tasks)

    def scontrol(self, arguments: list[str]) -> int:
        assert arguments[:2] == ["show", "hostnames"]
        print("\n".join(arguments[2].split(",")))
        return 0

    def squeue(self, arguments: list[str]) -> int:
        wanted = _wanted(arguments)
        assert (wanted["format"], wanted["states"]) == ("%T", "all")
        for job in self._all():
            if job["name"] == wanted["name"]:
                print(job["state"])
        return 0

    def scancel(self, arguments: list[str]) -> int:
        wanted = _wanted(arguments)
        for job in self._all():
            if job["name"] != wanted["name"] or job["state"] != wanted.get("state", job["state"]):
                continue
            for pid in job["tasks"]:
                _signal(pid, signal.SIGTERM if "signal" in wanted else signal.SIGKILL)
        return 0

    def _all(self) -> list[dict[str, Any]]:
        return [self._read(int(path.name)) for path in sorted(self._jobs.iterdir())]

    def _read(self, number: int) -> dict[str, Any]:
        return json.loads((self._jobs / str(number)).read_text())

    def _write(self, number: int, job: dict[str, Any]) -> None:
        fresh = self._folder / f"{number}.{os.getpid()}"
        fresh.write_text(json.dumps(job))
        fresh.replace(self._jobs / str(number))

    def _change(self, number: int, **values: Any) -> None:
        self._write(number, self._read(number) | values)


def _wanted(arguments: list[str]) -> dict[str, str]:
    pairs = (a.removeprefix("--").partition("=") for a in arguments)
    return {name: value for name, _, value in pairs}


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


if __name__ == "__main__":
    sys.exit(getattr(Slurm(Path(sys.argv[1])), sys.argv[2])(sys.argv[3:]))
