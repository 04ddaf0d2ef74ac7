"""MATLAB files of level 4: a header of 20 bytes and plain numbers for each variable.

PhysioNet's Challenge records (`val`) are of this kind, though their name is only `.mat`. Layout: MathWorks,
"MAT-File Format", chapter on level 4.
"""

from __future__ import annotations

import struct

import numpy as np

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._named_facts import Value
from exchangeai.formats._stored_length import shortfall

_HEADER_BYTES = 20
_TYPES = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
_MAX_NAME = 256
_MAX_VARIABLES = 256
_FULL, _TEXT = 0, 1


def looks_like_v4(head: bytes) -> bool:
    """Whether the bytes begin with a header of a variable with a plain name."""
    header = _header(head, 0)
    if header is None:
        return False
    _, kind, sparse_or_text, rows, columns, name_size = header
    name = head[_HEADER_BYTES : _HEADER_BYTES + name_size]
    return (
        kind in _TYPES
        and sparse_or_text in (0, 1, 2)
        and rows >= 0
        and columns >= 0
        and name[-1:] == b"\0"
        and name[:-1].decode("latin-1").isidentifier()
    )


def parse_v4(data: bytes, *, strict: bool) -> tuple[dict[str, Value], list[str]]:
    """Variables by name and warnings. Raises InvalidHeader, Truncated."""
    values: dict[str, Value] = {}
    warnings: list[str] = []
    at = 0
    while at < len(data):
        header = _header(data, at)
        if header is None:
            raise InvalidHeader("a variable of the MATLAB file has no legible header; save the file again")
        order, kind, content, rows, columns, name_size = header
        if len(values) >= _MAX_VARIABLES or kind not in _TYPES or min(rows, columns) < 0:
            raise InvalidHeader("a header of the MATLAB file is impossible; save the file again")
        name = data[at + _HEADER_BYTES : at + _HEADER_BYTES + name_size].rstrip(b"\0").decode("latin-1")
        at += _HEADER_BYTES + name_size
        dtype = np.dtype(order + _TYPES[kind])
        size = rows * columns * dtype.itemsize
        if at + size > len(data):
            there = (len(data) - at) // max(1, rows * dtype.itemsize)
            # Columns are stored one after the other: only where they are the samples are all leads there.
            if rows > columns:
                raise Truncated("the MATLAB file ends before its last lead; send the whole file")
            warnings += shortfall([(max(0, there), columns)], strict=strict)
            columns = there
        flat = np.frombuffer(data, dtype, rows * columns, at)
        at += size
        table = flat.reshape(columns, rows).T
        if content == _FULL:
            values[name] = table
        elif content == _TEXT:
            values[name] = ["".join(map(chr, x)).strip() for x in table.astype(np.uint8).tolist()]
        else:
            warnings.append("a sparse matrix in the MATLAB file was left out")
    return values, warnings


def _header(data: bytes, at: int) -> tuple[str, int, int, int, int, int] | None:
    """Byte order, type of numbers, kind of matrix, rows, columns, bytes of the name; None when impossible."""
    if len(data) < at + _HEADER_BYTES:
        return None
    for order in "<>":
        mopt, rows, columns, imaginary, name_size = struct.unpack_from(f"{order}5i", data, at)
        big, kind, content = mopt // 1000, mopt // 10 % 10, mopt % 10
        if 0 <= mopt <= 1999 and mopt // 100 % 10 == 0 and big == (order == ">"):
            if imaginary != 0 or not 1 < name_size <= _MAX_NAME:
                return None
            return order, kind, content, rows, columns, name_size
    return None
