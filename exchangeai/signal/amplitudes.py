"""Axes, heights of R and S and the ST level from a median beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.measurements import LeadAmplitudes
from exchangeai.signal.delineation import Landmarks
from exchangeai.signal.median_beat import MedianBeat
from exchangeai.signal.order import median

ST_AFTER_J_S = 0.06
"""J + 60 ms, what most exercise and bedside systems report."""
MIN_AXIS_MV_S = 5e-4
"""A net area smaller than 10 µV over 50 ms points nowhere."""


def axis_deg(
    beat: MedianBeat, leads: Sequence[str], wave: tuple[float | None, float | None], level_at: float | None
) -> float | None:
    """Frontal axis of a wave, -180 to 180 degrees, from its net areas in I and aVF.

    `wave` is where it begins and ends, `level_at` the instant before which each lead's zero is taken.

    aVF is II - I / 2 (Goldberger), whose unit is 2 / sqrt(3) of that of I in the hexaxial system, hence
    atan2(2 aVF, sqrt(3) I) (Novosel et al. 1999, Croat. Med. J. 40(1)). None where the wave or a lead is
    absent, or points out of the plane.
    """
    begin, end = wave
    if begin is None or end is None or level_at is None or "I" not in leads or "II" not in leads:
        return None
    base = _baseline_mv(beat, level_at)
    first, last = round(begin), max(round(end), round(begin) + 1)
    areas = (beat.mv[:, first:last] - base[:, None]).sum(axis=1) / beat.rate_hz
    one, two = float(areas[leads.index("I")]), float(areas[leads.index("II")])
    across, down = np.sqrt(3) * one, 2 * (two - one / 2)
    if np.hypot(across, down) < MIN_AXIS_MV_S:
        return None
    return float(np.degrees(np.arctan2(down, across)))


def lead_amplitudes(beat: MedianBeat, leads: Sequence[str], marks: Landmarks) -> tuple[LeadAmplitudes, ...]:
    """R, S and ST of each lead, mV against the level right before the QRS complex."""
    base = _baseline_mv(beat, marks.qrs_on)
    first, last = round(marks.qrs_on), round(marks.qrs_off) + 1
    complexes = beat.mv[:, first:last] - base[:, None]
    st = round(marks.qrs_off + ST_AFTER_J_S * beat.rate_hz)
    inside = st + 2 < beat.mv.shape[1]
    levels = beat.mv[:, st - 2 : st + 3].mean(axis=1) - base if inside else np.full(len(base), np.nan)
    return tuple(
        LeadAmplitudes(
            lead=name,
            r_mv=max(float(x.max()), 0.0),
            s_mv=min(float(x[int(x.argmax()) :].min()), 0.0),
            st_mv=float(level) if inside else None,
        )
        for name, x, level in zip(leads, complexes, levels, strict=True)
    )


def _baseline_mv(beat: MedianBeat, begin: float) -> npt.NDArray[np.float32]:
    """The level of each lead in the 16 ms before."""
    at = max(round(begin), 1)
    return median(beat.mv[:, max(at - round(0.016 * beat.rate_hz), 0) : at])
