"""Checkpoints: everything that a run needs to go on as if it had never stopped.

Randomness is no part of them: each step draws from a generator seeded by (seed, epoch, step, rank).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from exchangeai.errors import NotFound
from exchangeai.facts import Epoch, RateSearch
from exchangeai.store import BlockingStore

FORMAT = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands between two steps."""

    epoch: int = 1
    """The epoch in hand."""
    step: int = 0
    """Steps of it that are done."""
    loss_sum: float = 0.0
    """Sum of the losses of these steps, of rank 0."""
    best_epoch: int = 0
    best_score: tuple[float, float] = (float("-inf"), float("-inf"))
    finished: bool = False
    """No more epochs are to come."""
    history: tuple[Epoch, ...] = ()
    rate_search: RateSearch | None = None
    """How the learning rate was found, when it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint in memory; states are as torch gives them."""

    progress: Progress
    model: dict[str, Any]
    average: dict[str, Any]
    best: dict[str, Any]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]


def save(checkpoint: Checkpoint, path: Path, store: BlockingStore | None, key: str) -> None:
    """Write to disk so that a crash leaves the old or the new one, then to the store."""
    buffer = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "progress": asdict(checkpoint.progress),
            "model": checkpoint.model,
            "average": checkpoint.average,
            "best": checkpoint.best,
            "optimizer": checkpoint.optimizer,
            "scheduler": checkpoint.scheduler,
        },
        buffer,
    )
    data = buffer.getvalue()
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    fresh.replace(path)
    if store is not None:
        store.put(key, data)


def furthest(path: Path, store: BlockingStore | None, key: str) -> bytes:
    """The furthest of the checkpoints on disk and in the store, empty for none; damaged ones are passed over.

    For the first rank alone: another machine's disk may be behind, and all must go on from the same step.
    """
    candidates: list[bytes] = []
    if path.exists():
        candidates.append(path.read_bytes())
    if store is not None:
        with contextlib.suppress(NotFound):
            candidates.append(store.get(key))
    found, data = Progress(epoch=0), b""
    for candidate in candidates:
        read = parse(candidate)
        if read is not None and _reached(read.progress) > _reached(found):
            found, data = read.progress, candidate
    return data


def parse(data: bytes) -> Checkpoint | None:
    """Read a checkpoint; None for no bytes and for damaged ones."""
    if not data:
        return None
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise ValueError("another version's checkpoint")
        return Checkpoint(
            progress=msgspec.convert(content["progress"], Progress),
            model=content["model"],
            average=content["average"],
            best=content["best"],
            optimizer=content["optimizer"],
            scheduler=content["scheduler"],
        )
    except Exception:  # torch raises half a dozen kinds for torn bytes
        log.warning("a checkpoint is damaged and is passed over", exc_info=True)
        return None


def _reached(progress: Progress) -> tuple[bool, int, int]:
    return progress.finished, progress.epoch, progress.step
