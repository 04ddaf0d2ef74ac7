"""NumPy arrays (`.npy`): samples of leads, whose rate, unit and lead order the caller states.

Object arrays are refused: reading them would run code of the file.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._stated import leads_of, rate_of, scale_of
from exchangeai.recording import Identifiers, Recording

RANK = 0
_MAGIC = b"\x93NUMPY"


def sniff(files: Mapping[str, bytes]) -> bool:
    """The magic bytes of the format."""
    return len(files) == 1 and next(iter(files.values())).startswith(_MAGIC)


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read an array [samples, leads], [leads, samples] or [samples]; the stated leads tell which."""
    array = _array(next(iter(files.values())))
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InvalidHeader("the array must have one or two axes (samples, leads); send one recording a file")
    rate_hz = rate_of(options, None)
    scale = scale_of(options)
    leads = leads_of(array, options, rate_hz=rate_hz, scales=[scale] * max(array.shape), names=None)
    return [ReadResult(recording=Recording(format="npy", leads=leads), identifiers=Identifiers())]


def _array(data: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = reader(stream, max_header_size=4096)
    except (ValueError, KeyError, SyntaxError, RecursionError) as e:
        raise InvalidHeader(f"the header of the .npy file cannot be read ({type(e).__name__})") from e
    if dtype.hasobject or dtype.kind not in "iuf":
        raise InvalidHeader("the array must hold integers or real numbers; objects and others are never read")
    if any(x < 0 for x in shape):
        raise InvalidHeader("the shape in the header of the .npy file is impossible")
    count = math.prod(shape)
    if count == 0:
        raise EmptyFile("the array holds no samples")
    if count * dtype.itemsize > len(data) - stream.tell():
        raise Truncated(f"the header declares {count} values; the file is shorter. Send the whole file")
    flat = np.frombuffer(data, dtype, count, stream.tell())
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
