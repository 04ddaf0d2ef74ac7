"""MATLAB files (`.mat`) of levels 4, 5 and 7.3 with a signal in a variable or in the field of a struct.

A `.mat` beside its WFDB header belongs to that header and is read there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from exchangeai.errors import InvalidHeader
from exchangeai.formats._hdf5_tree import records_in
from exchangeai.formats._matlab_v4 import looks_like_v4, parse_v4
from exchangeai.formats._matlab_v5 import looks_like_v5, parse_v5
from exchangeai.formats._named_facts import Value
from exchangeai.formats._named_values import no_samples, records_of
from exchangeai.formats._options import ReadOptions, ReadResult

RANK = 12
_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512
_MAX_DEPTH = 4


def sniff(files: Mapping[str, bytes]) -> bool:
    """The header text of level 5 or 7.3, or the header of a level 4 variable."""
    if len(files) != 1:
        return False
    head = next(iter(files.values()))[: _USER_BLOCK + 8]
    return _is_v73(head) or looks_like_v5(head) or looks_like_v4(head)


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the variable that is the signal, with what the others say; a struct array is several records."""
    data = next(iter(files.values()))
    if _is_v73(data[: _USER_BLOCK + 8]):
        return records_in("matlab", data, options, reversed_axes=True)
    if looks_like_v5(data):
        values, warnings = parse_v5(data)
    else:
        values, warnings = parse_v4(data, strict=options.strict)
    if options.strict and any("left out" in x for x in warnings):
        raise InvalidHeader("the MATLAB file holds objects or functions, which are never read")
    size = len(data)
    several = [x for x in values.values() if _is_structs(x)]
    if several:
        return [y for x in several[0] for y in _records(cast(dict[str, Any], x), options, warnings, size)]
    return _records(values, options, warnings, size)


def _is_v73(head: bytes) -> bool:
    return head.startswith(b"MATLAB 7.3") and head[_USER_BLOCK : _USER_BLOCK + 8] == _HDF5


def _is_structs(value: Any) -> bool:
    items = cast(list[Any], value) if isinstance(value, list) else []
    return bool(items) and isinstance(items[0], dict)


def _records(
    values: dict[str, Any], options: ReadOptions, warnings: list[str], size: int
) -> list[ReadResult]:
    flat: dict[str, Value] = {}
    _flatten(values, flat, 0)
    if not flat:
        raise no_samples(warnings)
    return records_of("matlab", flat, options, source_bytes=size, warnings=warnings)


def _flatten(values: dict[str, Any], into: dict[str, Value], depth: int) -> None:
    """Fields of structs beside the variables; names of outer ones win."""
    for name, value in values.items():
        if isinstance(value, np.ndarray | str):
            into.setdefault(name, cast(Value, value))
        elif isinstance(value, list) and all(isinstance(x, str) for x in cast(list[Any], value)):
            into.setdefault(name, cast(list[str], value))
    for value in values.values():
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            _flatten(cast(dict[str, Any], value), into, depth + 1)
