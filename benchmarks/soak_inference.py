"""Four times more requests than the inference service can answer, for minutes.

Requests of one window come at four times the rate that was just measured, each with a deadline, whether
earlier ones are answered or not (an open loop). Reported for each tenth of the time: answers and refusals a
second, how long each took, any other status, and the memory of the service with all its processes. Prints
JSON.

    python -m benchmarks.soak_inference [--minutes 10] [--model ref|null]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime

from benchmarks.about import about
from benchmarks.inference.client import UNARY, request_bytes
from benchmarks.inference.models import model_file, windows
from benchmarks.inference.servers import KINDS, MALLOC, Running, running

OVERLOAD = 4
DEADLINE_S = 2.0
PARTS = 10


def main() -> None:
    """Measure the capacity, then overload; print."""
    parser = argparse.ArgumentParser(prog="soak_inference", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", default="ref", choices=("ref", "null"))
    parser.add_argument("--client", nargs=2, metavar=("ADDRESS", "RATE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        print(
            json.dumps(
                asyncio.run(
                    _client(chosen.client[0], chosen.model, float(chosen.client[1]), 60 * chosen.minutes)
                )
            )
        )
        return
    with tempfile.TemporaryDirectory(prefix="exchangeai-soak-") as scratch:
        model = Path(scratch) / f"{chosen.model}.onnx"
        model.write_bytes(model_file(chosen.model))
        ecg, held = windows(1), Path(scratch) / "windows.npz"
        session = onnxruntime.InferenceSession(str(model))
        np.savez(held, ecg=ecg, logits=np.asarray(session.run(["logits"], {"ecg": ecg})[0]))
        with running(KINDS["ours"], model, Path(scratch) / "server", None) as server:
            parts = _overloaded(server, held, chosen)
    print(
        json.dumps(
            {"benchmark": "soak_inference", **about(), "command": " ".join(sys.argv), **parts}, indent=2
        )
    )


def _overloaded(server: Running, held: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    def load(rate: float, minutes: float) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.soak_inference", "--model", chosen.model]
        command += ["--minutes", str(minutes), "--client", server.address, str(rate)]
        environment = {**os.environ, **MALLOC}
        return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)

    # By callers that wait for their answers: a flood would measure itself.
    command = [sys.executable, "-m", "benchmarks.inference.client", "--protocol", "oip", "--seconds", "5"]
    command += ["--address", server.address, "--model", chosen.model, "--flight", "8", "--windows", str(held)]
    done = subprocess.run(command, env={**os.environ, **MALLOC}, stdout=subprocess.PIPE, check=True)
    capacity = json.loads(done.stdout)["rate"]
    parts: list[dict[str, Any]] = []
    for _ in range(PARTS):
        parts.append(
            {**load(OVERLOAD * capacity, chosen.minutes / PARTS), "resident_mb": round(server.resident_mb())}
        )
        print(parts[-1], file=sys.stderr)
    return {"capacity_per_s": capacity, "parts": parts}


async def _client(address: str, model: str, rate: float, seconds: float) -> dict[str, Any]:
    data = request_bytes(model, windows(1))
    took_ms: dict[str, list[float]] = {}
    codes: Counter[str] = Counter()
    calls: set[asyncio.Task[None]] = set()
    # Above what is asked for here, more callers would only measure this process.
    most = int(min(rate * DEADLINE_S, 1000))
    async with grpc.aio.insecure_channel(address) as channel:
        ask = channel.unary_unary(UNARY)

        async def one() -> None:
            begun_s = time.perf_counter()
            try:
                await ask(data, timeout=DEADLINE_S)
                code = "OK"
            except grpc.aio.AioRpcError as e:
                code = e.code().name
            codes[code] += 1
            took_ms.setdefault(code, []).append(1e3 * (time.perf_counter() - begun_s))

        begun_s, sent = time.perf_counter(), 0
        while (now_s := time.perf_counter() - begun_s) < seconds:
            while sent < rate * now_s and len(calls) < most:
                task = asyncio.create_task(one())
                calls.add(task)
                task.add_done_callback(calls.discard)
                sent += 1
            sent = max(sent, int(rate * now_s) - most)
            await asyncio.sleep(0.005)
        await asyncio.gather(*calls)
        whole_s = time.perf_counter() - begun_s
    return {
        "accepted_per_s": round(codes["OK"] / whole_s, 1),
        "refused_per_s": round(codes["RESOURCE_EXHAUSTED"] / whole_s, 1),
        "accepted_p99_ms": round(float(np.percentile(took_ms["OK"], 99))) if took_ms.get("OK") else None,
        "refused_p99_ms": round(float(np.percentile(x, 99)))
        if (x := took_ms.get("RESOURCE_EXHAUSTED"))
        else None,
        "codes": dict(codes),
    }


if __name__ == "__main__":
    main()
