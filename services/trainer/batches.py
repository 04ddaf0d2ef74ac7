"""Batches: which windows a rank sees at each step, in millivolts, lightly varied.

Shapes: B batch, L lead, T time, C class. The order is a function of (seed, epoch); the variation one of
(seed, epoch, step, rank): a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exchangeai.dataset import Part, epoch_order
from services.trainer import tensors
from services.trainer.tensors import tensor

GAIN_SPREAD = 0.15
LEAD_LOSS = 0.05


def millivolts(part: Part, indices: npt.NDArray[np.int64]) -> Tensor:
    """Windows as the tensor contract, float32 [B, 12, 5000]."""
    return tensor(part.millivolts(indices))


def targets(part: Part, indices: npt.NDArray[np.int64]) -> Tensor:
    """Labels, float32 [B, C]."""
    return tensor(part.labels[indices].astype(np.float32))


def generator(seed: int, *place: int) -> torch.Generator:
    """A generator for one place in the run, for example (epoch, step, rank)."""
    mixed = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0]
    return tensors.generator(int(mixed) & (2**63 - 1))


class Order:
    """The windows of each epoch by step and rank; the global batch is split over the ranks."""

    def __init__(self, shard_rows: Sequence[int], batch_size: int, world: int, seed: int) -> None:
        count = sum(shard_rows)
        self._shard_rows = tuple(shard_rows)
        self._share = max(1, min(batch_size, count) // world)
        self._world = world
        self._seed = seed
        self._drawn = (0, np.empty(0, np.int64))
        self.steps = max(1, count // (self._share * world))
        """Steps an epoch; what is left over of the shuffled windows waits for the next epoch."""

    def at(self, epoch: int, step: int, rank: int) -> npt.NDArray[np.int64]:
        """Indices for one rank at one step (from 0) of one epoch (from 1), sorted for the disk's sake."""
        if self._drawn[0] != epoch:
            self._drawn = (epoch, epoch_order(self._shard_rows, self._seed, epoch))
        order = self._drawn[1]
        start = (step * self._world + rank) * self._share
        return np.sort(order[start : start + self._share])


def varied(part: Part, indices: npt.NDArray[np.int64], random: torch.Generator) -> Tensor:
    """Windows in millivolts, float32 [B, 12, 5000], varied as an electrode or a cart may vary them.

    Other gains, another beginning and, rarely, a lost lead. The unit is part of the gain, which is
    multiplied by anyway.
    """
    x_BLT = tensor(part.steps(indices))
    batch, leads, length = x_BLT.shape
    gain = torch.exp(torch.randn(batch, 1, 1, generator=random) * GAIN_SPREAD)
    kept = torch.rand(batch, leads, 1, generator=random) >= LEAD_LOSS
    shift = int(torch.randint(0, length, (1,), generator=random))
    return torch.roll(x_BLT.mul_(tensor(part.mv_per_step(indices)) * gain * kept), shift, dims=2)
