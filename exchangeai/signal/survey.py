"""Look over a recording once, minute by minute, and keep the figures from which its quality is judged.

It looks at the samples as recorded, before resampling, because filters smear the constant values by which
a loose electrode or a full-scale amplifier is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12
from exchangeai.recording import Lead, Recording
from exchangeai.signal.blocks import Blocks, blocks_of, median
from exchangeai.signal.gaps import bridge_gaps, gap_share
from exchangeai.signal.lead_pairs import limb_residual_mv, same_leads
from exchangeai.signal.lead_seconds import LeadSeconds, lead_seconds, relative_movement
from exchangeai.signal.mains import mains_amplitude_mv
from exchangeai.signal.pacing import pacing_spikes
from exchangeai.signal.typical_beat import beat_blocks, typical_beat

STRETCH_S = 60
"""Seconds that are looked at together: a day of twelve leads does not fit into memory several times."""
INDEPENDENT = tuple(STANDARD_12.index(x) for x in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))
"""Rows of the leads that do not follow from others."""
_INDEPENDENT = list(INDEPENDENT)
BEYOND_MV = 1e6
"""1 kV. What is beyond is garbage, and its square would be infinite."""
MIN_RAIL_MV = 1.0
"""No amplifier's limit lies nearer to the baseline, but the lowest line of a lead that only goes up does."""
MAINS_ROUGHNESS_MV = 0.05
"""A lead with 0.05 mV of mains, from where it counts, goes up and down by more than that in every 20 ms, at
500 Hz by three times as much: smoother leads need not be looked at."""
FLAT_RUN_S = 1.0
"""Samples that stay the same for 1 s or more are no ECG but a loose electrode (the criterion of several
entries to the CinC 2011 quality challenge)."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Arrays are [12], in tensor order; a lead that is not present has the figures of a constant zero."""

    present: npt.NDArray[np.bool_]
    """Stored in the recording, with a value somewhere."""
    absent: npt.NDArray[np.float32]
    """Share of samples without value, and of the time after the lead's end that other leads still have; they
    are looked at as bridged by a line, or as the last value."""
    seconds: LeadSeconds
    """[12, seconds]; a recording shorter than a second is one second."""
    flat: npt.NDArray[np.float32]
    """Share of time in runs of a second or more without any change."""
    saturated: npt.NDArray[np.float32]
    """Share of time at the largest or smallest value."""
    mains_mv: npt.NDArray[np.float32]
    """Amplitude of 50 or 60 Hz; 0 in leads that are too smooth for 0.05 mV of it."""
    spikes: int
    """Spikes of a pacemaker."""
    same: tuple[tuple[int, int], ...]
    """Rows that hold the same signal."""
    limb_residual_mv: float
    """How far the stored limb leads are from adding up."""
    beat_mv: npt.NDArray[np.float32] | None
    """Typical beat of the first stretch, [I II V1-V6, 37]; None when one of these leads is absent or stands
    still, or there are too few beats."""
    block_rate_hz: float
    """Steps of that beat per second."""


