"""The HTTP server: requests in flight are answered before it ends."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.error
import urllib.request

import pytest

from services.ui import server
from services.ui.server import serving


def ask(port: int, path: str = "/", data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=15) as answer:
        return answer.read()


async def test_a_request_in_flight_is_answered_and_new_ones_are_refused():
    begun = threading.Event()
    size = 3 << 20

    def slow(environ, start_response):
        begun.set()
        time.sleep(0.8)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * size]

    async with serving(slow, "127.0.0.1", 0) as port:
        flying = asyncio.create_task(asyncio.to_thread(ask, port))
        assert await asyncio.to_thread(begun.wait, 5)
    assert len(await flying) == size
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(ask, port)


async def test_the_drain_ends_even_when_a_request_does_not(monkeypatch):
    monkeypatch.setattr(server, "DRAIN_S", 0.3)
    begun, release = threading.Event(), threading.Event()

    def stuck(environ, start_response):
        begun.set()
        release.wait(10)
        start_response("200 OK", [])
        return [b""]

    async with serving(stuck, "127.0.0.1", 0) as port:
        flying = asyncio.create_task(asyncio.to_thread(ask, port))
        assert await asyncio.to_thread(begun.wait, 5)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    release.set()
    with pytest.raises(OSError):  # noqa: PT011 - however the connection ends
        await flying


async def test_idle_connections_do_not_hold_the_drain_and_bodies_are_limited():
    def echo(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    async with serving(echo, "127.0.0.1", 0, max_body_bytes=1000) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readline()
        assert await asyncio.to_thread(ask, port, "/", b"a" * 900) == b"a" * 900
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(ask, port, "/", b"a" * 2000)
        assert refused.value.code == 413
        started = time.monotonic()
    assert time.monotonic() - started < 2
    writer.close()
