"""Runs a process until it is told to stop: the first signal drains, the second ends at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable

from exchangeai.errors import ExchangeaiError

log = logging.getLogger(__name__)


def launch(
    main: Callable[[asyncio.Event], Awaitable[None]],
    event_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Run `main(stop)` and return the exit status; SIGTERM and SIGINT set `stop`.

    `main` returns when it has drained. A second signal ends the process without draining. `event_loop` makes
    the loop, where asyncio's own is not wanted.
    """
    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(_run(main))


async def _run(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        await main(stop)
    except ExchangeaiError as e:
        log.error("%s: %s", type(e).__name__, e)
        return 1
    return 0


async def until_stopped(stop: asyncio.Event, *background: Awaitable[None]) -> None:
    """Wait for `stop` while the background work runs; then cancel it and wait for its end.

    Raises what a background task raised: a service without its consumer must not look alive.
    """
    tasks = [asyncio.ensure_future(work) for work in background]
    waiter = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result
