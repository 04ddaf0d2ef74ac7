"""Measure the measurements against people and a device: `python -m benchmarks.accuracy_measurements`.

LUDB: the medians of what cardiologists marked in lead II of 99 people (their leads were filtered apart, so
limb leads do not add up). GE 12SL: what that program measured on 86 records of PTB-XL at 500 Hz, where we
have 100 Hz. `EXCHANGEAI_DATA` is the folder with `ludb-500hz` and `ptbxl-100hz`. Prints a table.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.quality_data import DATA, load_signals, read_rows, recordings, to_12_leads
from exchangeai.measurements import Measurements
from exchangeai.recording import Recording
from exchangeai.signal import assess, measure, standardise

Errors = dict[str, list[float]]


def main() -> None:
    """Measure and print."""
    print({**about(), "command": "python -m benchmarks.accuracy_measurements"})
    print(
        "| truth | value | n | mean | SD | median abs | mean abs | absent |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    _table("LUDB lead II", _ludb())
    _table("GE 12SL", _ge())


def _table(truth: str, pairs: Iterator[tuple[Measurements, dict[str, str], float]]) -> None:
    errors: Errors = defaultdict(list)
    absent: dict[str, int] = defaultdict(int)
    spent_s: list[float] = []
    for found, stated, seconds in pairs:
        spent_s.append(seconds)
        for name, value in _values(found).items():
            expected = next((stated[x] for x in _COLUMNS[name] if stated.get(x)), "")
            if expected in ("", "nan"):
                continue
            if value is None:
                absent[name] += 1
                continue
            error = value - float(expected)
            errors[name].append((error + 180) % 360 - 180 if name.endswith("axis") else error)
    for name, found in errors.items():
        x = np.asarray(found)
        figures = (x.mean(), x.std(), np.median(np.abs(x)), np.abs(x).mean())
        print(f"| {truth} | {name} | {x.size} | {' | '.join(f'{y:.1f}' for y in figures)} | {absent[name]} |")
    ms = np.median(spent_s) * 1e3
    print(f"| {truth} | measuring, ms a record (median) | {len(spent_s)} | {ms:.1f} | | | | |")


_COLUMNS = {
    "heart rate": ("heart_rate", "hr_bpm"),
    "PR": ("pr_ms", "pr_ms_II"),
    "QRS": ("qrs_ms", "qrs_ms_II"),
    "QT": ("qt_ms", "qt_ms_II"),
    "QTc Bazett": ("qtc_ms", "qtcb_ms_II"),
    "P axis": ("p_axis_deg",),
    "QRS axis": ("axis_deg",),
    "T axis": ("t_axis_deg",),
}


def _values(found: Measurements) -> dict[str, float | None]:
    timed, axes = found.intervals, found.axes
    return {
        "heart rate": found.heart_rate_bpm,
        "PR": timed.pr_ms if timed else None,
        "QRS": timed.qrs_ms if timed else None,
        "QT": timed.qt_ms if timed else None,
        "QTc Bazett": timed.qtc_bazett_ms if timed else None,
        "P axis": axes.p_deg if axes else None,
        "QRS axis": axes.qrs_deg if axes else None,
        "T axis": axes.t_deg if axes else None,
    }


def _ludb() -> Iterator[tuple[Measurements, dict[str, str], float]]:
    with (DATA / "ludb-500hz" / "intervals.csv").open(encoding="utf-8") as f:
        stated = {x["record"]: x for x in csv.DictReader(f)}
    signals = load_signals(DATA / "ludb-500hz" / "signals.npy.xz")
    for row, ecg in zip(read_rows("ludb-500hz"), recordings(signals, 500.0), strict=True):
        found, seconds = _measured(ecg)
        yield found, stated[row["record"]], seconds


def _ge() -> Iterator[tuple[Measurements, dict[str, str], float]]:
    with (DATA / "ptbxl-100hz" / "ge12sl_measurements.csv").open(encoding="utf-8") as f:
        stated = {x["ecg_id"]: x for x in csv.DictReader(f)}
    by_fold: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows("ptbxl-100hz"):
        if row["ecg_id"] in stated:
            by_fold[row["strat_fold"]].append(row)
    for fold, rows in by_fold.items():
        signals: npt.NDArray[np.float32] = load_signals(DATA / "ptbxl-100hz" / f"fold{int(fold):02d}.npy.xz")
        chosen = to_12_leads(signals[[int(x["row"]) for x in rows]])
        for row, ecg in zip(rows, recordings(chosen, 100.0), strict=True):
            found, seconds = _measured(ecg)
            yield found, stated[row["ecg_id"]], seconds


def _measured(ecg: Recording) -> tuple[Measurements, float]:
    windows = standardise(ecg)
    quality = assess(ecg, windows)
    begin = time.process_time()
    found = measure(windows, quality)
    return found, time.process_time() - begin


if __name__ == "__main__":
    main()
