"""What is looked for in the bytes of an HDF5 file before the library opens it, as it hangs or crashes there.

Virtual data sets are refused anyway, but the library reads their mappings already when it opens them.
Layouts: HDF5 File Format Specification 3.0, III.E "Global Heap", IV.A.2.i "Data Layout Message".
"""

from __future__ import annotations

import re
import struct

from exchangeai.errors import InvalidHeader, UnsafeReference

_HEAP = re.compile(rb"GCOL\x01\0\0\0")
_HEADER = struct.Struct("<HHIQ")
_MAX_STEPS = 2_000_000
_VIRTUAL = re.compile(
    rb"\x08\0[\x0e-\x18]\0.\0\0\0\x04\x03|\x08[\x0e-\x18]\0.(?:..)?\x04\x03(?=.{8}[\0-\xff]\0\0\0)", re.DOTALL
)
"""A data layout message of version 4 and class 3, in object headers of version 1 or 2."""


def check_bytes(data: bytes) -> None:
    """Raise UnsafeReference for virtual data sets, InvalidHeader for heaps that the library cannot walk."""
    if _VIRTUAL.search(data):
        raise UnsafeReference(
            "a data set of the HDF5 file lies in another file; nothing was opened. Copy the data into one"
        )
    _check_heaps(data)


def _check_heaps(data: bytes) -> None:
    """No object of a heap may be without size or reach beyond it; lengths are of eight bytes."""
    steps = 0
    for heap in _HEAP.finditer(data):
        begin = heap.start()
        size = int.from_bytes(data[begin + 8 : begin + 16], "little")
        end = min(begin + size, len(data))
        at = begin + 16
        while at + _HEADER.size <= end:
            index, _, _, length = _HEADER.unpack_from(data, at)
            need = length if index == 0 else _HEADER.size + -(-length // 8) * 8
            steps += 1
            if need < _HEADER.size or need > begin + size - at or steps > _MAX_STEPS:
                raise InvalidHeader("a heap of the HDF5 file is damaged; export the file again")
            at += need
