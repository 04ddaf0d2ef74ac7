"""What a run tells its launcher: one JSON object a line on standard output."""

from __future__ import annotations

import sys

import msgspec

from exchangeai.facts import Epoch


class Activity(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="activity"):
    """What it does now, in words."""

    text: str


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="resumed"):
    """Training begins after these epochs; none for a new run."""

    epochs: tuple[Epoch, ...]
    best_epoch: int


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


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="stopped"):
    """It was asked to stop; the checkpoint is saved."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="failed"):
    """It cannot go on; the reason is safe to show."""

    reason: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="finished"):
    """The model and the result are in the run's folder."""


Report = Activity | Resumed | Alive | StepDone | EpochDone | Stopped | Failed | Finished


def emit(report: Report) -> None:
    """Tell it."""
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


def parse(line: bytes) -> Report | None:
    """Understand a line; None for what a library printed."""
    try:
        return msgspec.json.decode(line, type=Report)
    except msgspec.MsgspecError:
        return None
