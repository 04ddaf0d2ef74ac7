"""Measures reading shards into float32 batches [256, 12, 5000] in random order, beside other formats.

`python -m benchmarks.bench_dataset [--rows 2048] [--rounds 3] [--cold-shards 12]` prints JSON. Every reader
delivers the same windows: int16 on disk, float32 millivolts in the batch. One thread, CPU seconds of this
process, median of the rounds; the limit is numpy's bare cast of one resident batch, measured before and
after each reader. Formats whose package is not installed are left out.

Cold: the pages of the files are dropped from the page cache (`posix_fadvise` DONTNEED, residency checked
with `mincore`), then one epoch is read in blocks with read-ahead (as many threads convert as there are
cores), by single windows at random, and the same files once from beginning to end, wall time.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.dataset_peers import PEERS
from exchangeai.dataset import (
    MAX_SHARD_ROWS,
    DatasetManifest,
    Part,
    PartManifest,
    Row,
    Shard,
    open_part,
    read_epoch,
    shard_key,
    write_shard,
)
from exchangeai.facts import Task

BATCH = 256
Floats = npt.NDArray[np.float32]


def windows(rows: int, seed: int = 0) -> npt.NDArray[np.int16]:
    """int16 [rows, 12, 5000]: no two alike, so that no compressor is flattered."""
    random = np.random.default_rng(seed)
    smooth = np.cumsum(random.integers(-9, 10, (64, 12, 5000), dtype=np.int16), axis=2, dtype=np.int16)
    noise = random.integers(-30, 31, (rows, 12, 5000), dtype=np.int16)
    return noise + smooth[np.arange(rows) % 64]


def written(folder: Path, shards: int, rows: int) -> DatasetManifest:
    """A data set of so many shards of so many rows through the platform's writer."""
    made: list[Shard] = []
    for i in range(shards):
        key = shard_key("bench", "train", i)
        content = [
            Row(
                recording_id=f"{i * rows + j:064x}",
                patient_key=f"{j:064x}",
                window=window,
                uv_per_lsb=1.0,
                valid_samples=5000,
                label=np.zeros(5, np.uint8),
            )
            for j, window in enumerate(windows(rows, seed=i))
        ]
        made.append(write_shard(folder / key.rpartition("/")[2], content, 5, key))
    return DatasetManifest(
        dataset_id="bench",
        name="bench",
        task=Task.MULTI_LABEL,
        classes=tuple("abcde"),
        parts={
            "train": PartManifest(shards=tuple(made), recordings=shards * rows),
            "validation": PartManifest(),
            "test": PartManifest(),
        },
        preprocessing_version="bench",
        code_version="bench",
        seed=0,
    )


def cast_limit(values: npt.NDArray[np.int16]) -> Callable[[int], int]:
    """The bare conversion of a resident batch: int16 to float32 into the same memory, without scaling."""
    resident, out = values[:BATCH].copy(), np.empty((BATCH, 12, 5000), np.float32)

    def run(_epoch: int) -> int:
        for _ in range(8):
            np.copyto(out, resident)
        return 8 * BATCH

    return run


def cast_and_scale(values: npt.NDArray[np.int16]) -> Callable[[int], int]:
    """The conversion that millivolts need, of a resident batch, record by record."""
    resident, out, scale = values[:BATCH].copy(), np.empty((BATCH, 12, 5000), np.float32), np.float32(0.001)

    def run(_epoch: int) -> int:
        for _ in range(8):
            for source, target in zip(resident, out, strict=True):
                np.copyto(target, source)
                np.multiply(target, scale, out=target)
        return 8 * BATCH

    return run


def gather_cast(part: Part) -> Callable[[int], int]:
    """Single windows at random, cast but not scaled: what the cast limit does, from the shards."""
    out = np.empty((BATCH, 12, 5000), np.float32)

    def run(epoch: int) -> int:
        order = np.random.default_rng(epoch).permutation(len(part))
        for begin in range(0, len(order), BATCH):
            part.steps(order[begin : begin + BATCH], out)
        return len(order)

    return run


def ours(part: Part) -> Callable[[int], int]:
    out = np.empty((BATCH, 12, 5000), np.float32)

    def run(epoch: int) -> int:
        return sum(len(x.rows) for x in read_epoch(part, BATCH, seed=1, epoch=epoch, out=out))

    return run


def gathered(part: Part) -> Callable[[int], int]:
    """Single windows at random over the whole set, in millivolts."""
    out = np.empty((BATCH, 12, 5000), np.float32)

    def run(epoch: int) -> int:
        order = np.random.default_rng(epoch).permutation(len(part))
        for begin in range(0, len(order), BATCH):
            part.millivolts(order[begin : begin + BATCH], out)
        return len(order)

    return run


