"""How much callers may have a server hold: calls at once, streams among them, and messages that still come.

A call is counted from its headers on, before any of its message is read, and a message must come in time.
What gRPC alone does was measured: its limit of calls refuses health checks too, so that a full replica looks
dead; a call that never sends its message stays for ever; and a message over the limit is refused only once
all of it is in memory (300 MB sent are 300 MB held). To read a message so costs 30 us of a call.
"""

from __future__ import annotations

import asyncio
import math
import resource
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from exchangeai.errors import InvalidArgument, Overloaded

_M = TypeVar("_M")
IN_VAIN = "the deadline would pass before it is this call's turn; try again later or allow more time"
_LOOK_S = 0.05
_MARGIN_BYTES = 64 << 20
"""What the rest of the process may take meanwhile, at once."""
_DRIFT_BYTES = 1 << 20
"""What it may take from look to look, as a model that is being loaded does."""
_PAGES = Path("/proc/self/statm")


class Intake:
    """Counts and bounds what callers have open in one server."""

    def __init__(
        self,
        *,
        max_calls: int,
        read_s: float,
        idle_s: float,
        max_message_bytes: int,
        rss_bytes: Callable[[], int],
    ) -> None:
        """`read_s`: for the message of a call; `idle_s`: between those of a stream.

        Streams may be half of all calls, so that those who hold them open do not keep out the others.
        While messages take long, `rss_bytes` is looked at: it may grow by `max_message_bytes` for each.
        """
        self._max_calls = max_calls
        self._max_streams = max(1, max_calls // 2)
        self._read_s = read_s
        self._idle_s = idle_s
        self._max_message_bytes = max_message_bytes
        self._rss_bytes = rss_bytes
        self._calls = 0
        self._streams = 0
        self._reading: set[asyncio.Timeout] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._before_bytes = 0

    @contextmanager
    def call(
        self,
        *,
        stream: bool = False,
        left_s: float = math.inf,
        in_vain: Callable[[int, float], bool] | None = None,
    ) -> Generator[None]:
        """One call, while it lasts. Raises Overloaded.

        `in_vain` says whether it would wait in vain beside so many others for a caller that waits `left_s`:
        that is told before its message is read, which costs more than to refuse it.
        """
        if in_vain is not None and in_vain(self._calls - self._streams, left_s):
            raise Overloaded(IN_VAIN)
        if self._calls >= self._max_calls:
            raise Overloaded(f"{self._max_calls} calls are at work, as many as may be; try again in a moment")
        if stream and self._streams >= self._max_streams:
            raise Overloaded(f"{self._max_streams} streams are open, as many as may be; try again later")
        self._calls += 1
        self._streams += stream
        try:
            yield
        finally:
            self._calls -= 1
            self._streams -= stream

    async def message(self, messages: AsyncIterator[_M]) -> _M:
        """The one message of a call. Raises InvalidArgument when none comes, or Overloaded."""
        try:
            return await self._next(aiter(messages), self._read_s)
        except StopAsyncIteration:
            raise InvalidArgument("the call ended without its message") from None

    async def messages(self, messages: AsyncIterator[_M]) -> AsyncIterator[_M]:
        """The messages of a stream. Raises Overloaded when the next does not come in time."""
        source = aiter(messages)
        while True:
            try:
                message = await self._next(source, self._idle_s)
            except StopAsyncIteration:
                return
            yield message

    async def _next(self, source: AsyncIterator[_M], within_s: float) -> _M:
        try:
            async with asyncio.timeout(within_s) as time_limit:
                self._watched(time_limit)
                try:
                    return await anext(source)
                finally:
                    self._reading.discard(time_limit)
        except TimeoutError:
            raise Overloaded(
                f"no whole message came within {within_s:g} s, or more at once than there is room for; a "
                f"message may have {self._max_message_bytes >> 20} MiB"
            ) from None

    def _watched(self, time_limit: asyncio.Timeout) -> None:
        self._reading.add(time_limit)
        if self._watch is None:
            self._before_bytes = self._rss_bytes()
            self._watch = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        """A healthy message takes milliseconds, so the watch mostly ends at its first look."""
        self._watch = None
        if not self._reading:
            return
        loop = asyncio.get_running_loop()
        # Some may come at once and be as large as may be.
        allowed_bytes = _MARGIN_BYTES + self._max_message_bytes * min(len(self._reading), 4)
        now_bytes = self._rss_bytes()
        self._before_bytes = min(now_bytes, self._before_bytes + _DRIFT_BYTES)
        if now_bytes - self._before_bytes > allowed_bytes:
            # Which of them is too large cannot be seen from here; honest callers try again.
            for time_limit in self._reading:
                time_limit.reschedule(loop.time())
            self._reading.clear()
            return
        self._watch = loop.call_later(_LOOK_S, self._look)


def rss_bytes() -> int:
    """Memory that this process holds; 0 where the system does not tell (then it is not watched)."""
    try:
        return int(_PAGES.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
