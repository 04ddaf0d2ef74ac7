"""Batches: which windows a rank sees at each step, in millivolts, varied, made ready ahead of their use.

Shapes: B batch, L lead, T time, C class. The order is a function of (seed, epoch); the variation one of
(seed, epoch, step, rank): a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exchangeai.dataset import Part, epoch_order
from exchangeai.facts import TrainingOptions
from services.trainer import epoch_steps, tensors
from services.trainer.augment import vary
from services.trainer.objective import Objective
from services.trainer.tensors import tensor

READ_AHEAD = 4
"""Steps between asking the disk for a batch and using it."""
READY = 2
"""Batches made ready ahead of the one in use."""


def millivolts(part: Part, indices: npt.NDArray[np.int64]) -> Tensor:
    """Windows as the tensor contract, float32 [B, 12, 5000]."""
    return tensor(part.steps(indices)).mul_(tensor(part.mv_per_step(indices)))


def generator(seed: int, *place: int) -> torch.Generator:
    """A generator for one place in the run, for example (epoch, step, rank)."""
    mixed = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0]
    return tensors.generator(int(mixed) & (2**63 - 1))


class Order:
    """The windows of each epoch by step and rank; the global batch is split over the ranks."""

    def __init__(
        self,
        shard_rows: Sequence[int],
        batch_size: int,
        world: int,
        seed: int,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """`rows` are the windows to use, ascending; None for all of the shards."""
        total = sum(shard_rows)
        self._rows = np.arange(total) if rows is None else rows
        count = len(self._rows)
        self._passes = epoch_steps.passes(total, count)
        ends = np.cumsum([0, *shard_rows])
        self._shard_rows = tuple(np.diff(np.searchsorted(self._rows, ends)).tolist())
        self._share = epoch_steps.share(count, batch_size, world)
        self._world = world
        self._seed = seed
        self._drawn = (0, np.empty(0, np.int64))
        self.steps = epoch_steps.steps(total, count, batch_size, world)

    def at(self, epoch: int, step: int, rank: int) -> npt.NDArray[np.int64]:
        """Indices for one rank at one step (from 0) of one epoch (from 1), sorted for the disk's sake."""
        if self._drawn[0] != epoch:
            passes = range((epoch - 1) * self._passes + 1, epoch * self._passes + 1)
            drawn = [epoch_order(self._shard_rows, self._seed, number) for number in passes]
            self._drawn = (epoch, np.concatenate(drawn))
        order = self._drawn[1]
        start = (step * self._world + rank) * self._share
        return np.sort(self._rows[order[start : start + self._share]])


class Loader:
    """The training windows of one rank, epoch by epoch, prepared by a thread while the device works."""

    def __init__(
        self, part: Part, objective: Objective, options: TrainingOptions, order: Order, rank: int
    ) -> None:
        self._part = part
        self._objective = objective
        self._options = options
        self._order = order
        self._rank = rank

    def epoch(self, epoch: int, first_step: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """(x_BLT in mV, targets_BC) of each step from `first_step` to the epoch's last."""
        steps = iter(range(first_step, self._order.steps))
        ready: deque[Future[tuple[Tensor, Tensor]]] = deque()
        with ThreadPoolExecutor(1, "batches") as thread:
            for step in steps:
                ready.append(thread.submit(self._batch, epoch, step))
                if len(ready) > READY:
                    yield ready.popleft().result()
            while ready:
                yield ready.popleft().result()

    def _batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        options = self._options
        indices = self._order.at(epoch, step, self._rank)
        self._part.will_need(self._order.at(epoch, step + READ_AHEAD, self._rank))
        random = generator(options.seed, epoch, step, self._rank)
        x_BLT = vary(millivolts(self._part, indices), options.augmentations, random)
        targets_BC = self._objective.targets(self._part.labels[indices])
        if options.mixup:
            x_BLT, targets_BC = _mixed(x_BLT, targets_BC, options.mixup, random)
        return x_BLT, targets_BC


def _mixed(x_BLT: Tensor, targets_BC: Tensor, alpha: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each window with some of another (mixup, Zhang et al. 2018); the larger share stays its own."""
    seed = int(torch.randint(0, 2**31, (1,), generator=random))
    drawn = np.random.default_rng(seed).beta(alpha, alpha, len(x_BLT)).astype(np.float32)
    share = tensor(np.maximum(drawn, 1 - drawn))
    other = torch.randperm(len(x_BLT), generator=random)
    own_B1, own_B11 = share[:, None], share[:, None, None]
    return (
        own_B11 * x_BLT + (1 - own_B11) * x_BLT[other],
        own_B1 * targets_BC + (1 - own_B1) * targets_BC[other],
    )
