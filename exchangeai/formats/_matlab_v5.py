"""MATLAB files of level 5: tagged elements, compressed or not, with arrays, texts, cells and structs.

Own reader, because every count is checked against the bytes that are there before anything is allocated, and
because objects and functions are never read. Layout: MathWorks, "MAT-File Format", chapter on level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exchangeai.errors import InvalidHeader, Truncated

HEADER_BYTES = 128
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
"""Types of data elements; the last three are UTF-8, UTF-16 and UTF-32."""
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_PLAIN = frozenset(range(6, 16))
_MAX_BYTES = 160 << 20
_BYTES_PER_BYTE = 8
"""So much may be unpacked, whatever the file's size, and so much more for each of its bytes."""
_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 8
_COMPLEX = 0x08


@dataclass(kw_only=True)
class _Bounds:
    """What one file may make us do."""

    bytes_left: int
    elements_left: int = _MAX_ELEMENTS
    skipped: set[str] = field(default_factory=set[str])


def looks_like_v5(head: bytes) -> bool:
    """Whether the header of 128 bytes ends in the mark of level 5."""
    return len(head) >= HEADER_BYTES and head[124:128] in (b"\0\1IM", b"\1\0MI")


def parse_v5(data: bytes) -> tuple[dict[str, Any], list[str]]:
    """Variables by name and warnings: arrays, texts, lists (of cells) and dicts (of structs).

    A struct array becomes a list of dicts. Raises InvalidHeader and Truncated.
    """
    order = "<" if data[126:128] == b"IM" else ">"
    bounds = _Bounds(bytes_left=_MAX_BYTES + _BYTES_PER_BYTE * len(data))
    values: dict[str, Any] = {}
    for kind, body in _elements(memoryview(data)[HEADER_BYTES:], order, bounds, whole=True):
        if kind == _COMPRESSED:
            inner = memoryview(_inflated(body, bounds))
            for inner_kind, inner_body in _elements(inner, order, bounds, whole=True):
                if inner_kind == _MATRIX:
                    _take(values, inner_body, order, bounds)
        elif kind == _MATRIX:
            _take(values, body, order, bounds)
    return values, [f"{x} in the MATLAB file was left out" for x in sorted(bounds.skipped)]


def _take(values: dict[str, Any], body: memoryview, order: str, bounds: _Bounds) -> None:
    name, value = _matrix(body, order, bounds, 0)
    if value is not None:
        values[name or f"variable_{len(values)}"] = value


def _inflated(body: memoryview, bounds: _Bounds) -> bytes:
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(body, bounds.bytes_left)
    except zlib.error as e:
        raise InvalidHeader("a compressed variable of the MATLAB file is damaged; save it again") from e
    if not stream.eof:
        if len(out) >= bounds.bytes_left:
            raise InvalidHeader(
                "the MATLAB file unpacks to far more than its own size; send one recording a file"
            )
        raise Truncated("the MATLAB file ends within a variable; send the whole file")
    bounds.bytes_left -= len(out)
    return out


def _elements(
    data: memoryview, order: str, bounds: _Bounds, *, whole: bool = False
) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        bounds.elements_left -= 1
        if bounds.elements_left < 0:
            raise InvalidHeader("the MATLAB file holds too many elements; send one recording a file")
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        if kind >> 16:
            # Up to four bytes of data stand in the tag itself.
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise InvalidHeader("a tag of the MATLAB file is impossible; save the file again")
            yield kind, data[at + 4 : at + 4 + size]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise Truncated("the MATLAB file ends within a variable; send the whole file")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
    if whole and at < len(data) and any(data[at:]):
        raise Truncated("the MATLAB file ends within a variable; send the whole file")


