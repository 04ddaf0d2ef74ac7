"""What people and a device measured on the development sets, beside what we do."""

from __future__ import annotations

import csv
import gzip
import io
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.quality_data import DATA, load_signals, read_rows, recordings, to_12_leads
from exchangeai.measurements import Measurements
from exchangeai.recording import Lead, Recording
from exchangeai.signal import Windows, assess, measure, standardise
from exchangeai.signal.measure import landmarks
from exchangeai.signal.rpeaks import find_r_peaks

Values = Mapping[str, float | None]
RATE_HZ = 500.0
WAVE_ENDS = ("P onset", "P end", "QRS onset", "QRS end", "T end")
MIN_MARKED_LEADS = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """One recording: what we measured, and what others say."""

    name: str
    odd: bool
    found: Values
    seconds: float
    windows: Windows
    truths: dict[str, Values]
    """By who says so."""
    wave_ends_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """QTDB: ours less theirs at each marked beat."""


def _values(found: Measurements) -> Values:
    timed, axes = found.intervals, found.axes
    return {
        "heart rate": found.heart_rate_bpm,
        "P": timed.p_ms if timed else None,
        "PR": timed.pr_ms if timed else None,
        "QRS": timed.qrs_ms if timed else None,
        "QT": timed.qt_ms if timed else None,
        "QTc": timed.qtc_bazett_ms if timed else None,
        "P axis": axes.p_deg if axes else None,
        "QRS axis": axes.qrs_deg if axes else None,
        "T axis": axes.t_deg if axes else None,
    }


def _numbers(row: Mapping[str, str], columns: Mapping[str, str]) -> Values:
    """Values of a table's row, by our names; None where it has none."""
    return {ours: None if row[x] in ("", "nan") else float(row[x]) for ours, x in columns.items()}


def lead_two(windows: Windows) -> tuple[float, Values]:
    """Seconds it took, and what we measure with lead II alone."""
    lead = Lead(name="II", samples=windows.continuous_mv("II")[0], sampling_rate_hz=RATE_HZ)
    found, _, seconds = _measured(Recording(format="benchmark", leads=(lead,)))
    return seconds, _values(found)


def ludb() -> Iterator[Case]:
    """LUDB: 99 people, 12 leads at 500 Hz."""
    folder = DATA / "ludb-500hz"
    columns = {
        "heart rate": "hr_bpm",
        "PR": "pr_ms_II",
        "QRS": "qrs_ms_II",
        "QT": "qt_ms_II",
        "QTc": "qtcb_ms_II",
    }
    stated = {x["record"]: x for x in _rows(folder / "intervals.csv")}
    marked: dict[str, list[dict[str, str]]] = defaultdict(list)
    for x in _rows(folder / "waves.csv.gz"):
        marked[x["record"]].append(x)
    signals = load_signals(folder / "signals.npy.xz")
    for row, ecg in zip(read_rows("ludb-500hz"), recordings(signals, 500.0), strict=True):
        found, windows, seconds = _measured(ecg)
        peaks = np.rint(np.asarray(found.r_peaks_s) * 500).astype(int)
        yield Case(
            name=row["record"],
            odd=int(row["record"]) % 2 == 1,
            found=_values(found),
            seconds=seconds,
            windows=windows,
            truths={
                "LUDB, lead II": _numbers(stated[row["record"]], columns),
                "LUDB, all leads": _over_leads(marked[row["record"]], peaks.tolist()),
            },
        )


def _over_leads(marks: list[dict[str, str]], peaks: list[int]) -> Values:
    """Intervals from the median over the leads of where each wave of a beat begins and ends, in ms."""

    def typical(wave: str, end: str, after: float, before: float) -> float:
        found = [x[end] for x in marks if x["wave"] == wave and after < int(x["peak"]) < before]
        known = [float(x) for x in found if x not in ("", "nan")]
        return float(np.median(known)) if len(known) >= MIN_MARKED_LEADS else np.nan

    found: dict[str, list[float]] = defaultdict(list)
    for r, following in zip(peaks, [*peaks[1:], 10**9], strict=True):
        begin, end = (typical("QRS", x, r - 60, r + 60) for x in ("onset", "offset"))
        p_on, p_off = (typical("P", x, r - 175, r) for x in ("onset", "offset"))
        t_off = typical("T", "offset", r, min(following, r + 350))
        for name, value in {
            "P": p_off - p_on,
            "PR": begin - p_on,
            "QRS": end - begin,
            "QT": t_off - begin,
        }.items():
            found[name].append(value * 2)
    return {x: float(np.nanmedian(v)) if np.isfinite(v).any() else None for x, v in found.items()}


