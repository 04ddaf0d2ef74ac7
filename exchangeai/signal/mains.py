"""Mains of 50 or 60 Hz in the leads, told from muscle noise and QRS by its neighbours in frequency."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

MAINS_HZ = (50.0, 60.0)
BESIDE_HZ = 4.0
"""Noise that is as strong this far to either side is no mains."""
MIN_RATE_HZ = 140.0
"""Below it 60 Hz lies so near half the rate that recorders have filtered it away."""


LEAST_MV = 0.005
"""Weaker mains than one step of most recorders are left alone: the notch would cost more than it mends."""
LEAST_ABOVE_BESIDE = 4.0
"""Mains is a line: its power is so many times that of the noise beside it."""


def detect(x_mv: npt.NDArray[np.float32], rate_hz: float) -> float | None:
    """Mains frequency in finite [leads, samples]: 50.0, 60.0, or None where no lead has a line there.

    None also for less than a second, and for a rate below 140 Hz.
    """
    if not _can_be_seen(x_mv, rate_hz):
        return None
    power = _power(x_mv, rate_hz)
    beside = power[:, :, 1:].mean(-1)
    is_line = power[:, :, 0] >= np.maximum(LEAST_ABOVE_BESIDE * beside, LEAST_MV**2)
    strength = np.where(is_line, power[:, :, 0] - beside, 0).sum(0)
    return MAINS_HZ[int(strength.argmax())] if strength.any() else None


def mains_amplitude_mv(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.float32]:
    """Amplitude (half of peak to peak) of the stronger of 50 and 60 Hz, 0 without any; float32 [leads].

    The root mean square over whole seconds of [leads, samples] of what is above the mean power beside it.
    0 for less than a second or a rate below 140 Hz.
    """
    if not _can_be_seen(leads_mv, rate_hz):
        return np.zeros(len(leads_mv), np.float32)
    power = _power(leads_mv, rate_hz)
    above = power[:, :, 0] - (power[:, :, 1] + power[:, :, 2]) / 2
    return np.sqrt(np.maximum(above, 0)).max(-1)


def _can_be_seen(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> bool:
    return rate_hz >= MIN_RATE_HZ and leads_mv.shape[1] >= round(rate_hz)


def _power(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.float32]:
    """[leads, mains frequency, itself and 4 Hz below and above], mean over whole seconds, mV^2."""
    n = round(rate_hz)
    leads, count = len(leads_mv), leads_mv.shape[1] // n
    waves = leads_mv[:, : count * n].reshape(leads * count, n) @ _waves(n, rate_hz)
    return (waves * waves).reshape(leads, count, len(MAINS_HZ), 3, 2).sum(-1).mean(1)


@lru_cache(maxsize=8)
def _waves(n: int, rate_hz: float) -> npt.NDArray[np.float32]:
    """Sine and cosine of each frequency and its neighbours under a Hann window, float32 [samples, 12].

    Scaled so that a sine of amplitude 1 has power 1.
    """
    t = np.arange(n) / rate_hz
    frequencies = [f for mains in MAINS_HZ for f in (mains, mains - BESIDE_HZ, mains + BESIDE_HZ)]
    window = np.hanning(n)
    scale = 2 / window.sum()
    columns = [g(2 * np.pi * f * t) * window * scale for f in frequencies for g in (np.cos, np.sin)]
    return np.stack(columns, axis=1).astype(np.float32)
