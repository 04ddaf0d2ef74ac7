"""A service over real servers in a thread with its own event loop, and a way to act as its neighbours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from exchangeai.bus import Bus, open_bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.store import ObjectStore, open_store

T = TypeVar("T")
Run = Callable[[asyncio.Event, Callable[[int], None]], Awaitable[None]]
"""A service's `run` with its config bound."""


@contextmanager
def running_service(run: Run) -> Iterator[str]:
    """Start the service, yield its address, drain it."""
    started = threading.Event()
    ports: list[int] = []
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))

        def announce(port: int) -> None:
            ports.append(port)
            started.set()

        try:
            await run(stop, announce)
        finally:
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60), "the service did not start"
    loop, stop = handles[0]
    try:
        yield f"127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
    assert not thread.is_alive(), "the service did not drain"


def behind(
    bus_config: BusConfig, store_config: StoreConfig, work: Callable[[Bus, ObjectStore], Awaitable[T]]
) -> T:
    """Do what other services would do: write objects, facts and events."""

    async def connected() -> T:
        async with open_store(store_config) as store, open_bus(bus_config, "test") as bus:
            return await asyncio.wait_for(work(bus, store), 60)

    return asyncio.run(connected())
