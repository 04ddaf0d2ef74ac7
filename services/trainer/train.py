"""One training run: `torchrun -m services.trainer.train --run-dir DIR`.

Reads `job.json` in DIR, trains, evaluates, exports `model.onnx` and writes `result.json` last. The first
rank tells what happens as JSON lines on standard output (see `services.trainer.report`). SIGTERM ends
the run after the step in hand, its checkpoint saved. Equal seeds, data and world sizes give equal weights,
however often the run was killed and resumed in between.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exchangeai.config import StoreConfig, from_env
from exchangeai.dataset import (
    PARTS,
    DatasetManifest,
    Part,
    decode_manifest,
    download,
    manifest_key,
    open_part,
)
from exchangeai.errors import ContractViolation, ExchangeError, Unavailable
from exchangeai.facts import Epoch, Task
from exchangeai.store import BlockingStore, open_blocking_store
from services.trainer import batches, checkpoint, network, objective
from services.trainer.checkpoint import Checkpoint, Progress
from services.trainer.evaluate import Predictions, by_recording
from services.trainer.finish import finish
from services.trainer.job import BASE_FILE, CHECKPOINT_FILE, STOPPED, Job, checkpoint_key, read_job
from services.trainer.metrics import macro_auroc
from services.trainer.orphan import die_with_parent
from services.trainer.ranks import Ranks, joined
from services.trainer.report import Activity, EpochDone, Failed, Report, Resumed, StepDone, Stopped, emit
from services.trainer.tensors import seed_all, tensor

WARM_UP = 0.1
WEIGHT_DECAY = 0.05
EVALUATION_BATCH = 64
REPORT_EVERY_S = 1.0
MANIFEST_FILE = "manifest.json"
"""Lies beside the shards when there is no store."""
log = logging.getLogger(__name__)


class Diverged(ExchangeError):
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
    order = batches.Order(len(data.values), options.batch_size, ranks.world, options.seed)
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
            x_BLT = batches.vary(batches.millivolts(data, indices), batches.generator(*here))
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
        predicted = predict(net, parts["validation"], ranks)
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


def predict(net: nn.Module, part: Part, ranks: Ranks) -> Predictions:
    """Logits of a whole part; the ranks share the work and all have the result."""
    net.eval()
    total = len(part.values)
    mine = np.arange(ranks.rank, total, ranks.world)
    rows: list[Tensor] = [torch.zeros((0, part.labels.shape[1]), device=ranks.device)]
    with torch.no_grad():
        for start in range(0, len(mine), EVALUATION_BATCH):
            x_BLT = batches.millivolts(part, mine[start : start + EVALUATION_BATCH])
            rows.append(network.logits(net, x_BLT.to(ranks.device)))
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


def run(folder: Path, stop: Callable[[], bool], store: BlockingStore | None) -> None:
    """The whole run of one rank. Raises StopRequested and ExchangeErrors that say why."""
    job = read_job(folder)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    with joined() as ranks:

        def tell(report: Report) -> None:
            if ranks.first:
                emit(report)

        tell(Activity(text="Fetching the data set"))
        if ranks.local_rank == 0 and store is not None:
            download(store, job.dataset_id, job.data_folder)
        ranks.wait()
        manifest, parts = _open(job, store)
        seed_all(job.options.seed)
        path, key = folder / CHECKPOINT_FILE, checkpoint_key(job.run_id)
        resumed = checkpoint.load(path, store, key)
        ranks.wait()  # no rank may write a checkpoint before all have read the last

        def fresh() -> nn.Module:
            net = network.build(job.architecture, len(job.classes))
            if job.base_digest:
                base = (folder / BASE_FILE).read_bytes()
                network.start_from(net, job.architecture, job.classes, base)
            return net

        def save(made: Checkpoint) -> None:
            if ranks.first:
                checkpoint.save(made, path, store, key)

        tell(Activity(text="Training"))
        trained = train(job, parts, ranks, fresh=fresh, resumed=resumed, save=save, stop=stop, tell=tell)
        if ranks.any(stop()):
            raise StopRequested
        net = fresh().to(ranks.device)
        net.load_state_dict(trained.best)
        weights_C = objective.class_weights(parts["train"].labels, job.task)
        objective.take_out_weights(net, weights_C)
        tell(Activity(text="Evaluating on the test part"))
        validation, test = (predict(net, parts[p], ranks) for p in ("validation", "test"))
    if ranks.first:
        finish(folder, job, manifest, net, trained.progress.best_epoch, validation, test)


def _open(job: Job, store: BlockingStore | None) -> tuple[DatasetManifest, dict[str, Part]]:
    key = manifest_key(job.dataset_id)
    stored = (job.data_folder / MANIFEST_FILE).read_bytes() if store is None else store.get(key)
    manifest = decode_manifest(stored)
    parts = {p: open_part(job.data_folder, manifest, p) for p in PARTS}
    for name in ("train", "validation"):
        if len(parts[name]) < job.options.processes:
            raise ContractViolation(f"the data set's {name} part has too few recordings to train with")
    return manifest, parts


def main(arguments: list[str]) -> int:
    """Run one rank; returns its exit code."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="services.trainer.train", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder with job.json")
    folder: Path = parser.parse_args(arguments).run_dir
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    store = None
    if os.environ.get("EXCHANGEAI_STORE_URL"):
        store = open_blocking_store(from_env(StoreConfig, prefix="EXCHANGEAI_STORE_"))
    first = os.environ.get("RANK", "0") == "0"
    try:
        run(folder, stop.is_set, store)
    except StopRequested:
        if first:
            emit(Stopped())
        return STOPPED
    except Unavailable:
        # Not the run's fault: without a reason of ours the worker tries again from the checkpoint.
        log.exception("a server did not answer")
        return 1
    except ExchangeError as e:
        log.exception("the run failed")
        emit(Failed(reason=str(e)))
        return 1
    except Exception as e:
        # A defect; repeating it would only repeat it, so it is reported and not left to look like a crash.
        log.exception("the run failed")
        emit(Failed(reason=f"an internal error ({type(e).__name__}); the trainer's log has the details"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
