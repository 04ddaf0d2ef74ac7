"""The typical beat of a recording in steps of 20 ms: coarse, but enough to see which way each lead points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.signal.blocks import Blocks, median

BEFORE, AFTER = 14, 22
"""Blocks before and after the steepest one of a QRS: 280 ms for the P wave, 440 ms for the T wave."""
LENGTH = BEFORE + 1 + AFTER
REFRACTORY = 12
"""Blocks: 240 ms, less than the shortest RR interval and more than the longest QRS."""
LEVEL = 0.4
"""A QRS moves the leads at least this much compared with the steepest second in fifty blocks."""
MIN_BEATS = 3

_WINDOW = np.arange(-BEFORE, AFTER + 1)


def beat_blocks(moves: npt.NDArray[np.float32], witnesses: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Blocks in which the leads together are steepest: one for each QRS.

    `moves` is `relative_movement` [leads, blocks], `witnesses` [leads] are those that count.
    """
    total: npt.NDArray[np.float32] = witnesses.astype(np.float32) @ moves
    if total.size < 2 * REFRACTORY + 1:
        return np.empty(0, np.int64)
    steepest = int(0.98 * (total.size - 1))
    tall = LEVEL * np.sort(total)[steepest]
    return np.flatnonzero((total == _highest_around(total)) & (total > tall))


def _highest_around(total: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Maximum within `REFRACTORY` blocks to either side, from maxima over 2, 4, 8 and so on."""
    width, out = 2 * REFRACTORY + 1, np.zeros(total.size + 2 * REFRACTORY, np.float32)
    out[REFRACTORY:-REFRACTORY] = total
    over = 1
    while over < width:
        shift = min(over, width - over)
        out = np.maximum(out[:-shift], out[shift:])
        over += shift
    return out


def typical_beat(
    blocks: Blocks, at: npt.NDArray[np.int64], rows: Sequence[int]
) -> npt.NDArray[np.float32] | None:
    """Median of the beats around the blocks `at`, float32 [rows, 37], mV from the lead's median in the
    window.

    None with fewer than three whole beats.
    """
    at = at[(at >= BEFORE) & (at < blocks.mean.shape[1] - AFTER)]
    if at.size < MIN_BEATS:
        return None
    beats = blocks.mean[np.array(rows)[:, None, None], at[:, None] + _WINDOW]
    beats -= median(beats)[:, :, None]
    return median(beats.transpose(0, 2, 1))
