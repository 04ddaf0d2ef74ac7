"""Where the waves of a median beat begin and end, on all leads together.

QRS: all leads' steepness, each over its largest, is one curve; the complex lasts from where it leaves its
quiet level to where it comes back. P: the end of a wave in one lead is where its falling flank has become
five times less steep than it was at its steepest; over the leads these ends are averaged, weighted by the
wave's height, and leads that disagree are left out. So one flat or noisy lead decides nothing. T: `t_wave`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.signal.median_beat import MedianBeat
from exchangeai.signal.order import median, percentile
from exchangeai.signal.smoothing import smoothed
from exchangeai.signal.t_wave import repolarisation, t_wave

Float32 = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]

QRS_ON, QRS_OFF = 0.05, 0.09
"""Share of the largest steepness above the quiet level."""
QUIET_S = 0.020
"""So long the steepness stays below it outside the complex."""
FLANK_LEFT = 0.2
"""Of the steepest, where a P wave begins."""
AGREEING_S = 0.04
"""Leads whose wave ends further from the typical end are left out."""
MIN_P_MV = 0.02
"""Lower waves on the best lead are not told from what is left of noise in a median beat."""
MIN_P_CORRELATION = 0.75
"""Of the P waves of single beats with the median one, in the typical beat. In the sinus rhythms of LUDB it
is above 0.88, in atrial fibrillation, whose waves differ from beat to beat, below 0.7."""
P_OFF_FLANK_LEFT = 0.3
"""Of the steepest: a P wave ends before the PR segment, which is seldom level."""


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Instants in samples of the median beat, fractions included; None where a wave is not there."""

    qrs_on: float
    qrs_off: float
    t_peak: float | None = None
    t_off: float | None = None
    p_on: float | None = None
    p_peak: float | None = None
    p_off: float | None = None


def delineate(beat: MedianBeat) -> Landmarks:
    """The landmarks of a median beat."""
    qrs_on, qrs_off = _qrs(beat)
    smooth = smoothed(beat.mv, round(0.024 * beat.rate_hz))
    after = repolarisation(beat, qrs_on, qrs_off)
    t_peak, t_off = t_wave(after, None) if after else (None, None)
    p_on, p_peak, p_off = _p_wave(beat, smooth, qrs_on, t_off)
    # A T wave of several humps is told from a P wave and from flutter only once P waves are known.
    if after and p_on is not None:
        t_peak, t_off = t_wave(after, p_on + beat.rr_s * beat.rate_hz)
    return Landmarks(
        qrs_on=qrs_on, qrs_off=qrs_off, t_peak=t_peak, t_off=t_off, p_on=p_on, p_peak=p_peak, p_off=p_off
    )


def _qrs(beat: MedianBeat) -> tuple[float, float]:
    rate_hz, r = beat.rate_hz, beat.at
    slope = np.gradient(beat.mv, axis=1) * rate_hz
    slope /= np.maximum(np.abs(slope).max(axis=1, keepdims=True), 1)
    steep = smoothed(np.sqrt(np.square(slope).mean(axis=0))[None], round(0.012 * rate_hz))[0]
    first, last = max(r - round(0.1 * rate_hz), 0), r + round(0.1 * rate_hz)
    tall = first + np.flatnonzero(steep[first:last] > 0.5 * steep[first:last].max())
    before = steep[max(r - round(0.2 * rate_hz), 0) : max(r - round(0.07 * rate_hz), 1)]
    after = steep[r + round(0.1 * rate_hz) : r + round(0.2 * rate_hz)]
    top = float(steep[first:last].max())
    on = _quiet(steep[: int(tall[0]) + 1][::-1], before, top, QRS_ON, rate_hz)
    off = _quiet(steep[int(tall[-1]) :], after, top, QRS_OFF, rate_hz)
    return float(tall[0] - on), float(tall[-1] + off)


def _quiet(steep: Curve, rest: Curve, top: float, share: float, rate_hz: float) -> int:
    """How many samples from the beginning until the curve stays quiet."""
    level = float(percentile(rest, 20)) if rest.size else 0.0
    below = steep < level + share * (top - level)
    run = max(round(QUIET_S * rate_hz), 1)
    reach = min(below.size, round(0.12 * rate_hz) + run)
    if reach < run:
        return reach
    calm = np.lib.stride_tricks.sliding_window_view(below[:reach], run).all(axis=1)
    return int(np.argmax(calm)) if calm.any() else reach - run


