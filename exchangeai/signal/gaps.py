"""Samples that the file has no value for: where they are, and a bridge on which filters can run over them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def gap_share(samples_mv: npt.NDArray[np.float32]) -> float:
    """Share (0 to 1) of samples without a finite value; 1 for an empty lead."""
    if samples_mv.size == 0:
        return 1.0
    return float(np.count_nonzero(~np.isfinite(samples_mv)) / samples_mv.size)


def has_value(samples_mv: npt.NDArray[np.float32]) -> bool:
    """Whether any sample is finite; of most leads the first one is."""
    return samples_mv.size > 0 and (math.isfinite(samples_mv[0]) or bool(np.isfinite(samples_mv).any()))


def bridge_gaps(samples_mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Replace non-finite samples by the straight line between their neighbours; float32 [..., samples], mV.

    A gap at an end takes the nearest value. A lead without any finite sample becomes zeros: callers treat
    such a lead as missing. Without gaps the array itself comes back.
    """
    x = np.asarray(samples_mv, np.float32)
    known = np.isfinite(x)
    if known.all():
        return x
    rows, known_rows = x.reshape(-1, x.shape[-1]).copy(), known.reshape(-1, x.shape[-1])
    for row, has_value in zip(rows, known_rows, strict=True):
        if not has_value.any():
            row[:] = 0
        elif not has_value.all():
            at = np.flatnonzero(has_value)
            row[~has_value] = np.interp(np.flatnonzero(~has_value), at, row[at])
    return rows.reshape(x.shape)


def gaps_at(
    samples_mv: npt.NDArray[np.float32], from_hz: float, to_hz: float, samples: int
) -> npt.NDArray[np.bool_] | None:
    """Which of so many samples at another rate have no value of one lead nearest to them; None when all have.

    A lead that ends before them has none there.
    """
    known = np.isfinite(samples_mv)
    if known.all() and -(-known.size * to_hz // from_hz) >= samples:
        return None
    nearest = np.rint(np.arange(samples) * (from_hz / to_hz)).astype(np.int64)
    # The last sample stands for all that resampling makes of it.
    ended = np.arange(samples) * from_hz >= known.size * to_hz
    return ended | ~known[np.minimum(nearest, known.size - 1)]
