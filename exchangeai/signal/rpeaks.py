"""Find the R peaks on the most trustworthy lead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.measurements import Quality
from exchangeai.signal.quality import usable_leads

PREFERRED = ("II", "V5", "I", "V2", "V6", "V4", "V3", "aVF", "III", "V1", "aVL", "aVR")
"""Lead II first: the R wave is upright and tall in most people; then leads near the heart's axis."""


def best_lead(quality: Quality) -> str | None:
    """The usable lead with the fewest flags, `PREFERRED` deciding among equals; None when none is usable."""
    usable = set(usable_leads(quality))
    flags = {x.lead: len(x.flags) for x in quality.leads if x.lead in usable}
    return min(flags, key=lambda x: (flags[x], PREFERRED.index(x)), default=None)


def find_r_peaks(samples_mv: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.int64]:
    """Sample indices of the R peaks of one lead (Pan and Tompkins 1985, centred; by sleepecg)."""
    # Not at the top: the import takes 2 s, and whoever only standardises does not have it installed.
    from sleepecg.heartbeats import detect_heartbeats

    x = np.ascontiguousarray(samples_mv, np.float64)
    if x.size < 2 * rate_hz or not np.any(x != x[0]):
        return np.empty(0, np.int64)
    return np.asarray(detect_heartbeats(x, rate_hz), np.int64)
