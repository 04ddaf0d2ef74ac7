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
