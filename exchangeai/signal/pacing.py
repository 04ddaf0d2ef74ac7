"""Spikes of a pacemaker: jumps up and down within a few milliseconds that stand out of what is around them.

Recorders with a band to 150 Hz leave of a pulse of 0.5 ms a spike of some milliseconds; at rates below 250 Hz
it cannot be told from a notch in the QRS, so none is looked for there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MIN_RATE_HZ = 250.0
LAG_S = 0.004
"""A spike goes up and down within twice this time; an R wave takes ten times as long."""
MIN_HEIGHT_MV = 0.08
"""How far the middle of 8 ms lies from the line between its ends, mean over leads."""
STAND_OUT = 4.0
"""A spike is this many times as sharp as all that is 12 to 40 ms before and after it."""
MIN_LEADS = 0.5
"""Share of leads that show it: a pulse shows in most, a pop of one electrode does not."""
NEAR_S, FAR_S = 0.012, 0.04
NOISE_FLOOR_MV = 0.005
REFRACTORY_S = 0.3


def pacing_spikes(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.int64]:
    """Sample indices of spikes in finite [leads, samples]; empty below 250 Hz or without leads.

    Two spikes less than 0.3 s apart (atrium and ventricle) are one.
    """
    lag = max(1, round(LAG_S * rate_hz))
    if rate_hz < MIN_RATE_HZ or leads_mv.shape[1] < rate_hz or not len(leads_mv):
        return np.empty(0, np.int64)
    bent = leads_mv[:, lag:-lag] * np.float32(2)
    bent -= leads_mv[:, : -2 * lag]
    bent -= leads_mv[:, 2 * lag :]
    sharp = np.abs(bent, out=bent).mean(0) / 2
    candidates = np.flatnonzero(sharp > MIN_HEIGHT_MV)
    near, far = round(NEAR_S * rate_hz), round(FAR_S * rate_hz)
    candidates = candidates[(candidates >= far) & (candidates < sharp.size - far)]
    if candidates.size == 0:
        return candidates
    away = np.arange(near, far + 1)
    beside = sharp[candidates[:, None] + np.concatenate([-away, away])].max(1)
    found = candidates[sharp[candidates] > STAND_OUT * (beside + NOISE_FLOOR_MV)]
    found = found[(bent[:, found] > MIN_HEIGHT_MV / 2).mean(0) >= MIN_LEADS]
    apart = np.diff(found, prepend=-np.iinfo(np.int32).max) > REFRACTORY_S * rate_hz
    return found[apart] + lag
