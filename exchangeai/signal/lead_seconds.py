"""What every lead is like in every second: how far it moves, drifts and trembles, and whether beats show in
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.signal.blocks import Blocks, median

TALLEST = 3.0
"""A block's slope counts at most this many times the lead's typical QRS slope, so that one artefact neither
hides the beats of its own lead nor makes those of all."""
_TINY_MV = 1e-9


@dataclass(frozen=True, kw_only=True)
class LeadSeconds:
    """What is known of each second of each lead."""

    figures: npt.NDArray[np.float32]
    """[5, leads, seconds]: the properties below, in their order."""

    @property
    def span_mv(self) -> npt.NDArray[np.float32]:
        """[leads, seconds]: highest minus lowest sample."""
        return self.figures[0]

    @property
    def roughness_mv(self) -> npt.NDArray[np.float32]:
        """[leads, seconds]: median roughness of its blocks (see `Blocks`): mains and muscle noise, not the
        few blocks of a QRS."""
        return self.figures[1]

    @property
    def step_mv(self) -> npt.NDArray[np.float32]:
        """[leads, seconds]: how far its median is from that of the second before or after, whichever is
        farther: baseline wander."""
        return self.figures[2]

    @property
    def agreement(self) -> npt.NDArray[np.float32]:
        """[leads, seconds]: correlation (-1 to 1) of when the lead moves with when the other leads do; in a
        clean ECG all leads move in the QRS. 0 where the lead, or all others, do not move."""
        return self.figures[3]

    @property
    def constant(self) -> npt.NDArray[np.float32]:
        """[leads, seconds]: share of the second in which the lead stays exactly the same."""
        return self.figures[4]

    def of(self, rows: Sequence[int]) -> LeadSeconds:
        """The same of some leads."""
        return LeadSeconds(figures=self.figures[:, list(rows)])


def lead_seconds(
    blocks: Blocks, moves: npt.NDArray[np.float32], witnesses: npt.NDArray[np.bool_]
) -> LeadSeconds:
    """Summarise blocks by seconds.

    `moves` is `relative_movement(blocks)`; `witnesses` [leads] are those whose movements the others are
    compared with: independent and present.
    """
    by_second = blocks.seconds(blocks.mean)
    leads, seconds, _ = by_second.shape
    figures = np.zeros((5, leads, seconds), np.float32)
    span, roughness, step, agreement, constant = figures
    high = np.maximum.reduce(blocks.seconds(blocks.high), axis=-1)
    np.subtract(high, np.minimum.reduce(blocks.seconds(blocks.low), axis=-1), out=span)
    roughness[:] = median(blocks.seconds(blocks.roughness))
    level = median(by_second)
    steps = np.abs(level[:, 1:] - level[:, :-1])
    step[:, 1:] = steps
    np.maximum(step[:, :-1], steps, out=step[:, :-1])
    _agreement(blocks.seconds(moves), witnesses, out=agreement)
    if blocks.constant.any():
        np.mean(blocks.seconds(blocks.constant), axis=-1, dtype=np.float32, out=constant)
    return LeadSeconds(figures=figures)


def relative_movement(blocks: Blocks) -> npt.NDArray[np.float32]:
    """How steeply each lead goes over 40 ms, float32 [leads, blocks]: tall in every QRS and nowhere else.

    1 is a lead's own typical QRS (its 90th percentile); at most `TALLEST`.
    """
    steep = np.zeros_like(blocks.mean)
    if blocks.mean.shape[1] > 2:
        inner = steep[:, 1:-1]
        np.abs(np.subtract(blocks.mean[:, 2:], blocks.mean[:, :-2], out=inner), out=inner)
    at = int(0.9 * (steep.shape[1] - 1))
    typical = np.sort(steep, axis=1)[:, at, None]
    steep /= typical + np.float32(_TINY_MV)
    return np.minimum(steep, np.float32(TALLEST), out=steep)


def _agreement(
    moves: npt.NDArray[np.float32], witnesses: npt.NDArray[np.bool_], out: npt.NDArray[np.float32]
) -> None:
    """Of each lead with the sum of the other witnesses, whose products follow from those with the sum of
    all: `moves` is [leads, seconds, blocks of a second]."""
    own = moves - np.add.reduce(moves, axis=-1, keepdims=True) / np.float32(moves.shape[-1])
    voice = witnesses.astype(np.float32)
    total = (voice @ own.reshape(len(own), -1)).reshape(own.shape[1:])
    with_total, with_self = np.vecdot(own, total), np.vecdot(own, own)
    own_voice = voice[:, None] * with_self
    with_others = with_total - own_voice
    of_others = np.vecdot(total, total) - voice[:, None] * (with_total + with_others)
    np.divide(with_others, np.sqrt(np.maximum(with_self * of_others, np.float32(1e-6))), out=out)
