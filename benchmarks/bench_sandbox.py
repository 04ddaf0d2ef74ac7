"""What the sandbox costs at bulk: the same WFDB records read in this process and through warm children.

    python -m benchmarks.bench_sandbox

Rounds alternate, and the median counts. "In process" is `read_records` alone; the sandbox also de-identifies.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.about import about
from demo.records import LEADS, read_records
from demo.wfdb_files import write_wfdb
from exchangeai.formats import ReadOptions
from exchangeai.formats import read_records as read_in_process
from exchangeai.formats.sandboxed import SandboxedReader

RECORDS = 512
AT_ONCE = 128
ROUNDS = 7


def ten_second_records_100_hz() -> list[dict[str, bytes]]:
    """PTB-XL records as the demonstration has them."""
    with tempfile.TemporaryDirectory() as folder:
        made = [write_wfdb(Path(folder), x) for x in islice(read_records(), RECORDS)]
        return [{x.name: x.read_bytes() for x in paths} for paths in made]


def ten_second_records_500_hz() -> list[dict[str, bytes]]:
    """Records of the size of PTB-XL's original ones."""
    chance = np.random.default_rng(0)
    samples = np.cumsum(chance.integers(-9, 10, (5000, 12)), axis=0).astype("<i2")
    lines = [f"r.dat 16 1000(0)/mV 16 0 {samples[0, i]} 0 0 {name}" for i, name in enumerate(LEADS)]
    header = "\n".join(["r 12 500 5000", *lines]) + "\n"
    return [{"r.hea": header.encode(), "r.dat": samples.tobytes() + b"\0" * (i % 2)} for i in range(RECORDS)]


async def main() -> None:
    """Print one JSON object."""
    result: dict[str, object] = dict(about())
    for name, records in (("100 Hz", ten_second_records_100_hz()), ("500 Hz", ten_second_records_500_hz())):
        parts = [records[i : i + AT_ONCE] for i in range(0, RECORDS, AT_ONCE)]
        spent: dict[str, list[float]] = {"in process": [], "1 child": [], "2 children": []}
        readers = {"1 child": SandboxedReader(), "2 children": SandboxedReader(workers=2)}
        for reader in readers.values():
            await reader.start()
            await reader.read_many(parts[0], ReadOptions())
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            for part in parts:
                _ = [read_in_process(x, ReadOptions()) for x in part]
            spent["in process"].append(time.perf_counter() - begin)
            for kind, reader in readers.items():
                begin = time.perf_counter()
                for part in parts:
                    await reader.read_many(part, ReadOptions())
                spent[kind].append(time.perf_counter() - begin)
        for reader in readers.values():
            await reader.close()
        result[name] = {
            kind: {
                "ms_per_record": round(median(x) / RECORDS * 1e3, 3),
                "ratio": round(median(a / b for a, b in zip(x, spent["in process"], strict=True)), 2),
            }
            for kind, x in spent.items()
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
