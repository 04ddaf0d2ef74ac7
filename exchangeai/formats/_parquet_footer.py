"""The sizes that a Parquet footer declares, read before the library sees the file.

The footer is a struct in Thrift's compact protocol; field numbers are those of parquet.thrift (Apache Parquet
format 2.x). The library aborts the process on some damaged statistics, so these are checked here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from exchangeai.errors import InvalidHeader

_TAIL = 8
_MAX_FOOTER_BYTES = 8 << 20
_MAX_ITEMS = 1_000_000
_MAX_DEPTH = 12
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_SCHEMA, _ROWS, _ROW_GROUPS = 2, 3, 4
_CHUNKS, _GROUP_ROWS = 1, 3
_CHUNK_FILE, _CHUNK_METADATA = 1, 3
_VALUES, _UNCOMPRESSED, _COMPRESSED, _SIZE_STATISTICS = 5, 6, 7, 16
_HISTOGRAMS = (2, 3)
_MAX_LEVELS = 8


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What the file declares."""

    rows: int
    columns: int
    """Leaves of the schema."""
    values: int
    """Numbers and texts in all columns, at least one a row."""
    uncompressed_bytes: int


def parse_footer(data: bytes) -> Footer:
    """Read the footer. Raises InvalidHeader where it is damaged, or points to other files."""
    size = int.from_bytes(data[-_TAIL:-4], "little")
    if not 0 < size <= min(len(data) - _TAIL - 4, _MAX_FOOTER_BYTES):
        raise InvalidHeader("the Parquet file's footer has an impossible size; write the file again")
    try:
        found = _Compact(data[len(data) - _TAIL - size : -_TAIL]).struct(0)
        groups = cast(list[dict[int, Any]], found.get(_ROW_GROUPS, []))
        chunks = [(x, y) for x in groups for y in x[_CHUNKS]]
        if any(_CHUNK_FILE in y for _, y in chunks):
            raise InvalidHeader("the Parquet file points to another file; nothing was opened")
        sizes = [(x[_GROUP_ROWS], *_sizes(y[_CHUNK_METADATA])) for x, y in chunks]
        rows = int(found[_ROWS])
        if rows != sum(x[_GROUP_ROWS] for x in groups) or min((min(x) for x in sizes), default=0) < 0:
            raise InvalidHeader("the counts in the Parquet file's footer contradict; write the file again")
        columns = max((len(x[_CHUNKS]) for x in groups), default=0)
        if any(z > len(data) for _, _, _, z in sizes):
            raise InvalidHeader("the Parquet file's footer declares more bytes than there are")
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise InvalidHeader("the Parquet file's footer is damaged; write the file again") from e
    return Footer(
        rows=rows,
        columns=columns,
        values=max(sum(max(x, y) for x, y, _, _ in sizes), rows * columns),
        uncompressed_bytes=sum(x for _, _, x, _ in sizes),
    )


def _sizes(metadata: dict[int, Any]) -> tuple[int, int, int]:
    statistics = metadata.get(_SIZE_STATISTICS, {})
    if any(len(statistics.get(x, ())) > _MAX_LEVELS for x in _HISTOGRAMS):
        raise InvalidHeader("the statistics in the Parquet file's footer are damaged; write the file again")
    return int(metadata[_VALUES]), int(metadata[_UNCOMPRESSED]), int(metadata[_COMPRESSED])


class _Compact:
    """Thrift's compact protocol into dicts by field number, within bounds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._items_left = _MAX_ITEMS

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            delta, kind = head >> 4, head & 0x0F
            number = number + delta if delta else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self._items_left -= 1
        if self._items_left < 0:
            raise ValueError("too many items")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            if count > len(self._data):
                raise ValueError("more items than bytes")
            return [self._value(head & 0x0F, depth + 1) for _ in range(count)]
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind in (_BYTE, _TRUE, _FALSE):
            return self._byte()
        # parquet.thrift has no maps.
        raise ValueError("unknown type")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ValueError("more bytes than there are")
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number too long")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