def _p_wave(
    beat: MedianBeat, smooth: Float32, qrs_on: float, t_off: float | None
) -> tuple[float | None, float | None, float | None]:
    rate_hz = beat.rate_hz
    none = (None, None, None)
    last = round(qrs_on - 0.03 * rate_hz)
    # Not into the T wave of the beat before, which ends right before the P wave of a fast heart.
    t_before = 0.0 if t_off is None else t_off - beat.rr_s * rate_hz
    first = max(round(qrs_on - 0.30 * rate_hz), round(t_before), round(0.02 * rate_hz))
    if last - first < 0.06 * rate_hz:
        return none
    window = smooth[:, first:last]
    # Each lead around the straight line through the window's ends, so that a sloping T wave is no P wave.
    line = np.linspace(0, 1, window.shape[1], dtype=np.float32)
    bent = window - (window[:, :1] * (1 - line) + window[:, -1:] * line)
    power = np.sqrt(np.square(bent).mean(axis=0))
    peak = first + int(np.argmax(power))
    half = round(0.04 * rate_hz)
    start, stop = max(peak - half, first), min(peak + half, last)
    if stop - start < half:
        return none
    after = median(smooth[:, last : round(qrs_on - 0.01 * rate_hz)])
    reach = round(0.10 * rate_hz)
    limits = (reach, AGREEING_S * rate_hz, MIN_P_MV)
    off = _wave_end(smooth[:, : round(qrs_on)], (start, stop), after, *limits, P_OFF_FLANK_LEFT)
    size = smooth.shape[1]
    mirrored = smooth[:, ::-1]
    before = median(smooth[:, max(start - half, 0) : max(start - half // 2, 1)])
    on = _wave_end(mirrored, (size - stop, size - start), before, *limits, FLANK_LEFT)
    if off is None or on is None:
        return none
    begin = size - 1 - on[1]
    if _consistency(beat, round(begin), round(off[1])) < MIN_P_CORRELATION:
        return none
    return begin, (off[0] + size - 1 - on[0]) / 2, off[1]


def _consistency(beat: MedianBeat, first: int, last: int) -> float:
    """Typical correlation of single beats with the median beat from `first` to `last`, over all leads."""
    if last - first < 3:
        return 0.0
    size = round(0.024 * beat.rate_hz)
    each = smoothed(beat.each_mv[:, :, first:last].reshape(-1, last - first), size)
    each = (each - each.mean(axis=1, keepdims=True)).reshape(-1, len(beat.mv), last - first)
    typical = smoothed(beat.mv[:, first:last], size)
    typical -= typical.mean(axis=1, keepdims=True)
    products = np.einsum("blt,lt->b", each, typical)
    lengths = np.sqrt(np.square(each).sum(axis=(1, 2)) * np.square(typical).sum())
    return float(np.median(products / np.maximum(lengths, 1e-9)))


def _wave_end(
    smooth: Float32,
    window: tuple[int, int],
    level: Float32,
    reach: int,
    agreeing: float,
    lowest_mv: float,
    flank_left: float,
) -> tuple[float, float] | None:
    """Peak and end of a wave whose peak lies in `window`, over the leads; None where no lead has it."""
    start, stop = window
    rows = np.arange(len(smooth))
    deviation = smooth[:, start:stop] - level[:, None]
    peaks = np.abs(deviation).argmax(axis=1)
    height = deviation[rows, peaks]
    peaks = peaks + start
    at = np.minimum(peaks[:, None] + np.arange(reach), smooth.shape[1] - 1)
    falling = -np.diff(smooth[rows[:, None], at] * np.sign(height)[:, None], axis=1)
    steepest = falling.argmax(axis=1)
    steep = falling[rows, steepest]
    past = np.arange(reach - 1) > steepest[:, None]
    over = past & (falling <= flank_left * steep[:, None])
    ends = np.where(over.any(axis=1), over.argmax(axis=1), reach - 1)
    higher = falling[rows, np.maximum(ends - 1, 0)]
    lower = falling[rows, np.minimum(ends, reach - 2)]
    fraction = (higher - flank_left * steep) / np.maximum(higher - lower, 1e-9)
    ends = peaks + ends - 1 + np.clip(fraction, 0, 1)
    weight = np.where((steep > 0) & (np.abs(height) >= lowest_mv), np.abs(height), 0)
    if not weight.any():
        return None
    typical = _weighted_median(ends, weight)
    weight = np.where(np.abs(ends - typical) <= agreeing, weight, 0)
    return float(np.average(peaks, weights=weight)), float(np.average(ends, weights=weight))


def _weighted_median(x: Curve, weight: Curve) -> float:
    order = np.argsort(x)
    total = np.cumsum(weight[order])
    return float(x[order[np.searchsorted(total, total[-1] / 2)]])
