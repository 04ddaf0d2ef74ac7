"""Maps failures of the NATS client to the platform's errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from nats.errors import AuthorizationError as NatsAuthorizationError
from nats.errors import ConnectionClosedError, NoRespondersError, NoServersError, StaleConnectionError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from exchangeai.errors import Overloaded, PermissionDenied, Unavailable

T = TypeVar("T")

_STREAM_FULL = frozenset({10077, 10047, 10023})
"""JetStream's codes: maximum messages or bytes exceeded; insufficient storage; insufficient resources."""


@contextmanager
def translated() -> Generator[None]:
    """Raise Unavailable, Overloaded or PermissionDenied for what the NATS client raises."""
    try:
        yield
    except APIError as e:
        # Some of the client's errors are raised without their codes.
        if getattr(e, "err_code", None) in _STREAM_FULL:
            raise Overloaded("the message bus is full: wait until the backlog is worked off") from e
        if isinstance(e, ServiceUnavailableError) or (getattr(e, "code", None) or 0) >= 500:
            raise Unavailable(f"the message bus cannot do this now ({type(e).__name__})") from e
        raise
    except NatsAuthorizationError as e:
        raise PermissionDenied("the message bus refused these credentials") from e
    except (
        NatsTimeoutError,
        NoRespondersError,
        NoServersError,
        NoStreamResponseError,
        ConnectionClosedError,
        StaleConnectionError,
        ConnectionError,
    ) as e:
        raise Unavailable(f"the message bus does not answer ({type(e).__name__})") from e


async def patiently(attempt: Callable[[], Awaitable[T]], budget_s: float = 20.0) -> T:
    """Await `attempt()` again while the server is away, up to the budget; for work that is safe to repeat."""
    deadline, pause = time.monotonic() + budget_s, 0.05
    while True:
        try:
            with translated():
                return await attempt()
        except Unavailable:
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
