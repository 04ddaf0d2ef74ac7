"""Global heaps of HDF5, checked before the library walks them: in some damaged ones it never ends."""

from __future__ import annotations

import re
import struct

from exchangeai.errors import InvalidHeader

_HEAP = re.compile(rb"GCOL\x01\0\0\0")
_HEADER = struct.Struct("<HHIQ")
_MAX_STEPS = 2_000_000


def check_heaps(data: bytes) -> None:
    """Raise InvalidHeader when an object of a heap has no size or reaches beyond it.

    Layout: HDF5 File Format Specification 3.0, III.E "Global Heap", with lengths of eight bytes.
    """
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
