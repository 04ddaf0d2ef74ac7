"""Which band of the signal is for what: named profiles of zero-phase filters, and their responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import InvalidArgument

_filters: Any = _untyped

Complex = npt.NDArray[np.complex128]

HIGHEST_OF_NYQUIST = 0.9
"""A low-pass or a notch from here on is left out: the sampling itself has limited the band already."""
SETTLING_S = 0.2
"""Extension at either end where there is no high-pass: low-pass and notch have settled by then."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Band limits that are run over the signal forwards and backwards, so that nothing is delayed."""

    name: str
    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    """The band's ends after both passes, where `corner_db` of the amplitude are gone; None for no end."""
    order: int = 3
    """Of the Butterworth filter in one direction; both directions together double it."""
    corner_db: Literal[3, 6] = 3
    """3: the ends are what a standard calls the bandwidth. 6: the ends are those of one pass, as
    `scipy.signal.sosfiltfilt(butter(order, [highpass, lowpass], "bandpass"))` has them."""
    notch_hz: float | None = None
    """Mains frequency to take out; see `mains.detect`."""
    notch_q: float = 30.0
    """Centre over width of the notch in one pass: 30 takes 48.9 to 51.1 Hz down by 3 dB or more in both."""

    def with_notch(self, mains_hz: float | None) -> Profile:
        """The same with the notch at this frequency, or with none."""
        return replace(self, notch_hz=mains_hz)

    def pad_samples(self, rate_hz: float, samples: int) -> int:
        """By how many samples either end is extended (point reflection) before filtering.

        One period of the high-pass corner, so that its transient is spent outside the signal; never more
        than the signal can give, `samples` - 1.
        """
        seconds = 1 / self.highpass_hz if self.highpass_hz else SETTLING_S
        return min(samples - 1, max(1, round(seconds * rate_hz)))

    def zpk(self, rate_hz: float) -> tuple[Complex, Complex, float]:
        """Zeros, poles and gain of one pass (Butterworth by the bilinear transform; second-order notch).

        Raises InvalidArgument when the rate or the band is impossible.
        """
        if not 0 < rate_hz < np.inf:
            raise InvalidArgument(f"a sampling rate of {rate_hz:g} Hz cannot be filtered")
        zeros, poles, gain = self._band(rate_hz)
        if self.notch_hz is not None and self.notch_hz < HIGHEST_OF_NYQUIST * rate_hz / 2:
            b, a = _filters.iirnotch(self.notch_hz, self.notch_q, fs=rate_hz)
            z, p, k = _filters.tf2zpk(b, a)
            zeros, poles, gain = np.append(zeros, z), np.append(poles, p), gain * float(k)
        return zeros, poles, gain

    def sos(self, rate_hz: float) -> npt.NDArray[np.float64]:
        """Second-order sections of one pass, float64 [sections, 6], as scipy's filters take them."""
        return np.asarray(_filters.zpk2sos(*self.zpk(rate_hz)), np.float64)

    def response(self, frequencies_hz: npt.NDArray[np.floating], rate_hz: float) -> npt.NDArray[np.float64]:
        """Gain of both passes together at each frequency, float64, 1 for unchanged; the phase is zero."""
        _, h = _filters.freqz_zpk(*self.zpk(rate_hz), worN=frequencies_hz, fs=rate_hz)
        return np.abs(np.asarray(h)) ** 2

    def _band(self, rate_hz: float) -> tuple[Complex, Complex, float]:
        low, high = self.highpass_hz, self.lowpass_hz
        if high is not None and high >= HIGHEST_OF_NYQUIST * rate_hz / 2:
            high = None
        if low is not None and not 0 < low < min(high or np.inf, rate_hz / 2):
            raise InvalidArgument(f"there is nothing between {low:g} Hz and {high or rate_hz / 2:g} Hz")
        if self.corner_db == 3:
            # Two passes of |H|^2 = 1 / (1 + (f / fc)^2n) leave 1 / sqrt(2) where (f / fc)^2n = sqrt(2) - 1.
            widen = (np.sqrt(2) - 1) ** (1 / (2 * self.order))
            low = None if low is None else _scaled(low, widen, rate_hz)
            high = None if high is None else _scaled(high, 1 / widen, rate_hz)
        if low is not None and high is not None:
            kind, at = "bandpass", [low, high]
        elif low is not None:
            kind, at = "highpass", low
        elif high is not None:
            kind, at = "lowpass", high
        else:
            return np.empty(0, np.complex128), np.empty(0, np.complex128), 1.0
        z, p, k = _filters.butter(self.order, at, kind, fs=rate_hz, output="zpk")
        return np.asarray(z, np.complex128), np.asarray(p, np.complex128), float(k)


def _scaled(frequency_hz: float, by: float, rate_hz: float) -> float:
    """Multiply a frequency on the analogue axis, which the bilinear transform bends."""
    return float(np.arctan(by * np.tan(np.pi * frequency_hz / rate_hz)) * rate_hz / np.pi)


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        x.name: x
        for x in (
            # The tensor contract is not filtered: what a model wants is inside its graph.
            Profile(name="model"),
            # AHA/ACCF/HRS 2007: up to 150 Hz for adults; from 0.5 Hz on the ST segment is kept because
            # the phase is zero (they allow 0.67 Hz then).
            Profile(name="measure", highpass_hz=0.5, lowpass_hz=150.0),
            # What a person may choose to look at.
            Profile(name="display 0.05-150", highpass_hz=0.05, lowpass_hz=150.0),
            Profile(name="display 0.5-150", highpass_hz=0.5, lowpass_hz=150.0),
            Profile(name="display 0.5-100", highpass_hz=0.5, lowpass_hz=100.0),
            Profile(name="display 0.5-40", highpass_hz=0.5, lowpass_hz=40.0),
            Profile(name="display 0.5-25", highpass_hz=0.5, lowpass_hz=25.0),
        )
    }
)
"""By name. `model` and `measure` are the platform's own; only what begins with `display` is offered to
people, and nothing that was filtered for display is ever measured or given to a model."""