def rates(readers: dict[str, Callable[[int], int]], rounds: int) -> dict[str, dict[str, float]]:
    """Records a CPU second of each reader and of the cast limit measured just before and after it."""
    found: dict[str, list[float]] = {name: [] for name in readers}
    limits: dict[str, list[float]] = {name: [] for name in readers}
    limit = readers["cast limit"]
    for run in readers.values():
        run(0)
    for round_ in range(rounds):
        for name, run in readers.items():
            before = rate(limit, round_)
            found[name].append(rate(run, round_ + 1))
            limits[name].append((before + rate(limit, round_)) / 2)
    return {
        name: {
            "records_per_cpu_s": round(statistics.median(found[name])),
            "of_limit": round(
                statistics.median(a / b for a, b in zip(found[name], limits[name], strict=True)), 3
            ),
        }
        for name in readers
    }


def rate(run: Callable[[int], int], epoch: int) -> float:
    begin = time.process_time()
    count = run(epoch)
    return count / (time.process_time() - begin)


def drop(paths: list[Path]) -> float:
    """Drop files from the page cache; returns the share of their pages that stayed."""
    stayed = total = 0
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            stayed += _resident(file.fileno(), path.stat().st_size)
            total += -(-path.stat().st_size // mmap.PAGESIZE)
    return stayed / total


def _resident(descriptor: int, size: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
        pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        view = np.frombuffer(mapped, np.uint8)
        libc.mincore(ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(size), pages)
        count = int((np.frombuffer(bytes(pages), np.uint8) & 1).sum())
        del view
    return count


def sequential(paths: list[Path]) -> None:
    piece = bytearray(4 << 20)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(piece):
                pass


def cold(folder: Path, shards: int, rounds: int) -> dict[str, Any]:
    """Wall rates from the disk: in blocks with read-ahead, singly at random, and a sequential read."""
    manifest = written(folder, shards, MAX_SHARD_ROWS)
    paths = sorted(folder.glob("*.arrow"))
    rows = shards * MAX_SHARD_ROWS
    found: dict[str, list[float]] = {"sequential read": [], "ours, read-ahead": [], "at random": []}
    residency = 0.0

    def timed(name: str, run: Callable[[], object]) -> None:
        nonlocal residency
        residency = max(residency, drop(paths))
        begin = time.perf_counter()
        run()
        found[name].append(rows / (time.perf_counter() - begin))

    for round_ in range(rounds):
        timed("sequential read", lambda: sequential(paths))
        timed("ours, read-ahead", partial(_epoch, folder, manifest, round_))
        if round_ == 0:
            timed("at random", lambda: gathered(open_part(folder, manifest, "train"))(1))
        timed("sequential read", lambda: sequential(paths))
    wall = {name: round(statistics.median(x)) for name, x in found.items()}
    ratios = [
        mine / statistics.mean(found["sequential read"][2 * i : 2 * i + 2])
        for i, mine in enumerate(found["ours, read-ahead"])
    ]
    return {
        "gigabytes": round(sum(x.stat().st_size for x in paths) / 1e9, 2),
        "resident_after_drop": round(residency, 4),
        "records_per_s": wall,
        "of_sequential_read": [round(x, 3) for x in ratios],
        "median": round(statistics.median(ratios), 3),
    }


def _epoch(folder: Path, manifest: DatasetManifest, epoch: int) -> None:
    # Groups of a sixth of the set, so that most of it is read ahead of use as in a set of any size.
    part = open_part(folder, manifest, "train")
    at_once = max(1, len(part.files) // 6)
    for _ in read_epoch(
        part, BATCH, seed=1, epoch=epoch, shards_at_once=at_once, threads=os.cpu_count() or 1
    ):
        pass


def peers(folder: Path, values: npt.NDArray[np.int16]) -> Iterator[tuple[str, Callable[[int], int]]]:
    for name, make in PEERS.items():
        place = folder / name.replace(" ", "-").replace("/", "-")
        place.mkdir()
        try:
            yield name, make(place, values, BATCH)
        except ImportError as e:
            sys.stderr.write(f"{name} is left out: {e}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold-shards", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where to write; the disk that is measured cold")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        result: dict[str, Any] = {**about(), "rows": chosen.rows, "load": os.getloadavg()[0]}
        if chosen.rows:
            warm = folder / "warm"
            warm.mkdir()
            shards = -(-chosen.rows // MAX_SHARD_ROWS)
            part = open_part(warm, written(warm, shards, chosen.rows // shards), "train")
            values = np.asarray(part.values)
            readers = {
                "cast limit": cast_limit(values),
                "cast and scale, resident": cast_and_scale(values),
                "ours, Part.steps": gather_cast(part),
                "ours, read_epoch": ours(part),
                "ours, Part.millivolts": gathered(part),
                **dict(peers(folder, values)),
            }
            result["warm"] = rates(readers, chosen.rounds)
        if chosen.cold_shards:
            place = folder / "cold"
            place.mkdir()
            result["cold"] = cold(place, chosen.cold_shards, chosen.rounds)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
