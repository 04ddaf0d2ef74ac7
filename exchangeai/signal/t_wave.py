"""Where the T wave of a median beat has its peak and its end, on all leads together.

A T wave is one or two humps, and its end is the foot of its last flank. Flanks are found on the steepness
of all leads, which needs no zero line; there a negative ST segment, whose level is that of a wave, has none.
A later flank counts as the T wave's, not as a U wave's, when it is steep and high enough and lies where T
waves end. Each lead then has its own end, where that flank has become flat, and the end of the T wave is
late among them: repolarisation ends where its last lead does (IEC 60601-2-25, global intervals), but one
lead of noise decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.signal.median_beat import MedianBeat
from exchangeai.signal.order import median
from exchangeai.signal.smoothing import smoothed

Float32 = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]

SMOOTH_S, STEEPNESS_SMOOTH_S = 0.032, 0.02
FIRST_AFTER_QRS_S = 0.06
USUAL_S, USUAL_WIDTH_S = 0.36, 0.13
"""When the last flank is steepest, from the onset of QRS at 60/min; at other rates with the cube root of RR
(Fridericia 1920), which holds for slow hearts too."""
LATEST_S = 0.58
MIN_SEARCH_S = 0.08
BEFORE_P_S, BEFORE_R_S = 0.02, 0.1
"""What comes so long before the next P wave or, where there is none, R peak is not of this T wave."""
FLANK_SHARE = 0.25
"""Of the steepest flank: a later one that is less steep is of a U wave."""
FLANK_SHARE_WITHOUT_P = 0.65
"""Where the atria flutter or fibrillate their waves have flanks too."""
HUMP_SHARE = 0.3
"""Of the largest distance from the level before QRS: what a later flank comes down from."""
HUMP_S, FOOT_S = 0.1, 0.08
"""How long before its steepest a flank's hump lies at most, and its foot after."""
FALL_SHARE = 0.85
"""Of its hump's height, below which a flank's foot lies."""
NOISE_TIMES = 2.0
"""A later flank is so many times as steep as what every other beat does not share."""
LEAD_EARLIER_S, LEAD_LATER_S = 0.03, 0.05
"""How much a lead's flank is steepest before and after all leads' together."""
END_SHARE = 0.3
"""Of its steepest, where a lead's flank ends."""
END_REACH_S = 0.14
MIN_FALL_MV, FALL_S = 0.02, 0.06
"""A lead whose flank falls less in that time is not told from noise."""
LATE_LEADS = 0.8
"""Share of the leads, by how far they fall, that have ended where the T wave ends."""


@dataclass(frozen=True, kw_only=True)
class Repolarisation:
    """What follows a QRS complex, prepared for looking for its T wave."""

    smooth: Float32
    """float32 [leads, samples] of the whole beat."""
    slope: Float32
    """Of `smooth`, mV per sample, from each to the next."""
    steep: Curve
    """float64 [samples]: root mean square of the slopes."""
    far: Curve
    """float64 [samples]: root mean square of the distances from each lead's level right before QRS."""
    noise: float
    """How steep is what every other beat does not share."""
    qrs_on: float
    first: int
    last: int
    """The T wave's last flank is steepest from `first` until before `last`."""
    rate_hz: float
    rr_s: float


def repolarisation(beat: MedianBeat, qrs_on: float, qrs_off: float) -> Repolarisation | None:
    """None where no time is left for a T wave."""
    rate_hz = beat.rate_hz
    first = round(qrs_off + FIRST_AFTER_QRS_S * rate_hz)
    latest = round(qrs_on + LATEST_S * _stretch(beat.rr_s) * rate_hz)
    next_beat = beat.at + round((beat.next_s - BEFORE_R_S) * rate_hz)
    last = min(beat.mv.shape[1] - round(0.02 * rate_hz), latest, next_beat)
    if last - first < MIN_SEARCH_S * rate_hz:
        return None
    smooth = smoothed(beat.mv, round(SMOOTH_S * rate_hz))
    slope = np.diff(smooth, axis=1, append=smooth[:, -1:])
    zero = median(beat.mv[:, max(round(qrs_on - 0.03 * rate_hz), 0) : max(round(qrs_on), 1)])
    alternate = (
        beat.each_mv[::2, :, first:last].mean(axis=0) - beat.each_mv[1::2, :, first:last].mean(axis=0)
    ) / 2
    unshared = np.diff(smoothed(alternate, round(SMOOTH_S * rate_hz)), axis=1)
    return Repolarisation(
        smooth=smooth,
        slope=slope,
        steep=_over_leads(slope, STEEPNESS_SMOOTH_S * rate_hz),
        far=_over_leads(smooth - zero[:, None], 0.01 * rate_hz),
        noise=float(median(_over_leads(unshared, STEEPNESS_SMOOTH_S * rate_hz))),
        qrs_on=qrs_on,
        first=first,
        last=last,
        rate_hz=rate_hz,
        rr_s=beat.rr_s,
    )


