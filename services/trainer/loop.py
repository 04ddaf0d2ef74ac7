"""The training loop: steps, epochs, early stopping, a checkpoint after each epoch.

Shapes: B batch, L lead, T time, C class.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from exchangeai.dataset import Part
from exchangeai.errors import ExchangeaiError
from exchangeai.facts import Epoch, Precision, RateSearch, Task, TrainingOptions
from services.trainer import batches, find_rate, label_share, network, sharding
from services.trainer.checkpoint import Checkpoint, Progress
from services.trainer.evaluation.metrics import macro_auroc
from services.trainer.evaluation.predictions import Predictions, by_recording
from services.trainer.job import Job
from services.trainer.network import Network
from services.trainer.objective import Objective
from services.trainer.optimise import Average, optimiser, schedule
from services.trainer.ranks import Ranks
from services.trainer.report import Activity, Alive, EpochDone, RateFound, Report, Resumed, StepDone
from services.trainer.tensors import compiled, seed_all

EVALUATION_BATCH = 64
REPORT_EVERY_S = 1.0


class Diverged(ExchangeaiError):
    """The loss is no longer a number."""


class StopRequested(Exception):
    """The run was asked to stop; its checkpoint is saved."""


def train(
    job: Job,
    parts: dict[str, Part],
    objective: Objective,
    ranks: Ranks,
    *,
    fresh: Callable[[], Network],
    resumed: Checkpoint | None,
    save: Callable[[Checkpoint], None],
    stop: Callable[[], bool],
    tell: Callable[[Report], None],
) -> Checkpoint:
    """Train to the last epoch or until patience ends; returns the finished checkpoint.

    Raises StopRequested, Diverged.
    """
    options, data = job.options, parts["train"]
    rows = label_share.rows(data, job.task, options.label_share, options.seed)
    order = batches.Order([x.rows for x in data.files], options.batch_size, ranks.world, options.seed, rows)
    loader = batches.Loader(data, objective, options, order, ranks.rank)
    net = fresh().to(ranks.device)
    averaged = copy.deepcopy(net)
    at = Progress()
    best = copy.deepcopy(net.state_dict())
    if resumed is not None:
        at, best = resumed.progress, resumed.best
        net.load_state_dict(resumed.model)
        averaged.load_state_dict(resumed.average)
    if options.find_learning_rate:
        if at.rate_search is None:
            tell(Activity(text="Searching for a learning rate"))
            at = replace(at, rate_search=_search(net, job, objective, loader, ranks, stop, tell))
            tell(Activity(text="Training"))
        assert at.rate_search is not None
        options = replace(options, learning_rate=at.rate_search.chosen)
        tell(RateFound(search=at.rate_search))
    parallel, judge = _spread(net, averaged, job, ranks)
    average = Average(averaged, net, options.average)
    optimizer = optimiser(net, options, from_base=bool(job.base_digest))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(order.steps * options.max_epochs))
    if resumed is not None:
        sharding.give_back(optimizer, resumed.optimizer)
        scheduler.load_state_dict(resumed.scheduler)

    def keep(progress: Progress) -> Checkpoint:
        made = Checkpoint(
            progress=progress,
            model=sharding.whole(net.state_dict()),
            average=sharding.whole(averaged.state_dict()),
            best=best,
            optimizer=sharding.whole(optimizer.state_dict()),
            scheduler=scheduler.state_dict(),
        )
        save(made)
        return made

    tell(Resumed(epochs=at.history, best_epoch=at.best_epoch))
    while not at.finished:
        parallel.train()
        begun_s = told_s = time.monotonic()
        for x_BLT, targets_BC in loader.epoch(at.epoch, at.step):
            here = (options.seed, at.epoch, at.step, ranks.rank)
            seed_all(batches.generator(*here, 1).initial_seed())  # for crops and dropout
            loss = training_step(parallel, objective, options, ranks, optimizer, x_BLT, targets_BC)
            scheduler.step()
            at = replace(at, step=at.step + 1, loss_sum=at.loss_sum + loss)
            average.follow((at.epoch - 1) * order.steps + at.step)
            if not math.isfinite(at.loss_sum):
                raise Diverged(
                    f"the loss is no longer a number in epoch {at.epoch}: try a lower learning rate "
                    f"than {options.learning_rate:g}"
                )
            if ranks.any(stop()):
                keep(at)
                raise StopRequested
            if time.monotonic() - told_s >= REPORT_EVERY_S:
                told_s = time.monotonic()
                tell(StepDone(epoch=at.epoch, step=at.step, steps=order.steps))
        judged = judge(averaged if options.average else net)
        ranks.share_buffers(judged)
        predicted = predict(judged, parts["validation"], ranks, lambda: tell(Alive()))
        done = replace(
            _validate(predicted, objective),
            epoch=at.epoch,
            train_loss=at.loss_sum / order.steps,
            seconds=time.monotonic() - begun_s,
        )
        if _score(done) > at.best_score:
            best = copy.deepcopy(judged.state_dict())
            at = replace(at, best_epoch=at.epoch, best_score=_score(done))
        last = at.epoch >= options.max_epochs or at.epoch - at.best_epoch >= options.patience
        at = replace(at, epoch=at.epoch + 1, step=0, loss_sum=0.0, finished=last, history=(*at.history, done))
        kept = keep(at)
        tell(EpochDone(epoch=done, best_epoch=at.best_epoch))
        if last:
            return kept
    assert resumed is not None
    return resumed


def _spread(
    net: Network, averaged: Network, job: Job, ranks: Ranks
) -> tuple[nn.Module, Callable[[Network], Network]]:
    """The network as the ranks train it, and what makes of it, or of its average, one to predict with."""
    if ranks.world == 1 or not sharding.asked_for(job.architecture):
        return ranks.parallel(compiled(net) if job.options.compile else net), lambda judged: judged
    plain = copy.deepcopy(net)

    def gathered(judged: Network) -> Network:
        # Ranks predict batches of unequal number, so that they cannot gather weights in step.
        plain.load_state_dict(sharding.whole(judged.state_dict()))
        return plain

    mesh = ranks.mesh()
    for each in (net, averaged):
        sharding.split(each, mesh)
    # As DistributedDataParallel does before each pass in training.
    net.register_forward_pre_hook(lambda module, _: ranks.share_buffers(module) if module.training else None)
    if job.options.compile:
        net.compile()  # pyright: ignore[reportUnknownMemberType]
    return net, gathered


def _search(
    net: Network,
    job: Job,
    objective: Objective,
    loader: batches.Loader,
    ranks: Ranks,
    stop: Callable[[], bool],
    tell: Callable[[Report], None],
) -> RateSearch:
    """Search for a rate on a copy of the network; all ranks learn what the first one found."""
    probe, options = copy.deepcopy(net), job.options
    parallel, _ = _spread(probe, copy.deepcopy(net), job, ranks)
    parallel.train()
    # A rate of 1 makes each group's rate its share of that which is tried.
    optimizer = optimiser(probe, replace(options, learning_rate=1.0), from_base=bool(job.base_digest))
    shares = [float(group["lr"]) for group in optimizer.param_groups]
    windows = (batch for epoch in itertools.count(1) for batch in loader.epoch(epoch, 0))
    taken = itertools.count()

    def step(rate: float) -> float:
        if ranks.any(stop()):
            raise StopRequested
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share
        seed_all(batches.generator(options.seed, 0, next(taken), ranks.rank, 1).initial_seed())
        tell(Alive())
        return training_step(parallel, objective, options, ranks, optimizer, *next(windows))

    with contextlib.closing(windows):
        found = find_rate.search(step, options.learning_rate, ranks.any)
    return msgspec.json.decode(ranks.share_bytes(msgspec.json.encode(found)), type=RateSearch)


def training_step(
    parallel: nn.Module,
    objective: Objective,
    options: TrainingOptions,
    ranks: Ranks,
    optimizer: torch.optim.Optimizer,
    x_BLT: Tensor,
    targets_BC: Tensor,
) -> float:
    """Move the weights once; returns the mean loss over this rank's share."""
    total = 0.0
    halves = options.precision is Precision.BFLOAT16
    parts = min(options.accumulate, len(x_BLT))
    optimizer.zero_grad()
    for i, (x, y) in enumerate(zip(x_BLT.chunk(parts), targets_BC.chunk(parts), strict=True)):
        with (
            ranks.gradients_shared(parallel, i == parts - 1),
            torch.autocast(ranks.device.type, torch.bfloat16, enabled=halves),
        ):
            logits_BC = network.logits(parallel, x.to(ranks.device, non_blocking=True))
            value = objective.loss(logits_BC.float(), y.to(ranks.device)) * (len(x) / len(x_BLT))
            value.backward()  # pyright: ignore[reportUnknownMemberType]
        total += float(value.detach())
    if options.gradient_clip:
        nn.utils.clip_grad_norm_(parallel.parameters(), options.gradient_clip)
    optimizer.step()  # pyright: ignore[reportUnknownMemberType]
    return total


