"""NumPy arrays (`.npy`): samples of leads, whose rate, unit and lead order the caller states.

Object arrays are refused: reading them would run code of the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._array import MAGIC, parse_array
from exchangeai.formats._named_values import records_of
from exchangeai.formats._options import ReadOptions, ReadResult

RANK = 0


def sniff(files: Mapping[str, bytes]) -> bool:
    """The magic bytes of the format."""
    return len(files) == 1 and next(iter(files.values())).startswith(MAGIC)


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read an array [samples, leads], [leads, samples] or [samples]; the stated leads tell which.

    Three axes are several recordings, the first axis counts them.
    """
    data = next(iter(files.values()))
    array, warnings = parse_array(data, strict=options.strict)
    if array.dtype.kind not in "iuf":
        raise InvalidHeader("the array must hold integers or real numbers; objects and others are never read")
    if array.size == 0:
        raise EmptyFile("the array holds no samples")
    return records_of("npy", {"array": array}, options, source_bytes=len(data), warnings=warnings)
