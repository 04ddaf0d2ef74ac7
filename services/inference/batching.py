"""Runs models for many callers on few threads: joins what waits, in turns; refuses what would wait in vain.

A batch is never waited for: a thread that becomes free takes what is there. A request that is alone runs on
all cores, which answers sooner; when there are more, each thread runs its batch on one core, which answers
more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ExchangeaiError, Overloaded, Unavailable
from services.inference.sessions import QUICK_S

if TYPE_CHECKING:
    from services.inference.loading import LoadedModel

log = logging.getLogger(__name__)

Windows = npt.NDArray[np.float32]
Outputs = dict[str, Windows]

NICENESS = 10
"""Of the threads at work for PRESSED_S after a refusal; all others have 0."""
PRESSED_S = 2.0
PLANNED = 0.75
"""Share of the time before a deadline that may be planned for: how long others take is known only roughly."""
MAX_WAITING = 1024
"""Windows that may wait, 246 MB; those of one call are at most 128."""
CLOSING = "the service is shutting down; ask another replica"
LATE = "the deadline passed before the model could run; try again later or allow more time"


@dataclass(eq=False)
class _Call:
    """One request; cut into pieces of as many windows as one run takes."""

    model: LoadedModel
    outputs: tuple[str, ...]
    deadline: float
    answered: Callable[[list[Outputs] | ExchangeaiError], object]
    waiting: int
    """Pieces without an answer."""
    parts: list[Outputs] = field(default_factory=list[Outputs])
    over: bool = False
    """Answered, refused or given up by the caller."""


@dataclass(frozen=True, eq=False)
class _Piece:
    call: _Call
    index: int
    windows: Windows


class Batcher:
    """A few threads and the queue before them; a context manager."""

    def __init__(
        self,
        threads: int,
        *,
        max_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_waiting = max_waiting
        self._clock = clock
        self._most_busy = threads
        self._lock = threading.Lock()
        self._usual, self._polite = (threading.Condition(self._lock) for _ in range(2))
        """Where threads wait for work, by their priority; one of the two kinds is at work at a time."""
        self._turns: OrderedDict[str, deque[_Piece]] = OrderedDict()
        """Pieces by caller; the caller whose turn it is comes first."""
        self._waiting: Counter[str] = Counter()
        """Windows by the digest of their model."""
        self._busy = 0
        self._window_s: dict[str, float] = {}
        """Seconds that a window of a model (by digest) takes a thread, a moving average."""
        self._any_window_s = 0.0
        """The same over all models."""
        self._refused_s = -math.inf
        """When a call was last refused for want of time or room."""
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(polite,), name=f"model-{i}", daemon=True)
            for polite in (False, True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs on the threads."""
        return not self._turns and not self._busy

    def in_vain(self, calls: int, left_s: float) -> bool:
        """Whether it takes longer than a new caller waits to answer so many calls of one window each.

        It is taken that they are as calls were lately.
        """
        found = calls * self._any_window_s / self._most_busy > PLANNED * left_s
        if found:
            self._refused_s = self._clock()
        return found

    async def run(
        self,
        model: LoadedModel,
        windows: Windows,
        outputs: Sequence[str],
        deadline: float,
        caller: str = "",
    ) -> Outputs:
        """Outputs by name on float32 [n, 12, 5000].

        Callers take turns. Raises Overloaded at once when too much waits or the deadline (a reading of the
        clock) would pass meanwhile, and later when it did; ContractViolation when the graph fails.
        """
        if len(windows) * model.session.window_s < QUICK_S:
            return self._run_here(model, windows, outputs, deadline)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Outputs]] = loop.create_future()

        def settle(result: list[Outputs] | ExchangeaiError) -> None:
            if future.done():
                return
            if isinstance(result, ExchangeaiError):
                future.set_exception(result)
            else:
                future.set_result(result)

        most = model.session.most_windows
        starts = range(0, len(windows), most)
        call = _Call(
            model=model,
            outputs=tuple(outputs),
            deadline=deadline,
            answered=lambda result: loop.call_soon_threadsafe(settle, result),
            waiting=len(starts),
        )
        self._admit(call, [_Piece(call, i, windows[x : x + most]) for i, x in enumerate(starts)], caller)
        try:
            parts = await future
        except (asyncio.CancelledError, CancelledError):
            self._forget(call)
            raise
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([x[name] for x in parts]) for name in call.outputs}

    def _run_here(
        self, model: LoadedModel, windows: Windows, outputs: Sequence[str], deadline: float
    ) -> Outputs:
        """Run what takes less time than a thread takes to begin."""
        if self._closed:
            raise Unavailable(CLOSING)
        if self._clock() >= deadline:
            raise Overloaded(LATE)
        return model.session.run(np.ascontiguousarray(windows), outputs, wide=False)

    def _forget(self, call: _Call) -> None:
        """Take the pieces of a caller that gave up out of the queue."""
        with self._lock:
            call.over = True
            for caller, pieces in list(self._turns.items()):
                kept = deque(x for x in pieces if x.call is not call)
                gone = sum(len(x.windows) for x in pieces) - sum(len(x.windows) for x in kept)
                self._waiting[call.model.fact.digest] -= gone
                if kept:
                    self._turns[caller] = kept
                else:
                    del self._turns[caller]

    def close(self) -> None:
        """Finish what runs, refuse what waits."""
        with self._lock:
            self._closed = True
            for pieces in self._turns.values():
                for piece in pieces:
                    _refuse(piece.call, Unavailable(CLOSING))
            self._turns.clear()
            self._waiting.clear()
            self._usual.notify_all()
            self._polite.notify_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _admit(self, call: _Call, pieces: Sequence[_Piece], caller: str) -> None:
        count = sum(len(x.windows) for x in pieces)
        with self._lock:
            if self._closed:
                raise Unavailable(CLOSING)
            waiting = self._waiting.total()
            if waiting + count > self._max_waiting:
                self._refused_s = self._clock()
                raise Overloaded(
                    f"{waiting} windows wait already, of at most {self._max_waiting}; try again later"
                )
            self._waiting[call.model.fact.digest] += count
            work_s = sum(n * self._window_s.get(digest, 0.0) for digest, n in self._waiting.items())
            if self._clock() + work_s / self._most_busy >= call.deadline:
                self._waiting[call.model.fact.digest] -= count
                self._refused_s = self._clock()
                raise Overloaded(LATE)
            call.parts = [{} for _ in pieces]
            self._turns.setdefault(caller, deque()).extend(pieces)
            (self._polite if self._pressed() else self._usual).notify(len(pieces))

    def _pressed(self) -> bool:
        """Whether it is for threads of low priority to work.

        Under overload those that take and refuse calls must not wait for a core, or the refusals come late;
        otherwise a model gets its share of cores that others want as well. A thread cannot raise its priority
        again, so there are some of each.
        """
        return self._clock() - self._refused_s < PRESSED_S

    def _work(self, polite: bool) -> None:
        if polite:
            _give_way()
        while True:
            with self._lock:
                if not self._ready(polite):
                    return
                batch = self._take()
                alone = not self._turns and not self._busy
                self._busy += 1
            try:
                if batch:
                    self._run(batch, alone=alone)
            finally:
                with self._lock:
                    self._busy -= 1

    def _ready(self, polite: bool) -> bool:
        """Wait for something to do; False when there will be nothing more."""
        mine, theirs = (self._polite, self._usual) if polite else (self._usual, self._polite)
        while not self._closed:
            if self._turns and self._busy < self._most_busy:
                if self._pressed() == polite:
                    return True
                theirs.notify()
            mine.wait()
        return False

    def _take(self) -> list[_Piece]:
        """The piece whose turn it is, and others that can run with it."""
        batch: list[_Piece] = []
        room, passed = 0, 0
        while self._turns and passed < len(self._turns):
            caller, pieces = next(iter(self._turns.items()))
            piece = pieces[0]
            if not batch:
                room = piece.call.model.session.most_windows
            if not batch or _alike(piece, batch[0], room):
                pieces.popleft()
                self._waiting[piece.call.model.fact.digest] -= len(piece.windows)
                passed = 0
                if self._alive(piece):
                    batch.append(piece)
                    room -= len(piece.windows)
            else:
                passed += 1
            self._turns.move_to_end(caller)
            if not pieces:
                del self._turns[caller]
            if not room:
                break
        return batch

    def _alive(self, piece: _Piece) -> bool:
        call = piece.call
        needed_s = len(piece.windows) * self._window_s.get(call.model.fact.digest, 0.0)
        if not call.over and self._clock() + needed_s >= call.deadline:
            _refuse(call, Overloaded(LATE))
        return not call.over

    def _run(self, batch: Sequence[_Piece], *, alone: bool) -> None:
        model, outputs = batch[0].call.model, batch[0].call.outputs
        windows = batch[0].windows if len(batch) == 1 else np.concatenate([x.windows for x in batch])
        begun_s = self._clock()
        try:
            found = model.session.run(np.ascontiguousarray(windows), outputs, wide=alone)
        except ExchangeaiError as e:
            for piece in batch:
                _refuse(piece.call, e)
            return
        except Exception:
            log.exception("a model's thread failed")
            for piece in batch:
                _refuse(piece.call, Unavailable("the model failed for a reason that is logged; try again"))
            return
        took_s = (self._clock() - begun_s) * (self._most_busy if alone else 1) / len(windows)
        at = 0
        with self._lock:
            known_s = self._window_s.get(model.fact.digest, took_s)
            self._window_s[model.fact.digest] = 0.9 * known_s + 0.1 * took_s
            self._any_window_s += 0.1 * (took_s - self._any_window_s)
            for piece in batch:
                end = at + len(piece.windows)
                _answer(piece, {name: values[at:end] for name, values in found.items()})
                at = end


def _give_way() -> None:
    """Let this thread wait for others, where there are fewer cores than work."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        mine = threading.get_native_id()
        # Who runs lower already may not come up to it.
        os.setpriority(os.PRIO_PROCESS, mine, max(NICENESS, os.getpriority(os.PRIO_PROCESS, mine)))


def _alike(piece: _Piece, first: _Piece, room: int) -> bool:
    """Whether a piece can run in the batch of another."""
    if piece.call.over:
        return True  # it goes nowhere
    same = piece.call.model.session is first.call.model.session and piece.call.outputs == first.call.outputs
    return same and len(piece.windows) <= room


def _answer(piece: _Piece, values: Outputs) -> None:
    call = piece.call
    call.parts[piece.index] = values
    call.waiting -= 1
    if not call.waiting and not call.over:
        call.over = True
        call.answered(call.parts)


def _refuse(call: _Call, reason: ExchangeaiError) -> None:
    if not call.over:
        call.over = True
        call.answered(reason)
