"""What a run tells its launcher: one JSON object a line on standard output."""

from __future__ import annotations

import logging
import sys

import msgspec

from exchangeai.facts import Epoch, RateSearch

log = logging.getLogger(__name__)


class Activity(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="activity"):
    """What it does now, in words."""

    text: str


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="resumed"):
    """Training begins after these epochs; none for a new run."""

    epochs: tuple[Epoch, ...]
    best_epoch: int


class RateFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="rate_found"):
    """The learning rate was searched for."""

    search: RateSearch


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="alive"):
    """Something was done that takes no place among the steps: a file came, a batch was judged."""


class StepDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="progress"):
    """So many of the epoch's steps are done."""

    epoch: int
    step: int
    steps: int


class EpochDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="epoch"):
    """An epoch is done and its checkpoint saved."""

    epoch: Epoch
    best_epoch: int


class Exporting(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="exporting"):
    """Nothing more is learnt or measured: the model file is being made."""


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="stopped"):
    """It was asked to stop; the checkpoint is saved."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="failed"):
    """It cannot go on; the reason is safe to show."""

    reason: str


class Interrupted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="interrupted"):
    """It ends for a cause that may pass, so it is worth another start; the reason is safe to show."""

    reason: str


class Killed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="killed"):
    """A rank was ended by SIGKILL, as the kernel does for want of memory."""


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="finished"):
    """The model and the result are in the run's folder."""


Report = (
    Activity
    | Resumed
    | RateFound
    | Alive
    | StepDone
    | EpochDone
    | Exporting
    | Stopped
    | Failed
    | Interrupted
    | Killed
    | Finished
)


def emit(report: Report) -> None:
    """Tell it, and write it into the log in words."""
    sys.stdout.write(encode(report).decode() + "\n")
    sys.stdout.flush()
    if said := words(report):
        log.info(said)


def encode(report: Report) -> bytes:
    """Its line, without the end."""
    return msgspec.json.encode(report)


def words(report: Report) -> str:
    """What a person who reads the run's log is told of it; empty for nothing."""
    match report:
        case Activity():
            return report.text
        case Resumed():
            return f"Training begins after {len(report.epochs)} epochs" if report.epochs else ""
        case RateFound(search=search):
            return f"Training at a learning rate of {search.chosen:.2g}, found in {len(search.rates)} steps"
        case EpochDone(epoch=done):
            said = f"Epoch {done.epoch}: loss {done.train_loss:.5f}, on validation {done.validation_loss:.5f}"
            score = done.validation_macro_auroc
            return said + (f", macro-AUROC {score:.4f}" if score is not None else "")
        case Exporting():
            return "Exporting the model"
        case Stopped():
            return "Asked to stop; the checkpoint is saved"
        case Failed() | Interrupted():
            return report.reason
        case _:
            return ""


def parse(line: bytes) -> Report | None:
    """Understand a line; None for what a library printed."""
    try:
        return msgspec.json.decode(line, type=Report)
    except msgspec.MsgspecError:
        return None