def predict(net: nn.Module, part: Part, ranks: Ranks, beat: Callable[[], None]) -> Predictions:
    """Logits of a whole part; the ranks share the work and all have the result. `beat` hears each batch."""
    net.eval()
    total = len(part.values)
    mine = np.arange(ranks.rank, total, ranks.world)
    rows: list[Tensor] = [torch.zeros((0, part.labels.shape[1]), device=ranks.device)]
    with torch.no_grad():
        for start in range(0, len(mine), EVALUATION_BATCH):
            x_BLT = batches.millivolts(part, mine[start : start + EVALUATION_BATCH])
            rows.append(network.logits(net, x_BLT.to(ranks.device)))
            beat()
    return Predictions(
        logits=ranks.gather_rows(torch.cat(rows), total).double().cpu().numpy(),
        labels=np.asarray(part.labels) if part.labels.dtype == np.float32 else np.asarray(part.labels) > 0,
        recordings=part.recording_ids,
        patients=part.patient_keys,
        sex=part.sex,
        age_years=part.age_years,
        device_model=part.device_model,
    )


def _validate(predicted: Predictions, objective: Objective) -> Epoch:
    """What validation says of an epoch; the rest of it is the caller's."""
    logits = torch.from_numpy(predicted.logits).float()  # pyright: ignore[reportUnknownMemberType]
    targets = objective.targets(predicted.labels)
    auroc = error = None
    if objective.task is Task.REGRESSION:
        error = float((logits - targets).abs().nanmean(dim=0).nanmean())
    else:
        scores = by_recording(predicted, objective.task, 1.0)
        auroc = macro_auroc(scores.probabilities, scores.labels)
    return Epoch(
        epoch=0,
        train_loss=0.0,
        validation_loss=float(objective.loss(logits, targets)),
        validation_macro_auroc=auroc,
        validation_error=error,
        seconds=0.0,
    )


def _score(done: Epoch) -> tuple[float, float]:
    """Greater is better."""
    if done.validation_error is not None:
        return (-done.validation_error, -done.validation_loss)
    auroc = done.validation_macro_auroc
    return (-1.0 if auroc is None else auroc, -done.validation_loss)
