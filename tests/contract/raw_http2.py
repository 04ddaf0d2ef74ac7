"""HTTP/2 frames by hand (RFC 9113, RFC 7541), for what no gRPC library would send."""

from __future__ import annotations

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def request(stream: int, path: str, *more: tuple[str, str]) -> bytes:
    """The headers that open a gRPC call."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *more,
    ]
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)
    return frame(HEADERS, END_HEADERS, stream, block)


def message(stream: int, length: int, content: bytes = b"", *, last: bool = False) -> bytes:
    """A gRPC message that announces `length` bytes, with the first of them."""
    payload = b"\x00" + struct.pack(">I", length) + content
    return frame(DATA, END_STREAM if last else 0, stream, payload)


def reset(stream: int) -> bytes:
    """The caller does not want this call any more."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", 8))


def opened(address: str) -> socket.socket:
    """A connection that has said what HTTP/2 wants said first."""
    connection = connected(address)
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return connection


def connected(address: str) -> socket.socket:
    """A connection that has said nothing."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def received(connection: socket.socket, until: bytes, within_s: float = 10) -> bytes:
    """What comes until some bytes are among it, or the connection ends, or time is over."""
    connection.settimeout(within_s)
    found = b""
    try:
        while until not in found and (part := connection.recv(65536)):
            found += part
    except OSError:
        pass
    return found


def ended(connection: socket.socket, within_s: float) -> bool:
    """Whether the server closes the connection in time."""
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def _text(value: str) -> bytes:
    data = value.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, prefix = len(data) - 127, b"\x7f"
    while rest >= 128:
        prefix += bytes([rest % 128 + 128])
        rest //= 128
    return prefix + bytes([rest]) + data
