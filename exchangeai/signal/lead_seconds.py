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
    """float32 [leads, seconds] each."""

    span_mv: npt.NDArray[np.float32]
    """Highest minus lowest sample."""
    roughness_mv: npt.NDArray[np.float32]
    """Median roughness of its blocks (see `Blocks`): mains and muscle noise, not the few blocks of a QRS."""
    step_mv: npt.NDArray[np.float32]
    """How far its median is from that of the second before or after, whichever is farther: baseline
    wander."""
    agreement: npt.NDArray[np.float32]
    """Correlation (-1 to 1) of when the lead moves with when the other leads do; in a clean ECG all leads
    move in the QRS. 0 where the lead, or all others, do not move."""
    constant: npt.NDArray[np.float32]
    """Share of the second in which the lead stays exactly the same."""

    def of(self, rows: Sequence[int]) -> LeadSeconds:
        """The same of some leads."""
        at = list(rows)
        return LeadSeconds(
            span_mv=self.span_mv[at],
            roughness_mv=self.roughness_mv[at],
            step_mv=self.step_mv[at],
            agreement=self.agreement[at],
            constant=self.constant[at],
        )


def lead_seconds(
    blocks: Blocks, moves: npt.NDArray[np.float32], witnesses: npt.NDArray[np.bool_]
) -> LeadSeconds:
    """Summarise blocks by seconds.

    `moves` is `relative_movement(blocks)`; `witnesses` [leads] are those whose movements the others are
    compared
    with: independent and present.
    """
    level = median(blocks.seconds(blocks.mean))
    steps = np.abs(np.diff(level, axis=1))
    step = np.zeros_like(level)
    step[:, 1:] = steps
    np.maximum(step[:, :-1], steps, out=step[:, :-1])
    return LeadSeconds(
        span_mv=blocks.seconds(blocks.high).max(-1) - blocks.seconds(blocks.low).min(-1),
        roughness_mv=median(blocks.seconds(blocks.roughness)),
        step_mv=step,
        agreement=_agreement(blocks, moves, witnesses),
        constant=blocks.seconds(blocks.constant).mean(-1, dtype=np.float32),
    )


def relative_movement(blocks: Blocks) -> npt.NDArray[np.float32]:
    """How steeply each lead goes over 40 ms, float32 [leads, blocks]: tall in every QRS and nowhere else.

    1 is a lead's own typical QRS (its 90th percentile); at most `TALLEST`.
    """
    steep = np.zeros_like(blocks.mean)
    if blocks.mean.shape[1] > 2:
        np.abs(blocks.mean[:, 2:] - blocks.mean[:, :-2], out=steep[:, 1:-1])
    at = int(0.9 * (steep.shape[1] - 1))
    typical = np.partition(steep, at, axis=1)[:, at, None]
    return np.minimum(steep / (typical + np.float32(_TINY_MV)), np.float32(TALLEST))


def _agreement(
    blocks: Blocks, moves: npt.NDArray[np.float32], witnesses: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    voices = moves * witnesses[:, None]
    own = _centred(blocks.seconds(moves))
    others = _centred(blocks.seconds(voices.sum(0) - voices))
    power = (own * own).sum(-1) * (others * others).sum(-1)
    return (own * others).sum(-1) / np.sqrt(np.maximum(power, np.float32(1e-6)))


def _centred(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values - values.mean(-1, keepdims=True)
