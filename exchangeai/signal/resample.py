"""Change the sampling rate of one lead by a polyphase FIR filter of an exact rational ratio.

Each branch of the filter is scaled to a gain of exactly 1 at 0 Hz, because otherwise an electrode offset
of some hundred mV would come back as a ripple at the old sampling rate. Beyond the ends the signal is
mirrored: zeros would make a step that rings, and odd reflection (2 x[0] - x[k]) doubles a QRS that is cut
by the end of the recording.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import InvalidArgument

_filters: Any = _untyped

ZERO_CROSSINGS = 16
"""Half length of the filter in samples of the lower of the two rates."""
KAISER_BETA = 6.0
"""About 63 dB of stop-band attenuation; with 16 crossings the pass band ends at 0.87 of Nyquist."""
MAX_FACTOR = 15_000
"""Bound of the smaller factor of the ratio: 599.88 Hz to 500 Hz (12500 / 14997) is still exact, and any
other ratio is off by less than one sample in 14 million."""
MIN_RATE_HZ = 5.0
MAX_RATE_HZ = 1_000_000.0


def ratio(from_hz: float, to_hz: float) -> Fraction:
    """The factor between two rates as a fraction whose smaller part is at most `MAX_FACTOR`.

    Raises InvalidArgument for a rate that is not between 5 Hz and 1 MHz.
    """
    if not (MIN_RATE_HZ <= from_hz <= MAX_RATE_HZ):
        raise InvalidArgument(
            f"a sampling rate of {from_hz:g} Hz cannot be resampled: it must be between "
            f"{MIN_RATE_HZ:g} Hz and {MAX_RATE_HZ:g} Hz; check the rate that the file or the caller states"
        )
    exact = Fraction(repr(float(to_hz))) / Fraction(repr(float(from_hz)))
    if exact <= 1:
        return exact.limit_denominator(MAX_FACTOR) or Fraction(1, MAX_FACTOR)
    return 1 / (1 / exact).limit_denominator(MAX_FACTOR)


def resample(samples_mv: npt.NDArray[np.floating], from_hz: float, to_hz: float) -> npt.NDArray[np.float64]:
    """Resample one lead without delay; float64 [ceil(samples * to_hz / from_hz)].

    Sample 0 stays at time 0. Samples must be finite (see `gaps.bridge_gaps`). Content up to 0.87 of the
    lower Nyquist frequency keeps its amplitude within 0.2 %.
    """
    x = np.asarray(samples_mv, np.float64)
    step = ratio(from_hz, to_hz)
    up, down = step.numerator, step.denominator
    if up == down or x.size == 0:
        return x.copy()
    taps, half = _filter(up, down)
    pad = -(-half // up)
    delay = half + pad * up
    lead_in = -delay % down
    extended = np.pad(x, pad, mode="reflect" if x.size > 1 else "edge")
    filtered = _filters.upfirdn(np.concatenate([np.zeros(lead_in), taps]), extended, up, down)
    first = (delay + lead_in) // down
    return np.asarray(filtered[first : first + -(-x.size * up // down)], np.float64)


@lru_cache(maxsize=16)
def _filter(up: int, down: int) -> tuple[npt.NDArray[np.float64], int]:
    widest = max(up, down)
    half = ZERO_CROSSINGS * widest
    taps = np.asarray(_filters.firwin(2 * half + 1, 1 / widest, window=("kaiser", KAISER_BETA)), np.float64)
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    return taps, half
