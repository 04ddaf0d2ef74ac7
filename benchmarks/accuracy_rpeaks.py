"""Measure beat detection beside other libraries: `python -m benchmarks.accuracy_rpeaks [--differences]`.

The product takes all leads of a recording; the others, which take one, get the lead that they are best on
over the whole set, which favours them. A beat is found when it is within 150 ms (and 50 ms) of its mark; what
lies outside the first and the last mark is not judged. `EXCHANGEAI_DATA` is the folder with `ludb-500hz`,
`mitbih-excerpts-360hz` and `qtdb-250hz`; peers that are not installed are left out (`peers-rpeaks.txt`
pins them).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.quality_data import DATA, load_signals, read_rows
from exchangeai.signal.rpeaks import find_r_peaks

Signal = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int64]
Detector = Callable[[Signal, float], npt.ArrayLike]

TOLERANCES_S = (0.15, 0.05)
NOT_BEATS = frozenset('+~|"x![]')
"""Symbols of PhysioNet annotations that mark rhythm, quality, artefacts or P waves."""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A recording with its beats."""

    record: str
    x_mv: Signal
    rate_hz: float
    beats: Samples


@dataclass(kw_only=True)
class Score:
    """Sums over a set at one tolerance."""

    found: int = 0
    missed: int = 0
    false: int = 0
    errors_ms: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])
    raised: int = 0
    """Recordings that the detector refused with an error: all their beats are missed."""

    @property
    def f1(self) -> float:
        return 2 * self.found / max(2 * self.found + self.missed + self.false, 1)


def ludb() -> list[Marked]:
    """A beat is where QRS marks of the leads lie together: the median of those within 150 ms."""
    marks: dict[str, list[int]] = {}
    for row in _rows("ludb-500hz/waves.csv.gz"):
        if row["wave"] == "QRS":
            marks.setdefault(row["record"], []).append(int(row["peak"]))
    merged = {k: _merged(np.sort(np.array(x)), round(0.15 * 500)) for k, x in marks.items()}
    return _marked("ludb-500hz", 500.0, merged)


def _merged(marks: Samples, apart: int) -> Samples:
    together = np.split(marks, np.flatnonzero(np.diff(marks) > apart) + 1)
    return np.array([round(float(np.median(x))) for x in together])


def annotated(dataset: str, file: str, rate_hz: float) -> list[Marked]:
    """A set with one file of beats."""
    beats: dict[str, list[int]] = {}
    for row in _rows(f"{dataset}/{file}"):
        if row["symbol"] not in NOT_BEATS:
            beats.setdefault(row["record"], []).append(int(row["sample"]))
    return _marked(dataset, rate_hz, {k: np.array(v) for k, v in beats.items()})


def ours(x_mv: Signal, rate_hz: float) -> Samples:
    """All leads."""
    return find_r_peaks(x_mv, rate_hz).samples


def peers() -> dict[str, Detector]:
    """Those that are installed, each for one lead [samples]."""
    out: dict[str, Detector] = {}
    for name, (module, make) in _PEERS.items():
        try:
            out[name] = make(importlib.import_module(module))
        except Exception as e:  # a broken installation of one peer leaves out that peer
            print(f"left out: {name} ({type(e).__name__}: {e})")
    return out


def _neurokit(method: str, nk: Any) -> Detector:
    def detect(x: Signal, rate_hz: float) -> npt.ArrayLike:
        # Each method has its own cleaning but those that take the default one.
        cleaning = method if method == "pantompkins1985" else "neurokit"
        clean = nk.ecg_clean(x, sampling_rate=int(rate_hz), method=cleaning)
        return nk.ecg_peaks(clean, sampling_rate=int(rate_hz), method=method)[1]["ECG_R_Peaks"]

    return detect


def _xqrs(module: Any) -> Detector:
    def detect(x: Signal, rate_hz: float) -> npt.ArrayLike:
        found = module.XQRS(sig=x.astype(np.float64), fs=rate_hz)
        found.detect(verbose=False)
        return found.qrs_inds

    return detect


_PEERS: dict[str, tuple[str, Callable[[Any], Detector]]] = {
    "sleepecg": ("sleepecg", lambda m: lambda x, r: m.detect_heartbeats(x.astype(np.float64), r)),
    "neurokit2 (neurokit)": ("neurokit2", partial(_neurokit, "neurokit")),
    "neurokit2 (rodrigues2021)": ("neurokit2", partial(_neurokit, "rodrigues2021")),
    "neurokit2 (pantompkins1985)": ("neurokit2", partial(_neurokit, "pantompkins1985")),
    "wfdb xqrs": ("wfdb.processing", _xqrs),
    "wfdb gqrs": ("wfdb.processing", lambda m: lambda x, r: m.gqrs_detect(sig=x.astype(np.float64), fs=r)),
    "biosppy hamilton": (
        "biosppy.signals.ecg",
        lambda m: lambda x, r: m.correct_rpeaks(x, m.hamilton_segmenter(x, r)[0], r, 0.05)[0],
    ),
    "ecgdetectors two_average": (
        "ecgdetectors",
        lambda m: lambda x, r: m.Detectors(r).two_average_detector(x.astype(np.float64)),
    ),
}


