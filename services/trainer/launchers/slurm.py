"""Starts the ranks of a run as a Slurm batch job: `srun` starts one machine's torchrun on each node.

The run's work folder must be on a disk that the nodes share with the trainer: the script and the output lie
there. Everything else goes by the object store (see `services.trainer.remote`). The store's credentials
travel in the environment of `sbatch` and are never written into the script.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exchangeai.config import StoreConfig, to_env
from exchangeai.errors import InvalidArgument, Unavailable
from exchangeai.store import ObjectStore
from services.trainer import remote
from services.trainer.launchers import End, Launch, Layout, Listener, Tell, first, lay_out
from services.trainer.report import Activity, Alive, Failed, Finished, Killed, Report, Stopped

SCRIPT_FILE = "run.sbatch"
SETTLE_S = 10.0
"""How long the last lines may take to come through a shared disk."""
INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH")
"""What the ranks need of the trainer's environment besides the store."""
OUT_OF_MEMORY = "OUT_OF_MEMORY"
ENDED = (
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    OUT_OF_MEMORY,
    "BOOT_FAIL",
)
"""States of jobs that squeue may still list for some minutes."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SlurmConfig:
    """How runs become batch jobs."""

    options: str = ""
    """More options for sbatch, as on its command line: `--partition=gpu --account=ecg --time=12:00:00`."""
    gpus: int = 0
    """GPUs of each node, a rank each; 0 trains on the CPU."""
    processes: int = 1
    """Ranks of each node when it has no GPU."""
    cpus: int = 4
    """Cores for each rank."""
    most_nodes: int = 1
    """The most nodes that a run may have."""
    port: int = 29400
    """Where the first node waits for the others."""
    python: str = ""
    """Python of the nodes that has this package; empty for the trainer's own."""
    poll_s: float = 5.0


