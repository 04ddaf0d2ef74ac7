"""Spikes of a pacemaker: jumps up and down within a few milliseconds that stand out of what is around them.

Recorders with a band to 150 Hz leave of a pulse of 0.5 ms a spike of some milliseconds; at rates below 250 Hz
it cannot be told from a notch in the QRS, so none is looked for there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.signal.order import percentile

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


JUMP_MV_S = 20.0
"""Mean over leads, from one sample to the next: what a QRS complex seldom reaches."""
JUMP_STAND_OUT = 4.0
"""A jump is so many times as steep as four fifths of the 40 ms before and after it; a QRS complex is steep
for longer than a fifth of that."""
JUMP_BESIDE_S, JUMP_PERCENTILE = 0.04, 80
JUMP_FLOOR_MV_S = 2.0
PULSE_S = 0.035
"""Recorders that draw a pulse instead of letting it through draw it up to so wide."""
TAIL_S = 0.012
"""So long an amplifier takes to come back from it."""


def without_spikes(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.float32]:
    """Finite float32 [leads, samples] with a straight line in place of what jumps in most leads at once.

    That is a pacemaker's pulse, between its edges when a recorder draws it wide, or a contact; without any
    the array itself comes back. Unlike `pacing_spikes` it says nothing about what jumped.
    """
    beside = round(JUMP_BESIDE_S * rate_hz)
    if rate_hz < MIN_RATE_HZ or leads_mv.shape[1] <= 2 * beside or not len(leads_mv):
        return leads_mv
    steps = np.abs(np.diff(leads_mv, axis=1))
    mean = steps.mean(axis=0)
    steep = np.flatnonzero(mean > JUMP_MV_S / rate_hz)
    steep = steep[(steep >= beside) & (steep < mean.size - beside)]
    around = steep[:, None] + np.arange(-beside, beside + 1)
    floor = np.float32(JUMP_FLOOR_MV_S / rate_hz)
    edges = steep[mean[steep] > JUMP_STAND_OUT * (percentile(mean[around], JUMP_PERCENTILE) + floor)]
    if not edges.size:
        return leads_mv
    around = edges[:, None] + np.arange(-beside, beside + 1)
    limits = JUMP_STAND_OUT * (percentile(steps[:, around], JUMP_PERCENTILE) + floor)
    edges = edges[(steps[:, edges] > limits).mean(axis=0) >= MIN_LEADS]
    if not edges.size:
        return leads_mv
    ends = np.flatnonzero(np.diff(edges, append=leads_mv.shape[1] + rate_hz) > PULSE_S * rate_hz)
    out = leads_mv.copy()
    for first, last in zip(edges[np.append(0, ends[:-1] + 1)].tolist(), edges[ends].tolist(), strict=True):
        begin, end = max(first - 1, 0), min(last + 1 + round(TAIL_S * rate_hz), out.shape[1] - 1)
        out[:, begin : end + 1] = np.linspace(out[:, begin], out[:, end], end - begin + 1, axis=1)
    return out
