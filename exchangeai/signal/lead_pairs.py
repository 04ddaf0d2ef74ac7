"""Leads that contradict each other: the same signal under two names, limb leads that do not add up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.signal.blocks import Blocks

SAME_MV = 0.002
"""Blocks of two leads that never differ by more are the same signal (recorders store steps of 1 to 5 µV)."""
LIMB_RESIDUAL_MV = 0.1
"""Limb leads that are farther from adding up do not belong together: 1 mm on paper, 20 steps of a coarse
recorder."""
PROBES = 20
OFTEN = 0.98
"""One part in fifty: a QRS lasts longer, an artefact of one lead should not."""

_EINTHOVEN = np.array(
    [
        [1, -1, 1, 0, 0, 0],
        [0.5, 0.5, 0, 1, 0, 0],
        [-1, 0.5, 0, 0, 1, 0],
        [0.5, -1, 0, 0, 0, 1],
    ],
    np.float32,
)
"""III = II - I; aVR = -(I + II)/2; aVL = I - II/2; aVF = II - I/2: rows that give 0 on I II III aVR aVL
aVF."""


def same_leads(blocks: Blocks, candidates: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs of rows, lower first, that hold the same signal; `candidates` [leads] leaves out flat and absent
    ones."""
    rows = np.flatnonzero(candidates)
    x = blocks.mean[rows, :: max(1, blocks.mean.shape[1] // PROBES)]
    # Some blocks tell nearly all pairs apart; what is equal in them is compared block by block.
    near = (np.abs(x[:, None] - x) <= SAME_MV).all(-1)
    pairs = [(int(rows[i]), int(rows[j])) for i, j in zip(*np.nonzero(near), strict=True) if i < j]
    return [(i, j) for i, j in pairs if np.abs(blocks.mean[i] - blocks.mean[j]).max(initial=0) <= SAME_MV]


def limb_residual_mv(blocks: Blocks, stored: npt.NDArray[np.bool_]) -> float:
    """By how much a stored III, aVR, aVL or aVF differs from what I and II make of it, for 2 % of the time or
    more.

    `blocks` and `stored` begin with I II III aVR aVL aVF. Offsets do not count (each lead may have been
    high-pass filtered); 0 when I, II or all four are not stored.
    """
    if not stored[:2].all() or not stored[2:6].any():
        return 0.0
    left = _EINTHOVEN[stored[2:6]] @ blocks.mean[:6]
    left -= np.add.reduce(left, axis=1, keepdims=True) / left.shape[1]
    at = int(OFTEN * (left.shape[1] - 1))
    return float(np.sort(np.abs(left, out=left), axis=1)[:, at].max())
