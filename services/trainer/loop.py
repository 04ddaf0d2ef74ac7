"""The training loop: steps, epochs, early stopping, a checkpoint after each epoch.

Shapes: B batch, L lead, T time, C class.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exchangeai.dataset import Part
from exchangeai.errors import ExchangeaiError
from exchangeai.facts import Epoch, Task
from services.trainer import batches, network, objective
from services.trainer.checkpoint import Checkpoint, Progress
from services.trainer.evaluate import Predictions, by_recording
from services.trainer.job import Job
from services.trainer.metrics import macro_auroc
from services.trainer.ranks import Ranks
from services.trainer.report import Alive, EpochDone, Report, Resumed, StepDone
from services.trainer.tensors import seed_all, tensor

WARM_UP = 0.1
WEIGHT_DECAY = 0.05
EVALUATION_BATCH = 64
REPORT_EVERY_S = 1.0
READ_AHEAD = 4
"""Steps between asking the disk for a batch and using it."""


class Diverged(ExchangeaiError):
    """The loss is no longer a number."""


class StopRequested(Exception):
    """The run was asked to stop; its checkpoint is saved."""


def train(
    job: Job,
    parts: dict[str, Part],
    ranks: Ranks,
    *,
    fresh: Callable[[], nn.Module],
    resumed: Checkpoint | None,
    save: Callable[[Checkpoint], None],
    stop: Callable[[], bool],
    tell: Callable[[Report], None],
) -> Checkpoint:
    """Train to the last epoch or until patience ends; returns the finished checkpoint.

    Raises StopRequested, Diverged.
    """
    options, data = job.options, parts["train"]
    order = batches.Order([x.rows for x in data.files], options.batch_size, ranks.world, options.seed)
    weights_C = objective.class_weights(data.labels, job.task).to(ranks.device)
    net = fresh().to(ranks.device)
    parallel = ranks.parallel(net)
    optimizer = torch.optim.AdamW(_groups(net), lr=options.learning_rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(order.steps * options.max_epochs))
    at, best = Progress(), copy.deepcopy(net.state_dict())
    if resumed is not None:
        at, best = resumed.progress, resumed.best
        net.load_state_dict(resumed.model)
        optimizer.load_state_dict(resumed.optimizer)
        scheduler.load_state_dict(resumed.scheduler)

    def keep(progress: Progress) -> Checkpoint:
        made = Checkpoint(
            progress=progress,
            model=net.state_dict(),
            best=best,
            optimizer=optimizer.state_dict(),
            scheduler=scheduler.state_dict(),
        )
        save(made)
        return made

    tell(Resumed(epochs=at.history, best_epoch=at.best_epoch))
    while not at.finished:
        parallel.train()
        begun_s = told_s = time.monotonic()
        while at.step < order.steps:
            here = (options.seed, at.epoch, at.step, ranks.rank)
            indices = order.at(at.epoch, at.step, ranks.rank)
            data.will_need(order.at(at.epoch, at.step + READ_AHEAD, ranks.rank))
            x_BLT = batches.varied(data, indices, batches.generator(*here))
            seed_all(batches.generator(*here, 1).initial_seed())  # for dropout
            predicted_BC = network.logits(parallel, x_BLT.to(ranks.device))
            targets_BC = batches.targets(data, indices).to(ranks.device)
            value = objective.loss(predicted_BC, targets_BC, weights_C, job.task)
            optimizer.zero_grad()
            value.backward()  # pyright: ignore[reportUnknownMemberType]
            optimizer.step()  # pyright: ignore[reportUnknownMemberType]
            scheduler.step()
            at = replace(at, step=at.step + 1, loss_sum=at.loss_sum + float(value))
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
        ranks.share_buffers(net)
        predicted = predict(net, parts["validation"], ranks, lambda: tell(Alive()))
        loss, auroc = _validate(predicted, weights_C, job.task)
        better = _score(auroc, loss) > _score(at.best_auroc, at.best_loss)
        if better:
            best = copy.deepcopy(net.state_dict())
            at = replace(at, best_epoch=at.epoch, best_auroc=auroc, best_loss=loss)
        done = Epoch(
            epoch=at.epoch,
            train_loss=at.loss_sum / order.steps,
            validation_loss=loss,
            validation_macro_auroc=auroc,
            seconds=time.monotonic() - begun_s,
        )
        last = at.epoch >= options.max_epochs or at.epoch - at.best_epoch >= options.patience
        at = replace(at, epoch=at.epoch + 1, step=0, loss_sum=0.0, finished=last, history=(*at.history, done))
        kept = keep(at)
        tell(EpochDone(epoch=done, best_epoch=at.best_epoch))
        if last:
            return kept
    assert resumed is not None
    return resumed


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
        labels=np.asarray(part.labels) > 0,
        recordings=part.recording_ids,
        patients=part.patient_keys,
    )


def _validate(predicted: Predictions, weights_C: Tensor, task: Task) -> tuple[float, float | None]:
    logits = tensor(predicted.logits)
    labels = tensor(predicted.labels.astype(np.float64))
    loss = float(objective.loss(logits, labels, weights_C.cpu().double(), task))
    scores = by_recording(predicted, task, 1.0)
    return loss, macro_auroc(scores.probabilities, scores.labels)


def _score(auroc: float | None, loss: float) -> tuple[float, float]:
    return (-1.0 if auroc is None else auroc, -loss)


def _groups(net: nn.Module) -> list[dict[str, Any]]:
    """Biases and normalisation are not decayed."""
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [
        {"params": weights, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


def _schedule(steps: int) -> Callable[[int], float]:
    warm_up = max(1, round(WARM_UP * steps))

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    return factor