def judge(sets: list[Marked], detect: Detector, lead: int | None) -> tuple[dict[float, Score], float]:
    """Scores by tolerance in s, and CPU time in ms for 10 s of what the detector was given.

    A peer that raises has found nothing in that recording.
    """
    scores = {x: Score() for x in TOLERANCES_S}
    spent = seconds = 0.0
    for marked in sets:
        x = marked.x_mv if lead is None else np.ascontiguousarray(marked.x_mv[lead])
        began = time.process_time()
        try:
            at = np.asarray(detect(x, marked.rate_hz), np.float64)
        except Exception:  # whatever a peer raises, the table goes on and counts it
            at = np.empty(0)
            for score in scores.values():
                score.raised += 1
        spent += time.process_time() - began
        seconds += x.shape[-1] / marked.rate_hz
        for tolerance_s, score in scores.items():
            _count(marked, at[np.isfinite(at)], tolerance_s, score)
    return scores, spent * 1e4 / seconds


def _count(marked: Marked, at: npt.NDArray[np.float64], tolerance_s: float, score: Score) -> None:
    """One mark pairs with one beat at most, the nearest that is free, in order of time."""
    reach = tolerance_s * marked.rate_hz
    at = np.sort(at[(at >= marked.beats[0] - reach) & (at <= marked.beats[-1] + reach)])
    free = np.ones(at.size, bool)
    missed: list[float] = []
    for beat in marked.beats:
        near = np.flatnonzero(free & (np.abs(at - beat) <= reach))
        if near.size:
            best = near[np.argmin(np.abs(at[near] - beat))]
            free[best] = False
            score.errors_ms.append(float(at[best] - beat) / marked.rate_hz * 1000)
        else:
            missed.append(round(float(beat) / marked.rate_hz, 2))
    score.found += len(marked.beats) - len(missed)
    score.missed += len(missed)
    score.false += int(free.sum())
    if missed or free.any():
        false = [round(float(x) / marked.rate_hz, 2) for x in at[free]]
        score.wrong.append(f"{marked.record}: missed {missed}, false {false}")


def _rows(path: str) -> list[dict[str, str]]:
    with gzip.open(DATA / path, "rt", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def _marked(dataset: str, rate_hz: float, beats: dict[str, Samples]) -> list[Marked]:
    signals = load_signals(DATA / dataset / "signals.npy.xz")
    return [
        Marked(
            record=row["record"],
            x_mv=x[:, : int(row["n_samples"])] if "n_samples" in row else x,
            rate_hz=rate_hz,
            beats=beats[row["record"]],
        )
        for x, row in zip(signals, read_rows(dataset), strict=True)
        if row["record"] in beats
    ]


def _line(name: str, lead: str, scores: dict[float, Score], ms: float) -> str:
    wide, narrow = (scores[x] for x in TOLERANCES_S)
    middle, spread = np.median(wide.errors_ms or [np.nan]), np.std(wide.errors_ms or [np.nan])
    refused = f" ({wide.raised} raised)" if wide.raised else ""
    return (
        f"| {name}{refused} | {lead} | {wide.missed} / {wide.false} | {wide.f1:.4f} | {narrow.f1:.4f} "
        f"| {middle:+.0f} ± {spread:.0f} | {ms:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--differences", action="store_true", help="say which beats of ours are wrong")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn a thousand times
    others = peers()
    print(about())
    for title, sets, leads in (
        ("LUDB", ludb(), {"I": 0, "II": 1, "V2": 7, "V5": 10}),
        ("MIT-BIH", annotated("mitbih-excerpts-360hz", "beats.csv.gz", 360.0), {"first": 0, "second": 1}),
        ("QTDB", annotated("qtdb-250hz", "beats_atr.csv.gz", 250.0), {"first": 0, "second": 1}),
    ):
        print(f"\n{title}: {len(sets)} recordings, {sum(x.beats.size for x in sets)} beats\n")
        print("| | leads | missed / false | F1 150 ms | F1 50 ms | median ± SD, ms | CPU ms for 10 s |")
        print("|---|---|---|---|---|---|---|")
        scores, ms = judge(sets, ours, None)
        print(_line("**exchangeai**", f"all {len(sets[0].x_mv)}", scores, ms), flush=True)
        wrong = scores[TOLERANCES_S[0]].wrong
        alone = {name: judge(sets, ours, lead) for name, lead in leads.items()}
        best = max(alone, key=lambda x: alone[x][0][TOLERANCES_S[0]].f1)
        print(_line("exchangeai, one lead", best, *alone[best]), flush=True)
        for name, detect in others.items():
            tried = {x: judge(sets, detect, lead) for x, lead in leads.items()}
            best = max(tried, key=lambda x: tried[x][0][TOLERANCES_S[0]].f1)
            print(_line(name, best, *tried[best]), flush=True)
        if chosen.differences:
            print(*wrong, sep="\n")


if __name__ == "__main__":
    main()
