"""Serves the WSGI application from threads and drains it: requests in flight are finished, new ones end."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from waitress.server import create_server  # pyright: ignore[reportMissingTypeStubs]

log = logging.getLogger(__name__)
DRAIN_S = 10.0
THREADS = 16
"""Enough that pages stay quick while a few calls wait for a service that does not answer."""
CONNECTIONS = 1000


@asynccontextmanager
async def serving(
    application: Any, host: str, port: int, *, max_body_bytes: int = 1 << 30
) -> AsyncGenerator[int, None]:
    """Serve until the block ends; yields the port. Then waits up to `DRAIN_S` for requests in flight."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    server = cast(
        "Any",
        create_server(
            application,
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
            max_request_body_size=max_body_bytes,
            # Bodies hold patients' files: they stay in memory and are never spilled to a temporary file.
            inbuf_overflow=max_body_bytes + 1,
            outbuf_overflow=max_body_bytes + 1,
            ident=None,
        ),
    )
    loop = threading.Thread(target=server.run, name="http", daemon=True)
    loop.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        # Sockets belong to the loop's thread, so they are closed there.
        server.trigger.pull_trigger(lambda: _stop_accepting(server))
        deadline = time.monotonic() + DRAIN_S
        while (unfinished := _unfinished(server)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        server.trigger.pull_trigger(lambda: _close(server))
        await asyncio.to_thread(loop.join, 2.0)
        await asyncio.to_thread(server.task_dispatcher.shutdown, True, 1.0)
        log.info("drained", extra={"fields": {"unfinished": unfinished}})


def _stop_accepting(server: Any) -> None:
    server.del_channel()
    server.socket.close()


def _unfinished(server: Any) -> int:
    """Connections with a request being answered or an answer not yet sent."""
    channels = list(server.active_channels.values())
    return sum(bool(c.requests) or c.total_outbufs_len > 0 for c in channels)


def _close(server: Any) -> None:
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.trigger.close()  # the loop ends when it has nothing left to watch