def t_wave(x: Repolarisation, next_p: float | None) -> tuple[float, float]:
    """Peak and end in samples of the median beat.

    `next_p` is where the following beat's P wave begins, when there is one.
    """
    before_p = x.last if next_p is None else min(x.last, round(next_p - BEFORE_P_S * x.rate_hz))
    # A P wave before that cannot be one: it is this T wave, or a flutter wave in step with QRS.
    last = before_p if before_p - x.first >= MIN_SEARCH_S * x.rate_hz else x.last
    instants = (np.arange(x.first, last) - x.qrs_on) / x.rate_hz / _stretch(x.rr_s)
    usual = np.exp(-0.5 * ((instants - USUAL_S) / USUAL_WIDTH_S) ** 2)
    share = FLANK_SHARE_WITHOUT_P if next_p is None else FLANK_SHARE
    far = x.far[x.first : last]
    flank = _last_flank(x.steep[x.first : last] * usual, far, usual, share, x.noise, x.rate_hz)
    peak = x.first + int(np.argmax((far * usual)[: flank + 1]))
    return float(peak), _end(x, x.first + flank)


def _stretch(rr_s: float) -> float:
    return float(rr_s ** (1 / 3))


def _over_leads(x: Float32, smooth_samples: float) -> Curve:
    """Root mean square over [leads, samples], [samples]."""
    return smoothed(np.sqrt(np.square(x).mean(axis=0))[None], round(smooth_samples))[0].astype(np.float64)


def _last_flank(steep: Curve, far: Curve, usual: Curve, share: float, noise: float, rate_hz: float) -> int:
    """Where the last flank that is the T wave's is steepest."""
    inside = steep[1:-1]
    summits = np.flatnonzero((inside >= steep[:-2]) & (inside > steep[2:])) + 1
    if not summits.size:
        return int(np.argmax(steep))
    largest = int(summits[np.argmax(steep[summits])])
    least = max(share * float(steep[largest]), NOISE_TIMES * noise)
    top = float((far * usual).max())
    hump, foot = round(HUMP_S * rate_hz), round(FOOT_S * rate_hz)
    for at in summits[::-1].tolist():
        high, low = far[max(at - hump, 0) : at + 1].max(), far[at : at + foot].min()
        if steep[at] >= least and high * usual[at] >= HUMP_SHARE * top and low < FALL_SHARE * high:
            return at
    return largest


def _end(x: Repolarisation, flank: int) -> float:
    """The late one among the leads' ends of the flank."""
    smooth, slope, rate_hz = x.smooth, x.slope, x.rate_hz
    rows, size = np.arange(len(smooth)), smooth.shape[1]
    begin = max(flank - round(LEAD_EARLIER_S * rate_hz), x.first)
    near = np.abs(slope[:, begin : min(flank + round(LEAD_LATER_S * rate_hz), size - 2)])
    at = begin + near.argmax(axis=1)
    limit = END_SHARE * near.max(axis=1)
    reach = round(END_REACH_S * rate_hz)
    # The last slope is none: a flank that the beat cuts off ends there.
    within = np.minimum(at[:, None] + np.arange(reach), size - 1)
    falling = slope[rows[:, None], within] * np.sign(slope[rows, at])[:, None]
    over = falling <= limit[:, None]
    steps = np.where(over.any(axis=1), over.argmax(axis=1), reach - 1)
    higher, lower = falling[rows, np.maximum(steps - 1, 0)], falling[rows, steps]
    # A slope lies between its sample and the next.
    ends = at + steps - 0.5 + np.clip((higher - limit) / np.maximum(higher - lower, 1e-9), 0, 1)
    feet = smooth[rows, np.minimum(at + steps, size - 1)]
    fall = np.abs(feet - smooth[rows, np.maximum(at - round(FALL_S * rate_hz), 0)])
    weight = np.where(fall >= min(MIN_FALL_MV, float(fall.max())), fall, 0)
    order = np.argsort(ends)
    total = np.cumsum(weight[order])
    return float(ends[order[np.searchsorted(total, LATE_LEADS * total[-1])]])
