"""The median beat: the beats of the prevailing shape laid over each other, lead by lead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exchangeai.signal.order import median, median_layer, percentile

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

BEFORE_S, AFTER_S = 0.40, 0.76
"""From the P wave of a long PR interval to the end of a long QT; less where beats follow each other fast."""
BEFORE_RR, AFTER_RR = 0.55, 0.80
SLOW_RR_S = 0.9
"""From here on the whole time after a beat is its own."""
SHAPE_S = (-0.08, 0.12)
"""Where shapes are compared: the QRS complex of any width."""
SHIFT_S = 0.01
"""So far a beat is moved to fit; the curve that R peaks are found on is sharper than that."""
SAME_SHAPE = 0.9
"""Correlation above which two complexes are one shape."""
MIN_BEATS = 2


@dataclass(frozen=True, kw_only=True)
class MedianBeat:
    """One beat for all of the prevailing shape."""

    mv: Float32
    """float32 [leads, samples]."""
    each_mv: Float32
    """float32 [beats, leads, samples]: the beats that went in."""
    at: int
    """The sample of the R peak."""
    rate_hz: float
    rr_s: float
    """Median RR interval of the recording."""
    next_s: float
    """How soon after its own the next R peak comes in the earliest quarter of the beats that went in."""
    beats: Int64
    """int64 [n]: R peaks of the beats that went in, in samples of the recording."""
    left_out: int
    """Beats of another shape (ectopic, noisy)."""


def median_beat(x_mv: Float32, rate_hz: float, peaks: Int64) -> MedianBeat | None:
    """From float32 [leads, samples] and its R peaks; None with fewer than two whole beats.

    Beats are aligned by the largest correlation with their median over all leads at once; those whose shape
    differs from it are left out and the median is taken again.
    """
    if peaks.size < MIN_BEATS + 1:
        return None
    rr = float(np.median(np.diff(peaks)))
    slow = rr >= SLOW_RR_S * rate_hz
    before = round(min(BEFORE_S * rate_hz, BEFORE_RR * rr))
    after = round(AFTER_S * rate_hz if slow else min(AFTER_S * rate_hz, AFTER_RR * rr))
    shift = max(round(SHIFT_S * rate_hz), 1)
    whole = peaks[(peaks >= before + shift) & (peaks + after + shift <= x_mv.shape[1])]
    if whole.size < MIN_BEATS:
        return None
    first = max(round(SHAPE_S[0] * rate_hz), -before)
    size = min(round(SHAPE_S[1] * rate_hz), after) - first
    around = _cut(x_mv, whole + first - shift, size + 2 * shift)
    shifts = np.arange(2 * shift + 1)
    # [shifts, beats, leads x samples]: all that alignment ever compares.
    complexes = _centred(
        np.stack([around[:, :, s : s + size] for s in shifts]).reshape(shifts.size, whole.size, -1)
    )
    best = np.full(whole.size, shift)
    kept = np.ones(whole.size, bool)
    everyone = np.arange(whole.size)
    for _ in range(2):
        before_best, before_kept = best, kept
        reference = _centred(median_layer(complexes[best[kept], everyone[kept]]))
        fits = complexes @ reference
        best = fits.argmax(axis=0)
        fit = fits.max(axis=0)
        kept = fit >= min(SAME_SHAPE, float(median(fit)))
        if np.array_equal(best, before_best) and np.array_equal(kept, before_kept):
            break
    aligned = whole + best - shift
    each = _cut(x_mv, aligned[kept] - before, before + after)
    return MedianBeat(
        mv=median_layer(each),
        each_mv=each,
        at=before,
        rate_hz=rate_hz,
        rr_s=rr / rate_hz,
        next_s=float(percentile(_following(peaks, whole[kept]), 25)) / rate_hz,
        beats=aligned[kept],
        left_out=int(whole.size - kept.sum()),
    )


def laid_over(beat: MedianBeat, x_mv: Float32) -> MedianBeat:
    """The same beats of another filtering of the same leads, float32 [leads, samples]."""
    each = _cut(x_mv, beat.beats - beat.at, beat.mv.shape[1])
    return replace(beat, mv=median_layer(each), each_mv=each)


def _following(peaks: Int64, those: Int64) -> npt.NDArray[np.float64]:
    """How many samples after each of those peaks the next one is;
    the last has the typical RR."""
    typical = np.median(np.diff(peaks))
    return np.diff(peaks, append=peaks[-1] + typical)[np.searchsorted(peaks, those)].astype(np.float64)


def _cut(x: Float32, starts: Int64, size: int) -> Float32:
    """[starts, leads, size] of [leads, samples]."""
    out = np.empty((starts.size, len(x), size), np.float32)
    for part, start in zip(out, starts.tolist(), strict=True):
        part[:] = x[:, start : start + size]
    return out


def _centred(x: Float32) -> Float32:
    """The last axis without its mean, of length 1."""
    x = x - x.mean(axis=-1, keepdims=True)
    lengths = np.sqrt(np.einsum("...i,...i->...", x, x))
    x /= np.maximum(lengths, 1e-9)[..., None]
    return x
