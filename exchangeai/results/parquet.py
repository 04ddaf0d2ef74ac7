"""Apache Parquet: the columns of the CSV with their types; missing values are null."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as _untyped  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as _untyped_parquet  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.results._result import Chunk, Result
from exchangeai.results._rows import COLUMNS, Row, rows

pa: Any = _untyped
pq: Any = _untyped_parquet
FILE = "results.parquet"
ROWS_PER_GROUP = 20_000


class _Drain(io.RawIOBase):
    """A file that is only written on, and hands on what came since it was last asked."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        taken = bytes(data)
        self._held.append(taken)
        self._at += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._held)
        self._held.clear()
        return data


class ParquetWriter:
    """One file for all results; holds one row group."""

    def __init__(self) -> None:
        kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        self._out = _Drain()
        self._file = pq.ParquetWriter(pa.PythonFile(self._out, "w"), self._schema, compression="zstd")
        self._rows: list[Row] = []

    def add(self, result: Result) -> Iterable[Chunk]:
        """A row group, when one is full."""
        self._rows.extend(rows(result))
        return self._group() if len(self._rows) >= ROWS_PER_GROUP else []

    def finish(self) -> Iterable[Chunk]:
        """The last row group and the footer."""
        last = [*self._group()]
        self._file.close()
        return [*last, *self._written()]

    def _group(self) -> list[Chunk]:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()
        return self._written()

    def _written(self) -> list[Chunk]:
        data = self._out.take()
        return [Chunk(file=FILE, data=data)] if data else []


def writer() -> ParquetWriter:
    """A writer for one export."""
    return ParquetWriter()
