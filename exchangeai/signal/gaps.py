"""Bridge samples that the file has no value for, so that filters can run over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def gap_share(samples_mv: npt.NDArray[np.float32]) -> float:
    """Share (0 to 1) of samples without a finite value; 1 for an empty lead."""
    if samples_mv.size == 0:
        return 1.0
    return float(np.count_nonzero(~np.isfinite(samples_mv)) / samples_mv.size)


def bridge_gaps(samples_mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Replace non-finite samples by the straight line between their neighbours; float64 [samples], mV.

    A gap at an end takes the nearest value. A lead without any finite sample becomes zeros: callers treat
    such a lead as missing.
    """
    x = samples_mv.astype(np.float64)
    known = np.isfinite(x)
    if known.all():
        return x
    if not known.any():
        return np.zeros_like(x)
    at = np.flatnonzero(known)
    return np.interp(np.arange(x.size), at, x[at])
