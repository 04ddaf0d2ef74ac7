"""Measure ECGs with other libraries: `python measure_peers.py ecgs.npz`, with the Python that has them.

A process of its own in an environment of its own (`peers-measure.txt`), so that nothing of theirs comes near
the product's. Takes float32 `mv` [records, 12, samples], `rate_hz` and int `samples` [records]; prints JSON:
for each method the seconds a record took (median), how often it raised, and each record's intervals in ms.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Ecg = npt.NDArray[np.float32]
Values = dict[str, float | None]
LEAD_II = 1


def neurokit(method: str) -> Callable[[Ecg, float], Values]:
    """Lead II alone, as the library has it."""
    nk: Any = importlib.import_module("neurokit2")

    def found(x: Ecg, rate_hz: float) -> Values:
        clean = nk.ecg_clean(x[LEAD_II].astype(np.float64), sampling_rate=rate_hz)
        peaks = nk.ecg_peaks(clean, sampling_rate=rate_hz)[1]["ECG_R_Peaks"]
        marks = nk.ecg_delineate(clean, peaks, sampling_rate=rate_hz, method=method)[1]

        def between(first: str, last: str) -> float | None:
            begin, end = (np.asarray(marks[f"ECG_{x}"], float) for x in (first, last))
            size = min(begin.size, end.size)
            return median((end[:size] - begin[:size]) / rate_hz * 1e3)

        return {
            "P": between("P_Onsets", "P_Offsets"),
            "PR": between("P_Onsets", "R_Onsets"),
            "QRS": between("R_Onsets", "R_Offsets"),
            "QT": between("R_Onsets", "T_Offsets"),
            "heart rate": rate_per_min(np.diff(peaks) / rate_hz * 1e3),
        }

    return found


def ecgdeli(leads: slice) -> Callable[[Ecg, float], Values]:
    """The leads that are given, together."""
    library: Any = importlib.import_module("ecgdeli")

    def found(x: Ecg, rate_hz: float) -> Values:
        filtered = library.filter_ecg(x[leads].T.astype(np.float64), rate_hz)
        timed = library.annotate(filtered, rate_hz).intervals()
        return {
            "P": median(timed.p_duration),
            "PR": median(timed.pq),
            "QRS": median(timed.qrs_duration),
            "QT": median(timed.qt),
            "heart rate": rate_per_min(timed.rr),
        }

    return found


METHODS: dict[str, Callable[[], Callable[[Ecg, float], Values]]] = {
    "neurokit2 dwt, lead II": lambda: neurokit("dwt"),
    "neurokit2 prominence, lead II": lambda: neurokit("prominence"),
    "ecgdeli, lead II": lambda: ecgdeli(slice(LEAD_II, LEAD_II + 1)),
    "ecgdeli, 12 leads": lambda: ecgdeli(slice(0, 12)),
}


def median(x: npt.NDArray[np.floating]) -> float | None:
    """Of what is finite."""
    finite = x[np.isfinite(x)]
    return float(np.median(finite)) if finite.size else None


def rate_per_min(rr_ms: npt.NDArray[np.floating]) -> float | None:
    """From RR intervals."""
    typical = median(rr_ms)
    return 60e3 / typical if typical else None


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    with np.load(sys.argv[1]) as stored:
        ecgs, rate_hz, sizes = stored["mv"], float(stored["rate_hz"]), stored["samples"].tolist()
    out: dict[str, Any] = {}
    for name, make in METHODS.items():
        measure, spent_s, raised = make(), [], 0
        rows: list[Values] = []
        for x, size in zip(ecgs, sizes, strict=True):
            begin = time.process_time()
            try:
                rows.append(measure(x[:, :size], rate_hz))
            except Exception:  # whatever a peer raises on a record, it has no values for it
                rows.append({})
                raised += 1
            spent_s.append(time.process_time() - begin)
        out[name] = {"seconds": float(np.median(spent_s)), "raised": raised, "values": rows}
    print(json.dumps(out))


if __name__ == "__main__":
    main()
