"""Recordings for the tests of signal processing: one real, and synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12
from exchangeai.recording import Lead, Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "signal" / "ludb_record.npz"


def real_ecg() -> tuple[Recording, npt.NDArray[np.int32]]:
    """A real 12-lead ECG at 500 Hz and the R peaks that cardiologists marked in lead II."""
    with np.load(GOLDEN) as stored:
        steps = np.cumsum(stored["first_differences"], axis=-1, dtype=np.int16)
        return recording(steps * np.float32(0.005), 500.0), stored["r_peaks_lead_II"]


def recording(samples_mv: npt.NDArray[np.floating], rate_hz: float) -> Recording:
    """Twelve leads from [12, samples]."""
    return of_leads(dict(zip(STANDARD_12, samples_mv, strict=True)), rate_hz)


def of_leads(leads_mv: Mapping[str, npt.NDArray[np.floating]], rate_hz: float) -> Recording:
    """Any leads of one rate."""
    return Recording(
        format="test",
        leads=tuple(
            Lead(name=name, samples=x.astype(np.float32), sampling_rate_hz=rate_hz)
            for name, x in leads_mv.items()
        ),
    )


def noise(seconds: float, rate_hz: float = 500.0, seed: int = 0) -> npt.NDArray[np.float64]:
    """[12, samples] of 0.3 mV noise: no ECG, but nothing that a quality flag is about."""
    return np.random.default_rng(seed).normal(0, 0.3, (12, round(seconds * rate_hz)))


def synthetic_ecg(seconds: float, rate_hz: float = 500.0, seed: int = 0) -> npt.NDArray[np.float64]:
    """[12, samples] of 75 beats a minute with limb leads that add up, and 5 µV of noise."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phase_s = (t + 0.3) % 0.8 - 0.4
    waves = np.stack([np.exp(-(((phase_s - at) / width) ** 2) / 2) for at, width in _WAVES])
    rng = np.random.default_rng(seed)
    independent = _HEIGHTS_MV @ waves + rng.normal(0, 0.005, (8, t.size))
    one, two = independent[:2]
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    return np.concatenate([limb, independent[2:]])


_WAVES = ((-0.16, 0.025), (-0.025, 0.008), (0.0, 0.012), (0.03, 0.01), (0.25, 0.04))
"""P, Q, R, S, T: seconds from the R peak, and standard deviation."""
_HEIGHTS_MV = np.array(
    [
        [0.08, -0.05, 0.7, -0.1, 0.2],
        [0.12, -0.05, 1.0, -0.15, 0.3],
        [0.05, 0.0, 0.2, -0.9, -0.05],
        [0.06, 0.0, 0.4, -1.4, 0.4],
        [0.07, 0.0, 0.8, -1.0, 0.5],
        [0.07, -0.05, 1.3, -0.6, 0.45],
        [0.07, -0.08, 1.4, -0.3, 0.4],
        [0.07, -0.08, 1.1, -0.1, 0.3],
    ]
)
"""Of I, II, V1 to V6: a normal ECG."""