def ge() -> Iterator[Case]:
    """The records of PTB-XL, 12 leads at 100 Hz, that GE 12SL measured at 500 Hz."""
    columns = {
        "heart rate": "heart_rate",
        "PR": "pr_ms",
        "QRS": "qrs_ms",
        "QT": "qt_ms",
        "QTc": "qtc_ms",
        "P axis": "p_axis_deg",
        "QRS axis": "axis_deg",
        "T axis": "t_axis_deg",
    }
    stated = {x["ecg_id"]: x for x in _rows(DATA / "ptbxl-100hz" / "ge12sl_measurements.csv")}
    by_fold: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows("ptbxl-100hz"):
        if row["ecg_id"] in stated:
            by_fold[row["strat_fold"]].append(row)
    for fold, rows in by_fold.items():
        signals = load_signals(DATA / "ptbxl-100hz" / f"fold{int(fold):02d}.npy.xz")
        chosen = to_12_leads(signals[[int(x["row"]) for x in rows]])
        for row, ecg in zip(rows, recordings(chosen, 100.0), strict=True):
            found, windows, seconds = _measured(ecg)
            yield Case(
                name=row["ecg_id"],
                odd=int(float(row["patient_id"])) % 2 == 1,
                found=_values(found),
                seconds=seconds,
                windows=windows,
                truths={"GE 12SL": _numbers(stated[row["ecg_id"]], columns)},
            )


def qtdb() -> Iterator[Case]:
    """QTDB: 53 Holter excerpts of two leads at 250 Hz."""
    folder = DATA / "qtdb-250hz"
    stated = {x["record"]: x for x in _rows(folder / "intervals.csv")}
    marked: dict[str, list[dict[str, str]]] = defaultdict(list)
    for x in _rows(folder / "waves.csv.gz"):
        if x["annotator"] == "q1c":
            marked[x["record"]].append(x)
    columns = {"PR": "pr_ms", "QRS": "qrs_ms", "QT": "qt_ms"}
    for row, x in zip(read_rows("qtdb-250hz"), load_signals(folder / "signals.npy.xz"), strict=True):
        # Most are leads that the standard does not have; nothing here depends on which they are.
        leads = tuple(
            Lead(name=name, samples=y[: int(row["n_samples"])], sampling_rate_hz=250.0)
            for name, y in zip(("V2", "V5"), x, strict=True)
        )
        found, windows, seconds = _measured(Recording(format="benchmark", leads=leads))
        yield Case(
            name=row["record"],
            odd=int("".join(c for c in row["record"] if c.isdigit())) % 2 == 1,
            found=_values(found),
            seconds=seconds,
            windows=windows,
            truths={"QTDB": _numbers(stated[row["record"]], columns)},
            wave_ends_ms=_wave_ends(windows, marked[row["record"]]),
        )


def _wave_ends(windows: Windows, marks: list[dict[str, str]]) -> dict[str, list[float]]:
    """The median beat's landmarks, laid on each marked beat, less the marks: ms."""
    x = windows.continuous_mv("V2", "V5")
    delineated = landmarks(x, find_r_peaks(x, RATE_HZ))
    errors: dict[str, list[float]] = defaultdict(list)
    if delineated is None:
        return errors
    beat, found = delineated
    ours = (found.p_on, found.p_off, found.qrs_on, found.qrs_off, found.t_off)
    # Where its P and T waves lie around the R peak, samples.
    reach = {"P": (-0.35, -0.01), "QRS": (-0.12, 0.12), "T": (0.06, 0.7)}
    for mark in marks:
        for end, at in zip(WAVE_ENDS, ours, strict=True):
            wave, side = end.split()
            theirs = mark["onset" if side == "onset" else "offset"]
            if mark["wave"] != wave or at is None or theirs in ("", "nan"):
                continue
            first, last = reach[wave]
            after_s = (2 * int(mark["peak"]) - beat.beats) / RATE_HZ
            mine = np.flatnonzero((after_s > first) & (after_s < last))
            if mine.size:
                r = int(beat.beats[mine[-1] if first >= 0 else mine[0]])
                errors[end].append((r - beat.at + at - 2 * float(theirs)) / RATE_HZ * 1e3)
    return errors


def _rows(path: Path) -> list[dict[str, str]]:
    stored = path.read_bytes()
    text = (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode()
    return list(csv.DictReader(io.StringIO(text)))


def _measured(ecg: Recording) -> tuple[Measurements, Windows, float]:
    windows = standardise(ecg)
    quality = assess(ecg, windows)
    begin = time.process_time()
    found = measure(windows, quality)
    return found, windows, time.process_time() - begin
