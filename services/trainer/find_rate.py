"""The learning-rate range test (Smith 2017): train with a rising rate and see where the loss falls fastest.

Shapes: B batch, L lead, T time, C class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exchangeai.dataset import Part
from exchangeai.facts import RatePoint, TrainingOptions
from services.trainer import batches, network
from services.trainer.checkpoint import Checkpoint
from services.trainer.job import Job
from services.trainer.network import Network
from services.trainer.objective import Objective
from services.trainer.optimise import optimiser
from services.trainer.ranks import Ranks
from services.trainer.report import Activity, Alive, RateFound, Report
from services.trainer.tensors import seed_all

LOWEST, HIGHEST = 1e-5, 1.0
STEPS = 100
SMOOTHING = 0.9
DIVERGED = 3.0
"""The loss over its least, from which going on tells nothing."""
SAFETY = 10.0
"""The peak rate is so much below the one at which the loss stopped falling."""
PASSED_EPOCH = 1 << 20
"""Seeds the variation of the test's batches; no epoch of the run has this number."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the test says."""

    rate: float
    curve: tuple[RatePoint, ...]


def with_rate(
    job: Job,
    part: Part,
    learned: Objective,
    rows: npt.NDArray[np.int64],
    ranks: Ranks,
    fresh: Callable[[], Network],
    resumed: Checkpoint | None,
    tell: Callable[[Report], None],
) -> Job:
    """The job with the peak rate that a range test chose, if it asks for one; a resumed run keeps its rate.

    The first rank tests, on its share of each step; all learn what it found.
    """
    options = job.options
    if resumed is not None:
        rate = resumed.progress.learning_rate or options.learning_rate
    elif options.find_learning_rate:
        tell(Activity(text="Looking for a learning rate"))
        said = b""
        if ranks.first:
            share = max(1, options.batch_size // ranks.world)
            order = batches.Order([x.rows for x in part.files], share, 1, options.seed, rows)
            loader = batches.Loader(part, learned, options, order, 0)
            found = find_rate(
                fresh,
                learned,
                options,
                lambda epoch: loader.epoch(epoch, 0),
                ranks.device,
                from_base=bool(job.base_digest),
                beat=lambda: tell(Alive()),
            )
            tell(RateFound(rate=found.rate, curve=found.curve))
            said = msgspec.json.encode(found.rate)
            seed_all(options.seed)
        rate = msgspec.json.decode(ranks.share_bytes(said), type=float)
    else:
        return job
    return replace(job, options=replace(options, learning_rate=rate))


def find_rate(
    fresh: Callable[[], Network],
    objective: Objective,
    options: TrainingOptions,
    epochs: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
    device: torch.device,
    *,
    from_base: bool,
    beat: Callable[[], None],
) -> Found:
    """Try rates from 1e-5 to 1 on batches of the run's own data and suggest the peak; equal for equal seeds.

    `epochs` gives the batches of an epoch by its number; `beat` hears each step. It takes one process, which
    must be able to hold the network; the network that was tried is thrown away.
    """
    seed_all(options.seed)
    net = fresh().to(device)
    optimizer = optimiser(net, options, from_base=from_base)
    shares = [group["lr"] / options.learning_rate for group in optimizer.param_groups]
    net.train()
    curve: list[RatePoint] = []
    smoothed, least = 0.0, math.inf
    for step, (x_BLT, targets_BC) in enumerate(_endless(epochs), start=1):
        rate = LOWEST * (HIGHEST / LOWEST) ** ((step - 1) / (STEPS - 1))
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share
        seed_all(batches.generator(options.seed, PASSED_EPOCH, step).initial_seed())
        loss = _step(net, objective, optimizer, x_BLT.to(device), targets_BC.to(device), options)
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
        told = smoothed / (1 - SMOOTHING**step)
        if not math.isfinite(told) or told > DIVERGED * least:
            break
        least = min(least, told)
        curve.append(RatePoint(rate=rate, loss=told))
        beat()
        if step == STEPS:
            break
    return Found(rate=suggested(curve, options.learning_rate), curve=tuple(curve))


def suggested(curve: Sequence[RatePoint], usual: float) -> float:
    """A tenth of the rate at which the smoothed loss was least, to two digits; `usual` if it never fell."""
    if len(curve) < 3:
        return usual
    best = min(range(len(curve)), key=lambda i: curve[i].loss)
    if not best:
        return usual
    return float(f"{curve[best].rate / SAFETY:.1e}")


def _endless(
    epochs: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
) -> Iterable[tuple[Tensor, Tensor]]:
    epoch = 1
    while True:
        yield from epochs(epoch)
        epoch += 1


def _step(
    net: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    x_BLT: Tensor,
    targets_BC: Tensor,
    options: TrainingOptions,
) -> float:
    optimizer.zero_grad()
    loss = objective.loss(network.logits(net, x_BLT).float(), targets_BC)
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    if options.gradient_clip:
        nn.utils.clip_grad_norm_(net.parameters(), options.gradient_clip)
    optimizer.step()  # pyright: ignore[reportUnknownMemberType]
    return float(loss.detach())
