"""The calibration pulse that Philips cardiographs append to every lead: found, not assumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]

_MIN_SAMPLES = 10
_TOLERANCE = 0.02


def end_of_ecg(leads: Sequence[npt.NDArray[Any]], counts_per_mv: float) -> int | None:
    """How many samples of all leads come before the calibration pulse and the zeros around it, or None.

    A pulse is 1 mV, rectangular, in every lead at the same place, after zeros, with nothing but zeros behind
    it. Leads are counts [samples]; one count or 2 % of tolerance, as rounding of conversions leaves.
    """
    off = max(1.0, _TOLERANCE * counts_per_mv)
    if not leads or off >= counts_per_mv / 2:
        return None
    longest = max(x.size for x in leads)
    # A lead that ends early has lost its pulse, not the others theirs.
    counts = np.stack([x for x in leads if x.size == longest])
    used: Flags = np.asarray(counts.any(axis=0))
    after = _last(used) + 1
    other: Flags = np.asarray(((counts < counts_per_mv - off) | (counts > counts_per_mv + off)).any(axis=0))
    begin = _last(other[:after]) + 1
    if after - begin < _MIN_SAMPLES or begin == 0 or used[begin - 1]:
        return None
    return _last(used[:begin]) + 1 or None


def _last(flags: Flags) -> int:
    """Index of the last that is true, or -1."""
    return flags.size - 1 - int(flags[::-1].argmax()) if flags.any() else -1
