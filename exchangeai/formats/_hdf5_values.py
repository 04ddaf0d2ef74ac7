"""Data sets and attributes of HDF5 into arrays and texts, within bounds of size and of kind."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import h5py as _h5py  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, UnsafeReference
from exchangeai.formats._named_facts import Value

h5py: Any = _h5py
"""The library has no types."""

_MAX_BYTES = 160 << 20
_BYTES_PER_BYTE = 8
"""So much may be read, whatever the file's size, and so much more for each of its bytes."""
_MAX_TEXTS = 100_000
_MAX_ATTRIBUTES = 256
_MAX_ATTRIBUTE_BYTES = 1 << 20
_DEFLATE = 1
_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""Deflate, shuffle, Fletcher32, szip, nbit, scale-offset and LZF: what the library itself brings."""
_MAX_INFLATION = 1032
"""Of deflate, at most."""
_MAX_REFERENCES = 1024


@dataclass(kw_only=True)
class Budget:
    """Bytes that data sets of one file may still take."""

    bytes_left: int

    @classmethod
    def of(cls, source_bytes: int) -> Budget:
        """What a file of a size may declare."""
        return cls(bytes_left=_MAX_BYTES + _BYTES_PER_BYTE * source_bytes)

    def take(self, size: int) -> None:
        """Raises InvalidHeader when the file declares more than is read."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise InvalidHeader(
                "the file declares far more samples than its size makes likely; split it into smaller ones"
            )


def dataset_value(
    dataset: Any, budget: Budget, warnings: list[str], *, matlab: bool
) -> Value | dict[str, Value] | None:
    """An array, a text, a list of texts, or arrays by name for a table with named fields; None when left out.

    Raises UnsafeReference for data outside the file and InvalidHeader for what is too large.
    """
    _must_be_inside(dataset)
    if dataset.shape is None or dataset.size == 0 or "MATLAB_empty" in dataset.attrs:
        return None
    stored = dataset.id.get_type()
    if not _is_plain(stored) and not isinstance(stored, h5py.h5t.TypeCompoundID | h5py.h5t.TypeReferenceID):
        warnings.append("a data set of variable length or of objects was left out")
        return None
    kind = dataset.dtype
    if h5py.check_string_dtype(kind) is not None and kind.kind == "O":
        if dataset.size > _MAX_TEXTS:
            warnings.append("a data set of texts is too long and was left out")
            return None
        found = dataset.asstr(errors="replace")[()]
        return str(found) if isinstance(found, str) else [str(x) for x in found.reshape(-1).tolist()]
    if h5py.check_ref_dtype(kind) is not None and matlab:
        return _referred(dataset, budget)
    if kind.hasobject or kind.kind not in "iufSV" or (kind.kind == "V" and not kind.names):
        warnings.append("a data set of variable length or of objects was left out")
        return None
    budget.take(dataset.size * kind.itemsize)
    _must_inflate_as_declared(dataset, kind)
    values = dataset[()]
    if kind.kind == "V":
        return {x: values[x] for x in kind.names if kind[x].kind in "iuf" and values.ndim == 1}
    if not matlab:
        return np.asarray(values)
    if _matlab_class(dataset) == "char":
        return _spelled(np.asarray(values).T)
    return np.asarray(values).T


def attributes(thing: Any, budget: Budget) -> dict[str, Value]:
    """Attributes of a group or data set that are numbers or texts."""
    found: dict[str, Value] = {}
    for name in list(thing.attrs)[:_MAX_ATTRIBUTES]:
        identity = thing.attrs.get_id(name)
        size = 0 if identity.shape is None else math.prod(identity.shape) * int(identity.dtype.itemsize)
        if not 0 < size <= _MAX_ATTRIBUTE_BYTES or not _is_plain(identity.get_type()):
            continue
        budget.take(size)
        value: Any = thing.attrs[name]
        if isinstance(value, bytes):
            found[name] = value.decode("utf-8", "replace")
        elif isinstance(value, str):
            found[name] = value
        elif identity.dtype.kind == "O":
            items: list[Any] = np.asarray(value).reshape(-1).tolist()
            if all(isinstance(x, str | bytes) for x in items):
                found[name] = [x if isinstance(x, str) else x.decode("utf-8", "replace") for x in items]
        elif np.asarray(value).dtype.kind in "iufSU":
            found[name] = np.asarray(value)
    return found


def _is_plain(kind: Any) -> bool:
    """Whether a type is that of numbers or texts; the library crashes on damaged ones of other kinds."""
    types = h5py.h5t
    return isinstance(kind, types.TypeStringID | types.TypeIntegerID | types.TypeFloatID)


def _spelled(codes: npt.NDArray[Any]) -> str:
    return "".join(chr(x) for x in codes.reshape(-1)[:_MAX_TEXTS].tolist() if 0 < x < 0xD800).strip()


def _must_be_inside(dataset: Any) -> None:
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count() > 0:
        raise UnsafeReference(
            "a data set of the HDF5 file lies in another file; nothing was opened. Copy the data into one"
        )
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not _FILTERS.issuperset(filters):
        raise InvalidHeader("the HDF5 file uses a compression that is not built in; repack it with gzip")


def _must_inflate_as_declared(dataset: Any, kind: npt.DTypeLike) -> None:
    """Deflate gives what its bytes say, whatever the chunk declares: large ones are tried within bounds."""
    plan = dataset.id.get_create_plist()
    if plan.get_layout() != h5py.h5d.CHUNKED or not dataset.chunks:
        return
    declared = math.prod(dataset.chunks) * np.dtype(kind).itemsize
    if declared > _MAX_BYTES + _BYTES_PER_BYTE * dataset.id.get_storage_size():
        raise InvalidHeader("a chunk of the HDF5 file declares more samples than are read; repack it")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    file_bytes = dataset.file.id.get_filesize()
    for i in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(i)
        # The library allocates what the index says.
        if (chunk.byte_offset or 0) + chunk.size > file_bytes:
            raise InvalidHeader("a chunk of the HDF5 file is said to lie beyond its end; export it again")
        if _DEFLATE not in filters:
            continue
        if chunk.size * _MAX_INFLATION <= _MAX_BYTES or filters[-1] != _DEFLATE or chunk.filter_mask:
            continue
        stream = zlib.decompressobj()
        stream.decompress(dataset.id.read_direct_chunk(chunk.chunk_offset)[1], declared + 64)
        if not stream.eof:
            raise InvalidHeader("a chunk of the HDF5 file unpacks to more than it declares; export it again")


def _matlab_class(dataset: Any) -> str:
    found = dataset.attrs.get("MATLAB_class", b"")
    return found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)


def _referred(dataset: Any, budget: Budget) -> list[str] | None:
    """The texts of a MATLAB cell array, which are references within the file."""
    if dataset.size > _MAX_REFERENCES:
        return None
    found: list[str] = []
    for reference in dataset[()].T.reshape(-1).tolist():
        target = dataset.file[reference] if reference else None
        if not isinstance(target, h5py.Dataset) or _matlab_class(target) != "char":
            return None
        value = dataset_value(target, budget, [], matlab=True)
        if not isinstance(value, str):
            return None
        found.append(value)
    return found