def survey(recording: Recording) -> Survey | None:
    """Look over the twelve standard leads; None when none of them has a value."""
    named = {x.name: x for x in reversed(recording.ecg_leads) if not x.derived}
    leads = [named.get(name) for name in STANDARD_12]
    alike = _alike(leads, recording.duration_s)
    if alike is not None:
        return _stretch(*alike)
    absent = _absent_shares(leads, recording.duration_s)
    if (absent == 1).all():
        return None
    leads = [None if share == 1 else x for x, share in zip(leads, absent, strict=True)]
    rate_hz = max(x.sampling_rate_hz for x in leads if x is not None)
    parts = [_stretch(x, rate_hz, absent) for x in _stretches(leads, rate_hz)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _alike(
    leads: list[Lead | None], duration_s: float
) -> tuple[npt.NDArray[np.float32], float, npt.NDArray[np.float32]] | None:
    """What `_stretch` takes, of leads of one rate that are whole, finite and no longer than a stretch, as
    nearly all are; None of others."""
    there = [(i, x) for i, x in enumerate(leads) if x is not None]
    if not there:
        return None
    rate_hz, size = there[0][1].sampling_rate_hz, there[0][1].samples.size
    if duration_s > STRETCH_S or size < duration_s * rate_hz - 0.5 or size == 0:
        return None
    values, absent = np.zeros((len(leads), size), np.float32), np.ones(len(leads), np.float32)
    for i, lead in there:
        if lead.sampling_rate_hz != rate_hz or lead.samples.size != size:
            return None
        values[i] = lead.samples
        absent[i] = 0
    # A sum of squares that is neither infinite nor more than this has no term that is.
    with np.errstate(over="ignore", invalid="ignore"):
        tame = float(np.dot(values.ravel(), values.ravel())) < BEYOND_MV**2
    return (values, rate_hz, absent) if tame else None


def _absent_shares(leads: list[Lead | None], duration_s: float) -> npt.NDArray[np.float32]:
    shares = np.ones(len(leads), np.float32)
    for i, lead in enumerate(leads):
        if lead is not None and lead.samples.size:
            covered = min(lead.samples.size / lead.sampling_rate_hz / duration_s, 1.0)
            gap = 0.0 if _all_finite(lead.samples) else gap_share(lead.samples)
            shares[i] = 1 - (1 - gap) * covered
    return shares


def _all_finite(samples_mv: npt.NDArray[np.float32]) -> bool:
    """Fast: a sum of squares is finite only when every sample is; False too when it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(np.dot(samples_mv, samples_mv)))


def _stretches(leads: list[Lead | None], rate_hz: float) -> Iterator[npt.NDArray[np.float32]]:
    """Finite [12, samples] at the highest rate of the leads; slower ones hold each value, which leaves their
    range and their roughness as they are."""
    duration_s = max(x.samples.size / x.sampling_rate_hz for x in leads if x is not None)
    total, step = max(1, round(duration_s * rate_hz)), max(1, round(STRETCH_S * rate_hz))
    for start in range(0, total, step):
        stop = min(start + step, total)
        # A last bit of less than a second says nothing of its own.
        if start and stop - start < rate_hz:
            return
        values = np.zeros((len(leads), stop - start), np.float32)
        for row, lead in zip(values, leads, strict=True):
            if lead is not None:
                _fill(row, lead, start, rate_hz)
        yield np.clip(values, -BEYOND_MV, BEYOND_MV, out=values)


def _fill(row: npt.NDArray[np.float32], lead: Lead, start: int, rate_hz: float) -> None:
    if lead.sampling_rate_hz == rate_hz:
        x = lead.samples[start : start + row.size]
    else:
        at = np.arange(start, start + row.size) * (lead.sampling_rate_hz / rate_hz)
        x = lead.samples[at.astype(np.int64)[at < lead.samples.size]]
    row[: x.size] = x if _all_finite(x) else bridge_gaps(x)
    row[x.size :] = row[x.size - 1] if x.size else 0


def _stretch(values: npt.NDArray[np.float32], rate_hz: float, absent: npt.NDArray[np.float32]) -> Survey:
    present = absent < 1
    blocks = blocks_of(values, rate_hz)
    witnesses = np.zeros(len(values), np.bool_)
    witnesses[_INDEPENDENT] = present[_INDEPENDENT]
    moves = relative_movement(blocks)
    seconds = lead_seconds(blocks, moves, witnesses)
    constant = blocks.constant
    moving = present & ~np.logical_and.reduce(constant, axis=1)
    complete = bool(moving[_INDEPENDENT].all())
    return Survey(
        present=present,
        absent=absent,
        seconds=seconds,
        flat=_flat_share(constant, round(FLAT_RUN_S * blocks.rate_hz)),
        saturated=_saturated_share(blocks),
        mains_mv=_mains(values, seconds, rate_hz),
        spikes=pacing_spikes(values[witnesses], rate_hz).size,
        same=tuple(same_leads(blocks, moving)),
        limb_residual_mv=limb_residual_mv(blocks, present),
        beat_mv=typical_beat(blocks, beat_blocks(moves, witnesses), INDEPENDENT) if complete else None,
        block_rate_hz=blocks.rate_hz,
    )


def _flat_share(constant: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.float32]:
    """Share of blocks in runs of about `shortest` constant ones; the ends of a run fall within blocks."""
    shares = np.zeros(len(constant), np.float32)
    if not constant.any():
        return shares
    count = constant.shape[1]
    padded = np.zeros(count + 2, np.bool_)
    shortest = min(max(1, shortest - 2), count)
    for row in np.flatnonzero(np.add.reduce(constant, axis=1) >= shortest):
        padded[1:-1] = constant[row]
        edges = np.flatnonzero(padded[1:] != padded[:-1])
        lengths = edges[1::2] - edges[::2]
        shares[row] = lengths[lengths >= shortest].sum() / count
    return shares


def _saturated_share(blocks: Blocks) -> npt.NDArray[np.float32]:
    """An amplifier at its limit repeats its largest or smallest value; a true R peak stays there for one or
    two samples, so blocks of fewer than three must have an equal neighbour."""
    still = blocks.still if blocks.samples_per_block > 2 else blocks.constant
    shares = np.zeros(len(still), np.float32)
    extremes = (
        np.maximum.reduce(blocks.high, axis=1, keepdims=True),
        np.minimum.reduce(blocks.low, axis=1, keepdims=True),
    )
    at = [still & (blocks.mean == x) for x in extremes]
    rows = np.flatnonzero(np.logical_or.reduce(at[0] | at[1], axis=1))
    if rows.size:
        level = median(blocks.mean[rows])[:, None]
        far = [a[rows] & (np.abs(x[rows] - level) > MIN_RAIL_MV) for a, x in zip(at, extremes, strict=True)]
        shares[rows] = (far[0] | far[1]).mean(1)
    return shares


def _mains(values: npt.NDArray[np.float32], seconds: LeadSeconds, rate_hz: float) -> npt.NDArray[np.float32]:
    """Amplitude of mains in the leads that are rough enough to have any that counts."""
    amplitude = np.zeros(len(values), np.float32)
    rough = np.maximum.reduce(seconds.roughness_mv, axis=1) > MAINS_ROUGHNESS_MV
    if rough.any():
        amplitude[rough] = mains_amplitude_mv(values[rough], rate_hz)
    return amplitude


def _joined(parts: list[Survey]) -> Survey:
    lengths = np.array([x.seconds.span_mv.shape[1] for x in parts], np.float32)
    weights = (lengths / lengths.sum())[:, None]

    def mean(values: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        return (np.stack(values) * weights).sum(0)

    return Survey(
        present=parts[0].present,
        absent=parts[0].absent,
        seconds=LeadSeconds(figures=np.concatenate([x.seconds.figures for x in parts], axis=2)),
        flat=mean([x.flat for x in parts]),
        saturated=mean([x.saturated for x in parts]),
        mains_mv=mean([x.mains_mv for x in parts]),
        spikes=sum(x.spikes for x in parts),
        same=tuple(sorted(set(parts[0].same).intersection(*(x.same for x in parts)))),
        limb_residual_mv=max(x.limb_residual_mv for x in parts),
        beat_mv=parts[0].beat_mv,
        block_rate_hz=parts[0].block_rate_hz,
    )
