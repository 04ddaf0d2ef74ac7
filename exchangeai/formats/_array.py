"""The bytes of one NumPy array (`.npy`), never an object: those would run code of the file."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._stored_length import shortfall

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 4096
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    # 3.0 differs in the encoding of the names of fields only, and arrays with fields are refused.
    (3, 0): np.lib.format.read_array_header_2_0,
}


def parse_array(data: bytes, *, strict: bool = True) -> tuple[npt.NDArray[Any], list[str]]:
    """The array, a view of `data`, and warnings. Kinds: integers, reals, booleans and fixed-length text.

    One that ends early is cut along its slowest axis, if that is its longest. Raises InvalidHeader,
    Truncated.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _READERS[version](stream, max_header_size=_MAX_HEADER)
    except (ValueError, KeyError, SyntaxError, RecursionError, TypeError) as e:
        raise InvalidHeader(f"the header of the NumPy array cannot be read ({type(e).__name__})") from e
    if dtype.hasobject or dtype.kind not in "iufbUS":
        raise InvalidHeader("the array must hold integers or real numbers; objects and others are never read")
    if any(x < 0 for x in shape) or dtype.itemsize == 0:
        raise InvalidHeader("the shape in the header of the NumPy array is impossible")
    count = math.prod(shape)
    there = (len(data) - stream.tell()) // dtype.itemsize
    warnings: list[str] = []
    if there < count:
        slow = -1 if fortran else 0
        if not shape or max(shape) != shape[slow]:
            raise Truncated(f"the header declares {count} values; the file is shorter. Send the whole file")
        rows = there // max(1, count // shape[slow])
        warnings = shortfall([(rows, shape[slow])], strict=strict)
        shape = (*shape[:-1], rows) if fortran else (rows, *shape[1:])
        count = math.prod(shape)
    flat = np.frombuffer(data, dtype, count, stream.tell())
    return (flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)), warnings