def _matrix(body: memoryview, order: str, bounds: _Bounds, depth: int) -> tuple[str, Any]:
    """Name and value of an array element; the value is None for what is not read."""
    if depth > _MAX_DEPTH:
        raise InvalidHeader("the structs of the MATLAB file are nested too deeply")
    parts = _elements(body, order, bounds)
    flags = next(parts, (0, memoryview(b"")))[1]
    if len(flags) < 4:
        # An empty cell is written as an array without anything in it.
        return "", None
    word = struct.unpack_from(f"{order}I", flags)[0]
    kind = word & 0xFF
    if kind not in _PLAIN and kind not in (_CELL, _STRUCT, _CHAR):
        bounds.skipped.add({5: "a sparse matrix", 3: "an object", 16: "a function"}.get(kind, "an object"))
        return "", None
    shape = _shape(next(parts, (0, memoryview(b"")))[1], order)
    name = bytes(next(parts, (0, memoryview(b"")))[1]).rstrip(b"\0").decode("latin-1")
    if kind == _CELL:
        return name, _cells(parts, order, bounds, depth)
    if kind == _STRUCT:
        return name, _struct(parts, order, bounds, depth)
    if word >> 8 & _COMPLEX:
        bounds.skipped.add("an array of complex numbers")
        return name, None
    element, content = next(parts, (9, memoryview(b"")))
    if element not in _NUMBERS:
        raise InvalidHeader("an array of the MATLAB file has an unknown type of numbers; save the file again")
    if kind == _CHAR:
        return name, _text(element, content, shape, order)
    dtype = np.dtype(order + _NUMBERS[element])
    if math.prod(shape) * dtype.itemsize != len(content):
        raise InvalidHeader("the shape of an array in the MATLAB file contradicts its size; save it again")
    return name, np.frombuffer(content, dtype).reshape(shape[::-1]).T


def _shape(content: memoryview, order: str) -> tuple[int, ...]:
    if len(content) % 4 or not 8 <= len(content) <= 32 * 4:
        raise InvalidHeader("an array of the MATLAB file has no legible shape; save the file again")
    shape = struct.unpack(f"{order}{len(content) // 4}i", content)
    if min(shape) < 0:
        raise InvalidHeader("the shape of an array in the MATLAB file is impossible; save the file again")
    return shape


def _text(element: int, content: memoryview, shape: tuple[int, ...], order: str) -> str | list[str]:
    if element == 16:
        plain = bytes(content).decode("utf-8", "replace")
        if math.prod(shape) != len(plain):
            return plain.strip()
        codes = np.array([*map(ord, plain)], np.uint32)
    else:
        codes = np.frombuffer(content, order + _NUMBERS[element])
    if math.prod(shape) != codes.size:
        raise InvalidHeader("the shape of a text in the MATLAB file contradicts its size; save it again")
    rows = codes.reshape(shape[::-1]).T.reshape(shape[0], -1) if codes.size else codes.reshape(0, 0)
    lines = ["".join(chr(x) if x < 0xD800 else "?" for x in row) for row in rows.tolist()]
    return lines[0].strip() if len(lines) == 1 else [x.strip() for x in lines]


def _cells(parts: Iterator[tuple[int, memoryview]], order: str, bounds: _Bounds, depth: int) -> list[Any]:
    return [_matrix(body, order, bounds, depth + 1)[1] for kind, body in parts if kind == _MATRIX]


def _struct(parts: Iterator[tuple[int, memoryview]], order: str, bounds: _Bounds, depth: int) -> Any:
    width = bytes(next(parts, (0, memoryview(b"")))[1])
    size = int.from_bytes(width, "little" if order == "<" else "big")
    names_raw = bytes(next(parts, (0, memoryview(b"")))[1])
    if not 0 < size <= 256 or len(names_raw) % size:
        raise InvalidHeader("the names in a struct of the MATLAB file are impossible; save the file again")
    names = [
        names_raw[i : i + size].split(b"\0")[0].decode("latin-1") for i in range(0, len(names_raw), size)
    ]
    found = _cells(parts, order, bounds, depth)
    if not names or len(found) % len(names):
        raise InvalidHeader("a struct of the MATLAB file lacks values of its fields; save the file again")
    each = [
        dict(zip(names, found[i : i + len(names)], strict=True)) for i in range(0, len(found), len(names))
    ]
    return each[0] if len(each) == 1 else each
