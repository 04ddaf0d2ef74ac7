"""The catalogue at a million recordings: made anew from the facts, opened again, and asked for pages.

Synthetic facts as ingest and preprocess write them lie in the buckets of a real nats-server. The references
are reading the same entries without an index, and our goals: 25,000 facts a second, 50 ms a page.
Prints JSON. `python -m benchmarks.bench_catalogue [recordings]`
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.about import about
from exchangeai.bus import Bus, open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.config import BusConfig
from exchangeai.embedded import ServerProcess, executable
from exchangeai.facts import LeadFact, PreprocessedFact, RecordingFact
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import Quality, Verdict
from exchangeai.recording import Patient
from services.ingest.catalogue import Catalogue, open_catalogue
from services.ingest.index import Wanted

FORMATS = ("wfdb", "dicom", "edf", "scp", "muse", "aecg", "philips", "csv")
QUERIES = 300


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as folder:
        print(json.dumps(asyncio.run(_measured(Path(folder), count)), indent=2))


async def _measured(folder: Path, count: int) -> dict[str, Any]:
    config, process = _server_for_filling(folder / "bus")
    try:
        async with open_bus(config, "bench") as bus:
            await _fill(bus, count)
            bare = await _bare_rate(bus)
            begin = time.perf_counter()
            async with open_catalogue(bus, folder / "index.sqlite"):
                built_s = time.perf_counter() - begin
            begin = time.perf_counter()
            async with open_catalogue(bus, folder / "index.sqlite") as catalogue:
                reopened_s = time.perf_counter() - begin
                pages = {name: await _pages(catalogue, wanted) for name, wanted in _questions().items()}
    finally:
        process.kill()
    facts = 2 * count - len(range(0, count, 50))
    return {
        "benchmark": "catalogue",
        **about(),
        "command": "python -m benchmarks.bench_catalogue",
        "recordings": count,
        "facts": facts,
        "read_without_index_facts_per_s": round(bare),
        "made_anew_facts_per_s": round(facts / built_s),
        "ratio_to_reading": round(facts / built_s / bare, 3),
        "made_anew_s": round(built_s, 1),
        "opened_again_s": round(reopened_s, 2),
        "pages_of_100_ms": pages,
        "index_mb": round((folder / "index.sqlite").stat().st_size / 1e6),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _server_for_filling(folder: Path) -> tuple[BusConfig, ServerProcess]:
    # Two million synced writes would take the better part of an hour and are not what is measured.
    server = start_bus(folder)
    server.process.kill()
    server.process.wait(5)
    careless = folder / "careless.conf"
    text = (folder / "nats.conf").read_text().replace(", sync_interval: always", "")
    url = server.config.url.rpartition(":")[2]
    careless.write_text(text.replace("127.0.0.1:-1", f"127.0.0.1:{url}", 1))
    process = ServerProcess("bus", [executable("nats-server"), "-c", str(careless)], {}, folder / "bench.log")
    return replace(server.config, monitoring_url=""), process


async def _fill(bus: Bus, count: int) -> None:
    rng = random.Random(0)
    client: Any = bus._client  # pyright: ignore[reportPrivateUsage]
    encode = msgspec.json.encode
    leads = tuple(LeadFact(name=n, sampling_rate_hz=500.0, sample_count=5000) for n in STANDARD_12)
    quality = Quality(verdict=Verdict.ANALYSABLE)
    for i in range(count):
        key = f"{rng.getrandbits(256):064x}"
        recording = RecordingFact(
            recording_id=key,
            format=FORMATS[i % len(FORMATS)],
            leads=leads,
            duration_s=10.0,
            patient=Patient(sex="F", age_years=50, patient_key=f"{i // 3:064x}"),
            acquisition_year=2020,
            error_reason="Truncated" if i % 100 == 0 else None,
            name_keys=(key, key[::-1]),
            ingested_at=1.7e9 + i / 100,
        )
        made = PreprocessedFact(recording_id=key, preprocessing_version="1", windows=1, quality=quality)
        await client.publish(f"$KV.recordings.{key}", encode(recording))
        if i % 50:
            await client.publish(f"$KV.preprocessed.{key}", encode(made))
        if i % 2000 == 0:
            await client.flush(timeout=120)
    await client.flush(timeout=120)
    js: Any = bus._js  # pyright: ignore[reportPrivateUsage]
    stored = {"KV_recordings": count, "KV_preprocessed": count - -(-count // 50)}
    for name, expected in stored.items():
        while (await js.stream_info(name)).state.messages < expected:
            await asyncio.sleep(0.5)


async def _bare_rate(bus: Bus) -> float:
    seen, begin = 0, time.perf_counter()
    for kind in (RecordingFact, PreprocessedFact):
        async for batch in bus.facts(kind).follow():
            seen += len(batch.changes)
            if batch.current:
                break
    return seen / (time.perf_counter() - begin)


def _questions() -> dict[str, Wanted]:
    return {
        "all": Wanted(),
        "one format": Wanted(format="scp"),
        "one state": Wanted(states=frozenset({"unreadable"})),
        "format and state": Wanted(format="dicom", states=frozenset({"done"})),
        "one patient": Wanted(patient_key=f"{1000:064x}"),
    }


async def _pages(catalogue: Catalogue, wanted: Wanted) -> dict[str, float]:
    times: list[float] = []
    token, total = "", 0
    for _ in range(QUERIES):
        begin = time.perf_counter()
        page = await catalogue.page(wanted, 100, token)
        times.append((time.perf_counter() - begin) * 1e3)
        token, total = page.next_token, page.total
    return {
        "p50": round(statistics.median(times), 2),
        "p99": round(statistics.quantiles(times, n=100)[98], 2),
        "total": total,
    }


if __name__ == "__main__":
    main()
