"""HDF5 (`.h5`, `.hdf5`): tables of many records as in CODE-15 %, or signals with attributes.

CODE-15 % and the TNMG sets keep `tracings` [records, samples, leads] and `exam_id` and say neither rate nor
unit nor leads; the caller states them (as published: 400 Hz, I to V6 in the usual order).
"""

from __future__ import annotations

from collections.abc import Mapping

from exchangeai.errors import MissingMetadata
from exchangeai.formats._hdf5_tree import records_in
from exchangeai.formats._options import ReadOptions, ReadResult

RANK = 14
_MAGIC = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, 512, 1024, 2048)
_HINT = (
    " (a guess for CODE-15 % and TNMG, not applied: 400 Hz, leads I, II, III, aVR, aVL, aVF, V1 to V6, and "
    "mV, or units of 1e-4 V: `unit` mV with `unit_multiple` 0.1)"
)


def sniff(files: Mapping[str, bytes]) -> bool:
    """The magic bytes, at the begin or after a user block."""
    if len(files) != 1:
        return False
    data = next(iter(files.values()))
    return any(data[x : x + len(_MAGIC)] == _MAGIC for x in _USER_BLOCKS)


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read each record of each group that holds samples."""
    data = next(iter(files.values()))
    try:
        return records_in("hdf5", data, options)
    except MissingMetadata as e:
        # Names of links stand as they are in the file, so that this needs no second opening.
        raise (MissingMetadata(f"{e}{_HINT}") if b"tracings\0" in data else e) from None
