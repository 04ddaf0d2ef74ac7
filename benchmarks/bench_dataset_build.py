"""Builds a large synthetic data set through the real builder and shows its memory, and that it goes on.

`python -m benchmarks.bench_dataset_build [--recordings 100000] [--folder FOLDER]` prints JSON. Real are the
NATS server with its facts, the label table, the join, the split, the builder and the shards (123 MB each,
all windows of 12 x 5000 samples); the object store is a folder that makes each recording's windows from its
id instead of keeping 12 GB, and drops a shard once it is hashed. Three processes: one plans and builds and is
killed with SIGKILL on the way, the next goes on, and a third builds all at once elsewhere; the manifests must
be equal, which means that every shard is equal to the byte.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.about import about
from exchangeai.bus import Bus, open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.config import BusConfig
from exchangeai.dataset import manifest_key
from exchangeai.errors import NotFound
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.facts import DatasetFact, DatasetState, PreprocessedFact, RecordingFact, Task
from exchangeai.recording import Patient
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.signal import windows as windows_at_rest
from exchangeai.store import ObjectStore
from services.preprocess.builder import DatasetBuilder, progress_key
from services.preprocess.columns import Columns
from services.preprocess.known import Keys, KnownRecordings
from services.preprocess.plan import Planned, Wish, plan
from services.preprocess.request import request_key
from services.preprocess.split import Shares

SHAPES = 64
AT_ONCE = 200


def recording_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class SyntheticStore:
    """The verbs that building uses: windows come out of ids, shards leave a digest, the rest is files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        random = np.random.default_rng(0)
        self._windows = [
            windows_at_rest.to_bytes(
                windows_at_rest.Windows(
                    values=random.integers(-2000, 2000, (1, 12, 5000)).astype(np.int16),
                    uv_per_lsb=1.0,
                    valid_samples=np.array([5000], np.int32),
                )
            )
            for _ in range(SHAPES)
        ]
        self.shards = 0

    async def get(self, key: str) -> bytes:
        if key.startswith("windows/"):
            return self._windows[int(key[8:10], 16) % SHAPES]
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as e:
            raise NotFound("no such object") from e

    async def get_file(self, key: str, path: Path) -> None:
        await asyncio.to_thread(_copy, self._path(key), path)

    async def put(self, key: str, data: bytes) -> None:
        self._path(key).write_bytes(data)

    async def put_file(self, key: str, path: Path) -> None:
        if key.endswith(".arrow"):
            self.shards += 1
        else:
            await asyncio.to_thread(_copy, path, self._path(key))

    async def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key.replace("/", "_")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as out:
        while piece := file.read(1 << 20):
            out.write(piece)


def asked(count: int) -> tuple[Wish, KnownRecordings]:
    """A table of as many rows as recordings, two to a patient, and the recordings."""
    keys = Keys(name=lambda x: hashlib.sha256(x.encode()).hexdigest(), patient=lambda x: x)
    known = KnownRecordings(keys)
    lines = ["file;label;patient"]
    for i in range(count):
        name = f"ecg{i}.dat"
        known.add(
            RecordingFact(
                recording_id=recording_id(i), name_keys=(keys.name(name),), patient=Patient(sex="F")
            )
        )
        lines.append(f"{name};{('NORM', 'MI', 'CD', 'STTC,HYP')[i % 4]};p{i // 2}")
    wish = Wish(
        name="synthetic",
        table="\n".join(lines).encode(),
        columns=Columns(recording="file", label="label", patient="patient"),
        task=Task.MULTI_LABEL,
        classes=(),
        shares=Shares(validation=0.1, test=0.1, seed=1),
    )
    return wish, known


def planned(count: int, path: Path) -> Planned:
    """Parse, join and split."""
    return plan(*asked(count), path)


async def build(config: BusConfig, folder: Path, dataset_id: str, work_dir: Path) -> dict[str, Any]:
    store = SyntheticStore(folder)
    async with open_bus(config, "bench") as bus:
        builder = DatasetBuilder(bus, cast("ObjectStore", store), work_dir)
        running = asyncio.create_task(builder.run())
        begin = time.perf_counter()
        facts = bus.facts(DatasetFact)
        while (fact := await facts.get(dataset_id)) is None or fact.value.state is not DatasetState.READY:
            if fact is not None and fact.value.state is DatasetState.FAILED:
                raise SystemExit(fact.value.error)
            await asyncio.sleep(0.2)
        wall = time.perf_counter() - begin
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return {"seconds": round(wall, 1), "shards_written": store.shards, "peak_mb": peak_mb()}


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def prepare(config: BusConfig, count: int) -> None:
    """A fact for each recording, as the worker writes it."""
    async with open_bus(config, "bench") as bus:
        facts = bus.facts(PreprocessedFact)
        for begin in range(0, count, AT_ONCE):
            ids = [recording_id(i) for i in range(begin, min(begin + AT_ONCE, count))]
            await asyncio.gather(*(facts.put(x, preprocessed(x)) for x in ids))