class SlurmLauncher:
    """Runs each attempt as a batch job named after it."""

    def __init__(
        self,
        config: SlurmConfig,
        store: ObjectStore,
        store_config: StoreConfig,
        environment: Mapping[str, str],
        grace_s: float,
    ) -> None:
        self._config = config
        self._store = store
        self._secrets = to_env(store_config, "EXCHANGEAI_STORE_")
        self._environment = {k: v for k, v in environment.items() if not k.startswith("EXCHANGEAI_")}
        self._grace_s = grace_s
        self._per_node = config.gpus or config.processes

    @property
    def most_processes(self) -> int:
        """All ranks of all nodes."""
        return self._per_node * self._config.most_nodes

    async def run(self, launch: Launch, tell: Tell, stop: asyncio.Event, leave: asyncio.Event) -> End:
        """Run the attempt to its end; see `Launcher.run`. When cancelled, the batch job runs on.

        A job that Slurm ended at its time limit has saved its checkpoint and is submitted again.
        """
        layout = lay_out(launch.processes, self._per_node, self._config.most_nodes)
        prefix = remote.prefix_of(launch.run_id, launch.attempt)
        output = Output(_output(launch), Listener(launch, tell))
        while not await remote.collect(self._store, prefix, launch.folder):
            if await self._state(launch) is None:
                await remote.send(self._store, prefix, launch.folder)
                await self._submit(launch, layout)
            if not await self._follow(launch, output, tell, stop, leave):
                return End.LEFT
            last = await output.rest()
            if not isinstance(last, Finished):
                if stop.is_set():
                    return End.STOPPED
                if not isinstance(last, Stopped):
                    if OUT_OF_MEMORY in await self._states(launch):
                        await tell(Killed())
                    _output(launch).unlink(missing_ok=True)  # the next try is a new job
                    return End.GAVE_UP if isinstance(last, Failed) else End.DIED
        return End.FINISHED

    async def clear(self, launch: Launch) -> None:
        """Cancel the job, wait until its ranks have saved and ended, and forget the folder."""
        await self._cancel(launch)
        await remote.forget(self._store, remote.prefix_of(launch.run_id, launch.attempt))

    async def _follow(
        self, launch: Launch, output: Output, tell: Tell, stop: asyncio.Event, leave: asyncio.Event
    ) -> bool:
        """Hear the output until the job has ended; False when it was left."""
        waits = ""
        while (state := await self._state(launch)) is not None:
            await output.hear()
            if stop.is_set():
                await self._cancel(launch)
                return True
            if leave.is_set():
                return False
            now = f"Waiting in Slurm's queue ({state.lower()})" if state == "PENDING" else ""
            await tell(Activity(text=now) if now and now != waits else Alive())
            waits = now
            await first(stop, leave, timeout_s=self._config.poll_s)
        return True

    async def _submit(self, launch: Launch, layout: Layout) -> None:
        script = launch.folder / SCRIPT_FILE
        script.write_text(self.script(launch, layout))
        own = {name: value for name, value in self._secrets.items() if value}
        number = await self._call("sbatch", "--parsable", str(script), environment=own)
        log.info("submitted", extra={"fields": {"run_id": launch.run_id, "job": number.partition(";")[0]}})

    async def _state(self, launch: Launch) -> str | None:
        """Slurm's word for the job's state; None when it is neither waiting nor running."""
        living = [s for s in await self._states(launch) if s not in ENDED]
        return living[0] if living else None

    async def _states(self, launch: Launch) -> list[str]:
        said = await self._call(
            "squeue", "--noheader", f"--name={launch.name}", "--format=%T", "--states=all"
        )
        return said.split()

    async def _cancel(self, launch: Launch) -> None:
        if await self._state(launch) is None:
            return
        # A plain scancel kills after Slurm's KillWait, which may be shorter than a checkpoint takes.
        name = f"--name={launch.name}"
        await self._call("scancel", "--signal=TERM", "--state=RUNNING", name)
        await self._call("scancel", "--state=PENDING", name)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s
        while await self._state(launch) is not None:
            if loop.time() > deadline:
                await self._call("scancel", name)
                deadline = loop.time() + self._grace_s
            await asyncio.sleep(min(1.0, self._config.poll_s))

    async def _call(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """What a program of Slurm prints. Raises Unavailable when the controller does not answer."""
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**self._environment, **(environment or {})},
            )
        except FileNotFoundError as e:
            raise InvalidArgument(f"{program} is not installed where the trainer runs") from e
        said, complaint = await process.communicate()
        if process.returncode == 0:
            return said.decode()
        why = complaint.decode(errors="replace").strip()[-500:]
        if program == "sbatch" and "Unable to contact" not in why:
            raise InvalidArgument(f"Slurm refuses the job: {why}")
        raise Unavailable(f"{program}: {why}")

    def script(self, launch: Launch, layout: Layout) -> str:
        """The batch script."""
        quoted = shlex.quote
        output = quoted(str(_output(launch)))
        options = [
            f"--job-name={launch.name}",
            f"--nodes={layout.nodes}",
            "--ntasks-per-node=1",
            f"--cpus-per-task={self._config.cpus * layout.processes}",
            *([f"--gpus-per-node={layout.processes}"] if self._config.gpus else []),
            f"--output={output}",
            f"--error={output}",
            "--open-mode=append",
            # The ranks save, and the trainer submits the job again.
            "--signal=TERM@120",
            "--requeue",
            f"--export={','.join((*INHERITED, *self._secrets))}",
            *map(quoted, shlex.split(self._config.options)),
        ]
        node = [self._config.python or sys.executable, "-m", "services.trainer.node"]
        node += ["--run-id", launch.run_id, "--attempt", str(launch.attempt)]
        node += ["--processes", str(layout.processes), "--grace", str(int(self._grace_s))]
        node += ["--nodes", str(layout.nodes), "--node-variable", "SLURM_PROCID"]
        return "\n".join(
            (
                "#!/bin/bash",
                *(f"#SBATCH {option}" for option in options),
                "set -eu",
                'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
                "exec srun --export=ALL --kill-on-bad-exit=1 \\",
                f'  {shlex.join(node)} --endpoint "$first:{self._config.port}"',
                "",
            )
        )


class Output:
    """A file that a job appends to, heard line by line."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self._path = path
        self._listener = listener
        self._at = 0
        self._part = b""

    async def hear(self) -> None:
        """Take the new whole lines."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            await self._listener.hear(line)

    async def rest(self) -> Report | None:
        """Take all lines of a job that has ended; returns what it said last of its end, if it did."""
        for _ in range(10):
            await self.hear()
            if isinstance(self._listener.last, Finished | Stopped | Failed | Killed) or not self._at:
                break
            await asyncio.sleep(SETTLE_S / 10)
        return self._listener.last


def _output(launch: Launch) -> Path:
    return launch.folder / f"{launch.name}.out"
