"""How ranks are started: one launcher a file, and what all of them promise.

Whichever launcher runs a job, the worker sees the same: the reports of the first rank as they come, what
else the ranks wrote in their log, the model and its result in the run's folder when it is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from exchangeai.errors import InvalidArgument
from services.trainer.job import GAVE_UP, STOPPED
from services.trainer.report import Report, parse
from services.trainer.run_log import RunLog

Tell = Callable[[Report], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One attempt at a run."""

    run_id: str
    attempt: int
    folder: Path
    """Has `job.json` and perhaps `base.onnx`; takes the results and the log."""
    processes: int
    """Ranks in all."""

    @property
    def name(self) -> str:
        """What the attempt is called elsewhere: two starts of it are one."""
        return f"run-{self.run_id}-{self.attempt}"


class End(StrEnum):
    """How an attempt ended."""

    FINISHED = "finished"
    """The result is in the folder."""
    STOPPED = "stopped"
    """Asked to stop, it saved its checkpoint."""
    GAVE_UP = "gave_up"
    """It told why it cannot go on."""
    DIED = "died"
    """The ranks ended without a word, as when the kernel kills them."""
    LEFT = "left"
    """The ranks run on without this process; the next `run` finds them."""


class Launcher(Protocol):
    """Starts the ranks of runs and follows them."""

    @property
    def most_processes(self) -> int:
        """The most ranks that a run may have here."""
        ...

    async def run(self, launch: Launch, tell: Tell, stop: asyncio.Event, leave: asyncio.Event) -> End:
        """Run the attempt to its end; one that runs already, or has finished, is joined and not begun anew.

        `tell` hears each report of the first rank, in order, none twice unless an attempt is joined: then
        all of its reports so far. `stop` asks the ranks to save and end. `leave` says that this process
        ends: ranks that live elsewhere run on, others stop. Raises InvalidArgument, Unavailable.
        """
        ...

    async def clear(self, launch: Launch) -> None:
        """End whatever of the attempt still runs, its checkpoint saved, and remove its traces; idempotent."""
        ...


class Listener:
    """Takes what the ranks write: reports are told, the rest goes into the run's log."""

    def __init__(self, launch: Launch, tell: Tell) -> None:
        self._log = RunLog(launch.folder, launch.processes)
        self.tell = tell
        self.last: Report | None = None
        """What was told last."""

    async def hear(self, line: bytes) -> None:
        """Take one line, with or without its end."""
        report = parse(line)
        if report is not None:
            self.last = report
            await self.tell(report)
        else:
            self.keep(line.rstrip(b"\n") + b"\n")

    def keep(self, data: bytes) -> None:
        """Put bytes that have no reports among them into the log."""
        self._log.write(data)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the ranks of a run lie on machines."""

    nodes: int
    processes: int
    """Ranks of each node."""


def lay_out(processes: int, per_node: int, most_nodes: int) -> Layout:
    """Fill whole nodes. Raises InvalidArgument when that cannot be."""
    if processes <= per_node:
        return Layout(nodes=1, processes=processes)
    if processes % per_node or processes > per_node * most_nodes:
        raise InvalidArgument(
            f"{processes} processes do not fit: this trainer has at most {most_nodes} nodes of {per_node}; "
            f"choose up to {per_node}, or a multiple of {per_node} up to {per_node * most_nodes}"
        )
    return Layout(nodes=processes // per_node, processes=per_node)


def end_of(code: int) -> End:
    """What the exit code of a node means."""
    return {0: End.FINISHED, STOPPED: End.STOPPED, GAVE_UP: End.GAVE_UP}.get(code, End.DIED)


async def first(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Wait until one of the events is set or the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    if not waiting:
        await asyncio.sleep(timeout_s or 0.0)
        return
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
