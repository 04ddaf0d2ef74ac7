"""Run a profile's filter over many leads at once, forwards and backwards, without delay."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.signal.profiles import Profile

_filters: Any = _untyped


def zero_phase(x_mv: npt.NDArray[np.float32], rate_hz: float, profile: Profile) -> npt.NDArray[np.float32]:
    """Filter along the last axis; float32 of the same shape [..., samples], mV.

    Samples must be finite: what a file has no value for is bridged by the caller (`gaps.bridge_gaps`).
    Raises InvalidArgument when the rate or the profile's band is impossible.
    """
    sections = profile.sos(rate_hz)
    if x_mv.size == 0 or len(sections) == 0:
        return np.array(x_mv, np.float32)
    pad = profile.pad_samples(rate_hz, x_mv.shape[-1])
    out = _filters.sosfiltfilt(sections, np.asarray(x_mv, np.float64), axis=-1, padlen=pad)
    return np.asarray(out, np.float32)
