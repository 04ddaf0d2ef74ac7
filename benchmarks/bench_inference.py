"""Serving: ours against other servers with the same model file, the same requests and the same client.

`--model ref` is a residual network of 1.5 GFLOP a window, `null` next to nothing, so that the server's own
work is left; `int8` is `ref` with numbers of eight bits. The limit is onnxruntime in a process without any
server. Every server runs once in each of three rounds, one after the other; the figure is the median.
Requests carry one window of float32, 240 kB, and ask for the logits; what other servers do not do (judging
the signal) is turned off in ours. Servers run on this machine's cores together with their client; with --busy
other work wants one of the cores all the time, in every row. Prints JSON.

    python -m benchmarks.bench_inference [--model NAME] [--peers FOLDER] [--only NAME ...] [--busy]

FOLDER has a Python for each peer: `make bench-inference` makes them of benchmarks/peers-inference.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.about import about
from benchmarks.inference.models import model_file, windows
from benchmarks.inference.servers import KINDS, MALLOC, Running, running

FLIGHTS = (1, 8, 64)
WINDOWS = 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench_inference", description=__doc__)
    parser.add_argument("--model", default="ref", choices=("ref", "null", "int8"))
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--busy", action="store_true", help="with a neighbour that keeps one core busy")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        if chosen.busy:
            stack.enter_context(_neighbour())
        rows = _measured(chosen)
    result = {
        "benchmark": "inference",
        **about(),
        "command": " ".join(["python -m benchmarks.bench_inference", *sys.argv[1:]]),
        "rows": rows,
        "ours_at_64_to": _ratios(rows),
    }
    print(json.dumps(result, indent=2))


@contextmanager
def _neighbour() -> Iterator[None]:
    """A process that computes without end."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def _measured(chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The rows, medians over the rounds."""
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as scratch:
        folder = Path(scratch)
        model = folder / f"{chosen.model}.onnx"
        model.write_bytes(model_file(chosen.model))
        ecg = windows(WINDOWS)
        logits = _session(model, 1).run(["logits"], {"ecg": ecg})[0]
        np.savez(folder / "windows.npz", ecg=ecg, logits=logits)
        found: dict[str, list[dict[str, Any]]] = {}
        for number in range(chosen.rounds):
            for name, value in _in_process(model, ecg, chosen.seconds).items():
                found.setdefault(name, []).append(value)
            for name in chosen.only:
                for row, value in _served(name, model, folder / f"{number}", chosen).items():
                    found.setdefault(row, []).append(value)
    return {name: _median(values) for name, values in found.items()}


def _ratios(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    ours = rows.get("ours, oip, 64", {}).get("rate")
    if not ours:
        return {}
    best = max((x for n, x in rows.items() if n.startswith("in process")), key=lambda x: x["rate"])
    others = {n: x["rate"] for n, x in rows.items() if n.endswith(", 64") and "rate" in x}
    return {"in process": ours / best["rate"], **{n: ours / rate for n, rate in others.items()}}


def _median(values: list[dict[str, Any]]) -> dict[str, Any]:
    good = [x for x in values if "error" not in x]
    if not good:
        return values[0]
    return {key: round(statistics.median(x[key] for x in good), 3) for key in good[0]}


def _session(model: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _in_process(model: Path, ecg: Any, seconds: float) -> dict[str, dict[str, float]]:
    """What is left without a server: one request after the other, or a batch in each of two threads."""
    cores = len(os.sched_getaffinity(0))
    found: dict[str, dict[str, float]] = {}
    for name, callers, threads, batch in (
        (f"in process, 1 x {cores} threads, batch 1", 1, cores, 1),
        (f"in process, {cores} x 1 thread, batch 4", cores, 1, 4),
        (f"in process, 1 x {cores} threads, batch 8", 1, cores, 8),
    ):
        session = _session(model, threads)
        took_ms: list[float] = []
        until_s = time.perf_counter() + seconds

        def work(session: Any = session, until_s: float = until_s, took_ms: list[float] = took_ms) -> None:
            number = 0
            while (begun_s := time.perf_counter()) < until_s:
                at = number % (len(ecg) - batch + 1)  # noqa: B023 - the threads end before the next
                session.run(["logits"], {"ecg": ecg[at : at + batch]})  # noqa: B023
                took_ms.append(1e3 * (time.perf_counter() - begun_s))
                number += 1

        begun_s = time.perf_counter()
        threads_here = [threading.Thread(target=work) for _ in range(callers)]
        for thread in threads_here:
            thread.start()
        for thread in threads_here:
            thread.join()
        rate = batch * len(took_ms) / (time.perf_counter() - begun_s)
        found[name] = {"rate": rate, "p50_ms": float(np.median(took_ms))}
    return found


def _served(name: str, model: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    kind = KINDS[name]
    found: dict[str, dict[str, Any]] = {}
    try:
        with running(kind, model, folder / name.replace(" ", "_"), chosen.peers) as server:
            for protocol in kind.protocols:
                for flight in FLIGHTS:
                    row = f"{name}, {protocol}, {flight}"
                    found[row] = _load(server, protocol, model.stem, flight, chosen.seconds, folder.parent)
            if name == "ours":
                for row, extra in (
                    ("ours, 8 windows a call, 8", ["--each", "8"]),
                    ("ours, int16, 64", ["--microvolts"]),
                ):
                    flight = int(row.rpartition(" ")[2])
                    found[row] = _load(
                        server, "oip", model.stem, flight, chosen.seconds, folder.parent, *extra
                    )
    except (RuntimeError, FileNotFoundError) as e:
        found[name] = {"error": str(e)}
        print(f"{name}: {e}", file=sys.stderr)
    return found


def _load(
    server: Running, protocol: str, model: str, flight: int, seconds: float, folder: Path, *extra: str
) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.inference.client", "--protocol", protocol]
    command += ["--address", server.address, "--model", model, "--flight", str(flight)]
    command += ["--seconds", str(seconds), "--windows", str(folder / "windows.npz"), *extra]
    before_s = server.cpu_s()
    done = subprocess.run(command, env={**os.environ, **MALLOC}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{protocol}, {flight} in flight: {done.stderr[-1500:]}")
    found = json.loads(done.stdout)
    each = int(extra[1]) if "--each" in extra else 1
    found["rate"] *= each
    # The client warms up for a second, which the server works through as well.
    worked_s = min(1.0, seconds) + seconds
    found["server_cpu_ms"] = 1e3 * (server.cpu_s() - before_s) / (found["rate"] * worked_s)
    found["resident_mb"] = server.resident_mb()
    found["load"] = os.getloadavg()[0]
    return found


if __name__ == "__main__":
    main()
