"""Preprocess workers that share one durable queue: what two processes do, as a ratio to what one does.

The recordings are stored and queued first, with no worker running; then one worker process, and for as many
other recordings two, empty the queue. The rate is that of the results between the first and the last, so
that starting up does not count. Bus, store and workers share the machine, as on a laptop: with two cores,
two workers and the servers' own work cannot reach twice the rate of one. Prints JSON: the rates of each
round, the ratio of the medians and that of each round (its two rates were taken under about the same load),
and the load of the machine before each measurement, in which what others run there shows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.about import about
from demo.records import read_records
from demo.wfdb_files import write_wfdb
from exchangeai.bus import Bus, open_bus, open_index
from exchangeai.bus.embedded import start_bus
from exchangeai.config import PREFIX, to_env
from exchangeai.embedded import ServerProcess
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.reading import read_ecg
from exchangeai.recording import Recording, to_bytes
from exchangeai.store import ObjectStore, open_store
from exchangeai.store.embedded import start_store

RECORDINGS = 400
"""Three rounds of one and of two workers take some three minutes on two cores."""
DISTINCT = 100
REPEATS = 3


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as folder:
        recordings = list(_recordings(Path(folder)))
        rates, loads = asyncio.run(_measure(Path(folder), recordings))
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    each = [b / a for a, b in zip(rates[1], rates[2], strict=True)]
    result = {
        "benchmark": "scale_out",
        **about(),
        "command": "python -m benchmarks.bench_scale_out",
        "recordings": RECORDINGS,
        "per_second": {str(n): [round(x, 1) for x in found] for n, found in rates.items()},
        "two_to_one": round(two / one, 2),
        "two_to_one_each_round": [round(x, 2) for x in each],
        "load_before": {str(n): [round(x, 1) for x in found] for n, found in loads.items()},
    }
    print(json.dumps(result, indent=2))


def _recordings(folder: Path) -> Iterator[Recording]:
    for _, record in zip(range(DISTINCT), read_records(), strict=False):
        paths = write_wfdb(folder, record)
        yield read_ecg({x.name: x.read_bytes() for x in paths})[0]
        for path in paths:
            path.unlink()


async def _measure(
    folder: Path, recordings: list[Recording]
) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """(results a second, load before), both by the number of workers."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    loads: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        bus_server, store_server = start_bus(folder / "bus"), start_store(folder / "store")
        for server in (bus_server.process, store_server.process):
            stack.callback(server.kill)
        environment = {
            **to_env(bus_server.config, f"{PREFIX}BUS_"),
            **to_env(store_server.config, f"{PREFIX}STORE_"),
            f"{PREFIX}SITE_KEY": "5a" * 32,
            # A core each: what a second process adds is measured, not what threads share.
            **{f"{x}_NUM_THREADS": "1" for x in ("OMP", "OPENBLAS")},
        }
        async with (
            open_store(store_server.config) as store,
            open_bus(bus_server.config, "benchmark") as bus,
        ):
            for repeat in range(REPEATS):
                for workers, found in rates.items():
                    ids = await _queue(bus, store, recordings, f"{repeat}/{workers}")
                    loads[workers].append(os.getloadavg()[0])
                    found.append(await _emptied(bus, ids, workers, environment, folder))
                    print(f"{workers} workers: {found[-1]:.1f}/s", file=sys.stderr)
    return rates, loads


async def _queue(bus: Bus, store: ObjectStore, recordings: list[Recording], run: str) -> list[str]:
    ids: list[str] = []
    for i in range(RECORDINGS):
        recording_id = hashlib.sha256(f"{run}/{i}".encode()).hexdigest()
        recording = dataclasses.replace(recordings[i % len(recordings)], source_digest=recording_id)
        await store.put(f"recordings/{recording_id}.npz", to_bytes(recording))
        await bus.facts(RecordingFact).put(recording_id, RecordingFact(recording_id=recording_id))
        await bus.publish(RecordingIngested(recording_id=recording_id), dedup_id=recording_id)
        ids.append(recording_id)
    return ids


async def _emptied(
    bus: Bus, ids: list[str], workers: int, environment: dict[str, str], folder: Path
) -> float:
    """Results a second, from when all workers have had time to start to the last result."""
    wanted = set(ids)
    command = [sys.executable, "-m", "exchangeai", "serve", "preprocess"]
    async with open_index(bus.facts(PreprocessedFact)) as index:
        processes = [
            ServerProcess(f"worker-{i}", command, {**os.environ, **environment}, folder / f"{i}.log")
            for i in range(workers)
        ]
        try:
            done, begin, first = 0, time.monotonic(), 0
            while done < len(wanted):
                await asyncio.sleep(0.02)
                now = len(wanted & index.items.keys())
                if first == 0 and now >= len(wanted) // 5:
                    # By now each worker has started.
                    begin, first = time.monotonic(), now
                done = now
            return (done - first) / (time.monotonic() - begin)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(20)


if __name__ == "__main__":
    main()
