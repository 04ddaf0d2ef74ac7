"""What the sandbox's tests run inside: a function that misbehaves as it is told."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from exchangeai.errors import Conflict, Truncated


def act(payload: bytes) -> bytes:
    """Do what the first word of the payload says."""
    word, _, rest = payload.partition(b"\0")
    if word == b"echo":
        return rest
    if word == b"truncated":
        raise Truncated("ends too soon")
    if word == b"conflict":
        raise Conflict("changed")
    if word == b"raise":
        raise ZeroDivisionError("secret detail")
    if word == b"print":
        print("noise on standard output")
        return b"printed"
    if word == b"environment":
        return "\n".join(f"{k}={v}" for k, v in os.environ.items()).encode()
    if word == b"folder":
        return " ".join(os.listdir()).encode()
    if word == b"read":
        return _tried(lambda: Path(rest.decode()).read_bytes())
    if word == b"write":
        return _tried(lambda: Path(rest.decode()).write_bytes(b"1"))
    if word == b"connect":
        return _tried(lambda: socket.create_connection(("127.0.0.1", int(rest)), 1).close())
    if word == b"nap":
        time.sleep(0.3)
        return str(os.getpid()).encode()
    return _die(word)


def _tried(act: Callable[[], object]) -> bytes:
    try:
        act()
    except OSError:
        return b"denied"
    return b"done"


def _die(word: bytes) -> bytes:
    if word == b"abort":
        os.abort()
    if word == b"segfault":
        ctypes.string_at(0)
    if word == b"exit":
        os._exit(0)
    if word == b"hunger":
        return bytes(1 << 30)
    while True:
        pass
