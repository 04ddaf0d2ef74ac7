"""Which failed calls are worth another try, and after what pause: one rule for all who call and wait.

UNAVAILABLE (and CANCELLED, which a server says of calls that its end cut off) is tried again: every method
that is called so gives the same answer twice. RESOURCE_EXHAUSTED is tried again while the deadline allows a
pause, which grows longer, because the server is busy. Never after DEADLINE_EXCEEDED, since the time is gone,
nor after anything that says that the request is wrong.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import cast

import grpc

_FIRST_PAUSE_S = {
    grpc.StatusCode.UNAVAILABLE: 0.05,
    grpc.StatusCode.CANCELLED: 0.05,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 0.1,
}
_LONGEST_PAUSE_S = 2.0
_TOO_LARGE = "larger than max"
"""gRPC says RESOURCE_EXHAUSTED of a message over a limit too; trying again cannot help there."""


class Patience:
    """The time of one call, with all its tries."""

    def __init__(
        self,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` gives numbers from 0 to 1: pauses are random, so that callers do not come back together."""
        self._clock = clock
        self._draw = draw
        self._end_s = clock() + timeout_s
        self._tries = 0

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; the deadline of the next try."""
        return max(0.0, self._end_s - self._clock())

    def pause_s(self, error: grpc.RpcError) -> float | None:
        """How long to wait before the next try; None when there is none, and the error stands."""
        call = cast("grpc.Call", error)
        first_s = _FIRST_PAUSE_S.get(call.code())
        if first_s is None or _TOO_LARGE in (call.details() or ""):
            return None
        longest_s = min(_LONGEST_PAUSE_S, first_s * 2**self._tries)
        self._tries += 1
        # At least half, so that a busy server gets a rest ("equal jitter").
        pause_s = longest_s * (0.5 + 0.5 * self._draw())
        return pause_s if pause_s < self.left_s else None
