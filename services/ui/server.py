"""Serves the WSGI application from a thread and drains it: requests in flight are finished, new ones end."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

log = logging.getLogger(__name__)
DRAIN_S = 10.0


class _Counted:
    """Counts the requests that are being answered."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.active = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self.active += 1
        try:
            # The body is taken whole: a page's answers are small, and it ends the count exactly.
            answer = self._application(environ, start_response)
            try:
                return list(answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        finally:
            with self._lock:
                self.active -= 1


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request: addresses and ids of pages are nobody's business."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@asynccontextmanager
async def serving(application: Any, host: str, port: int) -> AsyncGenerator[int, None]:
    """Serve until the block ends; yields the port. Then waits up to `DRAIN_S` for requests in flight."""
    counted = _Counted(application)
    server = make_server(host, port, counted, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        await asyncio.to_thread(server.shutdown)
        deadline = time.monotonic() + DRAIN_S
        while counted.active and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        server.server_close()
        log.info("drained", extra={"fields": {"unfinished": counted.active}})