def preprocessed(id_: str) -> PreprocessedFact:
    return PreprocessedFact(recording_id=id_, preprocessing_version=PREPROCESSING_VERSION, windows=1)


async def ask(config: BusConfig, folder: Path, count: int, attempt: int) -> str:
    begin = time.perf_counter()
    made = planned(count, folder / "request")
    os.replace(folder / "request", folder / request_key(made.dataset_id).replace("/", "_"))
    sys.stderr.write(f"planned in {time.perf_counter() - begin:.1f} s, {peak_mb()} MB\n")
    async with open_bus(config, "bench") as bus:
        await _queue(bus, made, attempt)
    return made.dataset_id


async def _queue(bus: Bus, made: Planned, attempt: int) -> None:
    fact = DatasetFact(
        dataset_id=made.dataset_id,
        name="synthetic",
        state=DatasetState.QUEUED,
        task=Task.MULTI_LABEL,
        classes=made.request.classes,
        created_at=time.time(),
    )
    await bus.facts(DatasetFact).put(made.dataset_id, fact)
    await bus.publish(DatasetRequested(dataset_id=made.dataset_id), dedup_id=f"{made.dataset_id}:{attempt}")


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bench_dataset_build", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a child ended with {process.returncode}")
    return json.loads(out)


def measure(count: int, parent: Path) -> dict[str, Any]:
    result: dict[str, Any] = {**about(), "recordings": count, "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(dir=parent) as made:
        folder = Path(made)
        server = start_bus(folder)
        try:
            config = json.dumps(asdict(server.config))
            begin = time.perf_counter()
            asyncio.run(prepare(server.config, count))
            result["facts_written_s"] = round(time.perf_counter() - begin, 1)
            manifests: list[bytes] = []
            for attempt, name in enumerate(("killed", "whole")):
                place = folder / name
                place.mkdir()
                result["plan"] = answer(child("--ask", config, str(place), str(count), str(attempt)))
                dataset_id = result["plan"].pop("dataset_id")
                if name == "killed":
                    result["killed_after_shards"] = _kill_on_the_way(
                        child("--build", config, str(place), dataset_id, name),
                        place / progress_key(dataset_id).replace("/", "_"),
                        count // 1024 // 2,
                    )
                result[name] = answer(child("--build", config, str(place), dataset_id, name))
                manifests.append((place / manifest_key(dataset_id).replace("/", "_")).read_bytes())
            result["manifests_equal"] = manifests[0] == manifests[1]
        finally:
            server.process.kill()
            server.process.wait(5)
    return result


def _kill_on_the_way(process: subprocess.Popen[str], progress: Path, shards: int) -> int:
    while True:
        time.sleep(0.2)
        with contextlib.suppress(FileNotFoundError, ValueError):
            reached = json.loads(progress.read_bytes())["parts"].values()
            if (done := sum(len(x["shards"]) for x in reached)) >= max(1, shards):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--ask", nargs=4)
    parser.add_argument("--build", nargs=4)
    parser.add_argument("--plan", type=int, help="only plan so many recordings")
    chosen = parser.parse_args()
    if chosen.plan:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
            wish, known = asked(chosen.plan)
            before_mb, begin, cpu_begin = peak_mb(), time.perf_counter(), time.process_time()
            made = plan(wish, known, Path(name) / "request")
            told: Any = {**about(), "recordings": made.request.recordings, "load": os.getloadavg()[0]}
            told["seconds"] = round(time.perf_counter() - begin, 1)
            told["cpu_seconds"] = round(time.process_time() - cpu_begin, 1)
            told["mb_before_planning"] = before_mb
            told["request_mb"] = (Path(name) / "request").stat().st_size >> 20
            told["peak_mb"] = peak_mb()
    elif chosen.ask:
        config, folder, count, attempt = chosen.ask
        dataset_id = asyncio.run(ask(BusConfig(**json.loads(config)), Path(folder), int(count), int(attempt)))
        told = {"dataset_id": dataset_id, "peak_mb": peak_mb()}
    elif chosen.build:
        config, folder, dataset_id, _ = chosen.build
        told = asyncio.run(build(BusConfig(**json.loads(config)), Path(folder), dataset_id, Path(folder)))
    else:
        told = measure(chosen.recordings, chosen.folder)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
