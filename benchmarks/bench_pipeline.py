"""Recordings a second from upload to prediction-ready, as a ratio to the bare computation in one process.

The reference does on one core what cannot be left out (read the file, standardise, assess, measure) without
network, disk, sandbox, bus or store; it is measured in the same run on the same files. Prints JSON with the
machine, the commit, both rates, the ratio and each stage's share of the services' own time.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from benchmarks.about import about
from demo.platform import connect
from demo.records import Record, read_records
from demo.upload import upload, wait_until_preprocessed
from demo.wfdb_files import write_wfdb
from exchangeai import formats
from exchangeai.signal import assess, measure, standardise
from services.local import Platform, running_platform

RECORDINGS = 600
REFERENCE_RECORDINGS = 200


def main() -> None:
    """Measure and print."""
    records = [r for _, r in zip(range(RECORDINGS), read_records(), strict=False)]
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as folder:
        reference = _bare_rate(records[:REFERENCE_RECORDINGS], Path(folder))
        with (
            running_platform(Path(folder) / "data", environment={}, say=_say, measured=True) as platform,
            ExitStack() as stack,
        ):
            stubs = connect(platform.addresses, stack)
            begin = time.perf_counter()
            sent = upload(stubs.ingest, records, Path(folder))
            accepted_s = time.perf_counter() - begin
            failed = wait_until_preprocessed(stubs.ingest, len(sent.ids))
            ready_s = time.perf_counter() - begin
            stages = _stages(platform)
    rate = len(sent.ids) / ready_s
    result = {
        "benchmark": "pipeline",
        **about(),
        "command": "make bench",
        "recordings": len(sent.ids),
        "not_preprocessed": failed,
        "accepted_per_s": round(len(sent.ids) / accepted_s, 1),
        "ready_per_s": round(rate, 1),
        "reference_bare_computation_per_s": round(reference, 1),
        "ratio_to_reference": round(rate / reference, 3),
        "share_of_service_time": stages,
    }
    print(json.dumps(result, indent=2))


def _bare_rate(records: list[Record], folder: Path) -> float:
    files = [write_wfdb(folder, r) for r in records]
    begin = time.perf_counter()
    for paths in files:
        recording = formats.read_records({p.name: p.read_bytes() for p in paths})[0].recording
        windows = standardise(recording)
        measure(windows, assess(recording, windows))
    return len(files) / (time.perf_counter() - begin)


def _stages(platform: Platform) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for name in ("ingest", "preprocess"):
        with urllib.request.urlopen(platform.metrics[name], timeout=5) as answer:
            text = answer.read().decode()
        for stage, value in re.findall(r'exchangeai_stage_seconds_sum\{stage="(\w+)"\} (\S+)', text):
            seconds[f"{name}: {stage}"] = float(value)
        for method, value in re.findall(r'exchangeai_work_seconds_sum\{event="([\w.]+)"\} (\S+)', text):
            seconds[f"{name}: whole of {method.rsplit('.', 1)[-1]}"] = float(value)
        for method, value in re.findall(
            r'exchangeai_rpc_seconds_sum\{method="([\w./]+Upload)"\} (\S+)', text
        ):
            seconds[f"{name}: whole of {method.rsplit('/', 1)[-1]}"] = float(value)
    total = sum(v for k, v in seconds.items() if "whole" not in k) or 1.0
    return {k: round(v / total, 3) for k, v in seconds.items()}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
