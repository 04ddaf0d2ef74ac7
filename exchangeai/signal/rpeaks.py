"""Find the beats of an ECG on all its leads together: where each QRS complex is.

One curve over time says how much QRS-like deflection there is, summed over the leads, each weighted by how
far its complexes stand out from the rest of it; a beat is a peak of that curve. Summing before deciding is
what makes twelve leads better than one: a T wave, a tremor or a loose electrode is rarely in all of them.
The band and the rules for T waves and for missed beats are those of Pan and Tompkins (1985, IEEE Trans.
Biomed. Eng. 32(3)), applied to the whole recording at once instead of sample by sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.signal.filters import zero_phase
from exchangeai.signal.gaps import bridge_gaps
from exchangeai.signal.order import median, percentile
from exchangeai.signal.profiles import Profile

_peaks: Any = _untyped

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

BAND = Profile(name="qrs", highpass_hz=8.0, lowpass_hz=24.0, order=2)
"""Where a QRS complex has its energy and P, T and wander have little."""
MIN_DURATION_S = 1.5
"""Below it nothing tells a beat from the rest."""
COMPLEX_S = 0.08
"""Width of the window over which deflection is summed: a normal QRS complex."""
REFRACTORY_S = 0.2
T_WAVE_S = 0.36
"""So long after a beat a peak of less than half its height is its T wave."""
THRESHOLD = 0.35
"""Of the height that complexes have around there; deflection, not energy."""
MISSED_THRESHOLD = 0.18
"""Where a beat is overdue (1.6 RR), of the typical height."""
OVERDUE_RR = 1.6
LEVEL_WINDOW_S = 2.0
"""There is a beat in each such window at 30/min and above."""
TYPICAL_PERCENTILE = 75
"""Of the largest deflections in these windows: where the heart stands still most of the time there are beats
in the rest."""
LOWEST_LEVEL = 0.25
"""Of the typical level: the largest noise of a pause is no beat."""
MIN_LEVEL_MV = 0.01
"""Complexes of less deflection in the band are not told from the noise of an amplifier."""
MIN_SNR = 1.12
"""Typical complex over what the rest seldom exceeds; in noise alone the two are nearly equal."""
TRUSTED_SHARE = 0.25
"""A lead counts when it stands out at least so far as the share of the best."""
CALM_S, CALM_BLOCK_S = 1.0, 0.02
"""How restless a lead is, second by second: the median over blocks of the largest energy in each, which
is what lies between the complexes; a shorter time may hold little but a complex."""
CHUNK_S, OVERLAP_S = 120.0, 5.0
"""Long recordings are searched piece by piece: memory stays small, and weights follow the electrodes."""


@dataclass(frozen=True, kw_only=True)
class RPeaks:
    """Where the beats are."""

    samples: Int64
    """int64 [beats], ascending: the instant of the largest deflection over all trusted leads."""
    leads: tuple[int, ...]
    """Which of the given rows counted, in at least one piece of the recording."""


def find_r_peaks(x_mv: npt.NDArray[np.floating], rate_hz: float) -> RPeaks:
    """Beats of one recording, float [leads, samples] or [samples], mV, of one rate from 60 Hz.

    Any number of leads; those that are flat or noise are left out by themselves, and where one has no finite
    samples it says nothing. No beats are found in less than 1.5 s, in noise or in a flat line.
    """
    x = np.atleast_2d(np.asarray(x_mv, np.float32))
    if not x.size:
        return RPeaks(samples=np.empty(0, np.int64), leads=())
    chunk, overlap = round(CHUNK_S * rate_hz), round(OVERLAP_S * rate_hz)
    found: list[Int64] = []
    trusted: set[int] = set()
    total = x.shape[1]
    # A last piece too short to judge by itself belongs to the one before.
    starts = range(0, max(total - chunk // 2, 1), chunk)
    for begin in starts:
        end = begin + chunk if begin + chunk in starts else total
        first = max(begin - overlap, 0)
        peaks, leads = _search(bridge_gaps(x[:, first : end + overlap]), rate_hz)
        peaks += first
        found.append(peaks[(peaks >= begin) & (peaks < end)])
        trusted.update(leads)
    samples = np.concatenate(found)
    apart = np.diff(samples, prepend=-total) > REFRACTORY_S * rate_hz / 2
    return RPeaks(samples=samples[apart], leads=tuple(sorted(trusted)))


def _search(x: Float32, rate_hz: float) -> tuple[Int64, list[int]]:
    none: tuple[Int64, list[int]] = np.empty(0, np.int64), []
    if x.shape[1] < MIN_DURATION_S * rate_hz:
        return none
    energy = zero_phase(x, rate_hz, BAND)
    np.square(energy, out=energy)
    weights = _first_weights(energy, rate_hz)
    peaks = _beats(_deflection(np.square(weights) @ energy, rate_hz, COMPLEX_S), rate_hz)
    if not peaks.size:
        return none
    weights = _weights(energy, peaks, rate_hz)
    if not weights.any():
        return none
    calm = _calm_energy(energy, weights, rate_hz)
    peaks = _beats(_deflection(calm, rate_hz, COMPLEX_S), rate_hz)
    sharp = _deflection(calm, rate_hz, COMPLEX_S / 4)
    return _summits(sharp, peaks, round(0.06 * rate_hz)), np.flatnonzero(weights).tolist()


def _first_weights(energy: Float32, rate_hz: float) -> Float32:
    """Before any beat is known: the typical largest deflection in two seconds against the median one."""
    largest = np.sqrt(_by_window(energy, round(LEVEL_WINDOW_S * rate_hz)).max(axis=-1))
    level = percentile(largest, TYPICAL_PERCENTILE)
    typical = np.sqrt(median(energy))
    contrast = np.clip((level / (typical + 1e-4) - 4) / 10, 0, 1)
    return np.where(level > MIN_LEVEL_MV, contrast / np.maximum(level, MIN_LEVEL_MV), 0).astype(np.float32)


def _weights(energy: Float32, peaks: Int64, rate_hz: float) -> Float32:
    """How far the complexes of each lead stand out from the rest of it, over their height."""
    half = round(0.06 * rate_hz)
    around = np.clip(peaks[:, None] + np.arange(-half, half), 0, energy.shape[1] - 1)
    height = np.sqrt(median(energy[:, around].max(axis=-1)))
    resting = np.ones(energy.shape[1], bool)
    resting[np.clip(peaks[:, None] + np.arange(-2 * half, 2 * half), 0, resting.size - 1)] = False
    rest = energy[:, resting]
    window = round(0.25 * rate_hz)
    if rest.shape[1] >= window:
        seldom = np.sqrt(percentile(_by_window(rest, window).max(axis=-1), 90))
    else:
        seldom = np.zeros(len(energy))
    snr = np.where(height > MIN_LEVEL_MV, height / np.maximum(seldom, 1e-3), 0)
    snr[snr < max(MIN_SNR, TRUSTED_SHARE * snr.max())] = 0
    return (snr / np.maximum(height, MIN_LEVEL_MV)).astype(np.float32)


def _calm_energy(energy: Float32, weights: Float32, rate_hz: float) -> Float32:
    """The leads' weighted energy, float32 [samples]; where one is more restless than it usually is, by
    tremor or a moving electrode, the others speak for it.

    A lead's share falls with the square of how often its energy at rest is above its usual one; the shares
    add up to the same at all times, so noise in all leads changes nothing.
    """
    block = max(round(CALM_BLOCK_S * rate_hz), 1)
    window = block * round(CALM_S / CALM_BLOCK_S)
    blocks = _by_window(energy, window)[..., : window // block * block]
    restless = median(blocks.reshape(*blocks.shape[:2], -1, block).max(axis=-1))
    usual = np.maximum(median(restless)[:, None], np.float32(MIN_LEVEL_MV**2))
    share = np.square(weights)[:, None] * np.square(usual / np.maximum(restless, usual))
    share *= np.square(weights).sum() / share.sum(axis=0)
    total = np.empty(energy.shape[1], np.float32)
    for i, x in enumerate(share.T):
        end = (i + 1) * window if i + 1 < share.shape[1] else energy.shape[1]
        np.matmul(x, energy[:, i * window : end], out=total[i * window : end])
    return total


def _by_window(x: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.floating]:
    """[..., samples] to [..., windows, size]; what is left over at the end is left out, if it is not all."""
    size = min(size, x.shape[-1])
    whole = x.shape[-1] // size * size
    return x[..., :whole].reshape(*x.shape[:-1], -1, size)


def _deflection(energy: Float32, rate_hz: float, width_s: float) -> npt.NDArray[np.float64]:
    """Root mean square around each sample of [samples], float64 [samples]."""
    size = max(round(width_s * rate_hz), 1)
    sums = np.zeros(energy.size + size)
    np.cumsum(energy, dtype=np.float64, out=sums[size - size // 2 : sums.size - size // 2])
    sums[sums.size - size // 2 :] = sums[sums.size - size // 2 - 1]
    return np.sqrt(np.maximum(sums[size:] - sums[:-size], 0) / size)


def _beats(curve: npt.NDArray[np.float64], rate_hz: float) -> Int64:
    candidates = np.asarray(_peaks.find_peaks(curve, distance=round(REFRACTORY_S * rate_hz))[0], np.int64)
    if not candidates.size:
        return candidates
    window = round(LEVEL_WINDOW_S * rate_hz)
    largest = _by_window(curve, window).max(axis=-1)
    padded = np.pad(largest, 2, mode="reflect" if largest.size > 2 else "edge")
    nearby = median(np.lib.stride_tricks.sliding_window_view(padded, 5))
    typical = percentile(largest, TYPICAL_PERCENTILE)
    level = np.clip(nearby, LOWEST_LEVEL * typical, 2 * typical)
    at = np.minimum(candidates // window, level.size - 1)
    tall = candidates[curve[candidates] > THRESHOLD * level[at]]
    beats: list[int] = []
    for x in tall.tolist():
        is_t_wave = beats and x - beats[-1] < T_WAVE_S * rate_hz and curve[x] < 0.5 * curve[beats[-1]]
        if not is_t_wave:
            beats.append(x)
    return np.asarray(sorted({*beats, *_missed(curve, candidates, beats, rate_hz)}), np.int64)


def _missed(curve: npt.NDArray[np.float64], candidates: Int64, beats: list[int], rate_hz: float) -> list[int]:
    """Smaller complexes where a beat is overdue."""
    if len(beats) < 3:
        return []
    rr = np.diff(beats)
    lowest = MISSED_THRESHOLD * float(np.median(curve[beats]))
    found: list[int] = []
    for i in np.flatnonzero(rr > OVERDUE_RR * np.median(rr)).tolist():
        earliest, latest = beats[i] + T_WAVE_S * rate_hz, beats[i + 1] - 0.3 * rate_hz
        between = candidates[(candidates > earliest) & (candidates < latest)]
        if between.size and curve[best := int(between[np.argmax(curve[between])])] > lowest:
            found.append(best)
    return found


def _summits(curve: npt.NDArray[np.float64], peaks: Int64, reach: int) -> Int64:
    """The highest point within `reach` of each peak."""
    around = np.clip(peaks[:, None] + np.arange(-reach, reach), 0, curve.size - 1)
    return np.unique(around[np.arange(peaks.size), np.argmax(curve[around], axis=1)])
