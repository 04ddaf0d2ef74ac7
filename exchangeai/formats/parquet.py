"""Parquet: a column a lead, a row a recording with lists in it, or many recordings one below the other.

What columns or the metadata of the schema say of rate, unit, leads and ids is used; the caller states the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as _arrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as _parquet  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._named_facts import Value, is_fact, is_record
from exchangeai.formats._named_values import records_of
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._parquet_footer import parse_footer

arrow: Any = _arrow
parquet: Any = _parquet
"""The library has no types."""

RANK = 2
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_MAX_BYTES = 64 << 20
_BYTES_PER_BYTE = 8
"""So much may be read, whatever the file's size, and so much more for each of its bytes."""
_FREE_BYTES = 16 << 20
_MAX_RATIO = 500
_MAX_COLUMNS = 2048
_MAX_RECORDS = 100_000
_INDEX = "__index_level_"


def sniff(files: Mapping[str, bytes]) -> bool:
    """The magic bytes of the format, plain or encrypted."""
    if len(files) != 1:
        return False
    data = next(iter(files.values()))
    return data.startswith((_MAGIC, _ENCRYPTED)) and len(data) > 12


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read all recordings. Raises InvalidHeader when the footer declares more than is read."""
    data = next(iter(files.values()))
    if data.startswith(_ENCRYPTED):
        raise InvalidHeader("the Parquet file is encrypted; export it without encryption")
    if not data.endswith(_MAGIC):
        raise Truncated("the Parquet file ends before its footer; send the whole file")
    try:
        table = _table(data)
        facts = _said(table.schema.metadata)
        nested = any(_depth(x.type) for x in table.schema)
        sources = list(_rows(table)) if nested else list(_runs(table))
    except (arrow.ArrowException, OSError, OverflowError, UnicodeDecodeError) as e:
        raise InvalidHeader(
            f"the Parquet file is damaged or uses what is not read ({type(e).__name__}); write it again"
        ) from e
    if not sources:
        raise EmptyFile("the Parquet file holds no rows")
    return [y for x in sources for y in records_of("parquet", facts | x, options, source_bytes=len(data))]


def _table(data: bytes) -> Any:
    """All columns that can be samples or facts, once the footer is known to declare no more than is read."""
    footer = parse_footer(data)
    if footer.columns > _MAX_COLUMNS:
        raise InvalidHeader(f"the Parquet file has more than {_MAX_COLUMNS} columns; send the leads alone")
    most = min(_MAX_BYTES + _BYTES_PER_BYTE * len(data), _FREE_BYTES + _MAX_RATIO * len(data))
    if footer.uncompressed_bytes > most or 8 * footer.values > _MAX_BYTES + _BYTES_PER_BYTE * len(data):
        raise InvalidHeader("the Parquet file declares far more samples than its size makes likely; split it")
    file = parquet.ParquetFile(
        arrow.BufferReader(data),
        thrift_string_size_limit=8 << 20,
        thrift_container_size_limit=1 << 20,
    )
    table = file.read(use_threads=False, use_pandas_metadata=False)
    table.validate(full=True)
    return table


def _said(metadata: Mapping[bytes, bytes] | None) -> dict[str, Value]:
    """Facts in the metadata of a schema or field."""
    found = {x.decode("utf-8", "replace"): y.decode("utf-8", "replace") for x, y in (metadata or {}).items()}
    return {name: value.strip("[] ").replace('"', "") for name, value in found.items() if is_fact(name)}


def _depth(kind: Any) -> int:
    """How many lists are around the numbers or texts."""
    types = arrow.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return 1 + _depth(kind.value_type)
    return 0


def _rows(table: Any) -> Iterator[dict[str, Value]]:
    """Values by name of each row, where lists hold samples or names."""
    if table.num_rows > _MAX_RECORDS:
        raise InvalidHeader(f"the file holds more than {_MAX_RECORDS} records; split it")
    columns = [(_name(x), table.column(i).combine_chunks()) for i, x in enumerate(table.schema)]
    for row in range(table.num_rows):
        values: dict[str, Value] = {}
        for name, column in columns:
            if column[row].is_valid and (value := _cell(column[row])) is not None:
                values[name] = value
        yield values


def _cell(scalar: Any) -> Value | None:
    types = arrow.types
    depth = _depth(scalar.type)
    if depth == 0:
        if types.is_integer(scalar.type) or types.is_floating(scalar.type):
            return np.asarray(scalar.as_py())
        plain = scalar.as_py()
        return plain if isinstance(plain, str) else None
    inner = scalar.values
    if depth == 1:
        return _texts(inner) if _is_text(inner.type) else _numbers(inner)
    if depth > 2 or _is_text(inner.type.value_type):
        return None
    samples = _numbers(inner.flatten())
    if samples is None or len(inner) == 0:
        return None
    sizes = {len(x.values) if x.is_valid else 0 for x in inner} if len(inner) <= 4096 else _sizes(inner)
    if len(sizes) != 1:
        raise InvalidHeader("the leads of a record differ in length; give each lead a column of its own")
    return samples.reshape(len(inner), -1)


def _sizes(lists: Any) -> set[int]:
    if arrow.types.is_fixed_size_list(lists.type):
        return {lists.type.list_size}
    return set(np.unique(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)).tolist())


def _runs(table: Any) -> Iterator[dict[str, Value]]:
    """Values by name of each stretch of rows with one record id; of all rows where there is none."""
    columns: dict[str, Any] = {}
    for i, field in enumerate(table.schema):
        column = table.column(i).combine_chunks()
        value = _texts(column) if _is_text(column.type) and is_fact(field.name) else _numbers(column)
        if value is not None and not field.name.startswith(_INDEX):
            columns[f"{field.name} [ns]" if arrow.types.is_timestamp(field.type) else _name(field)] = value
    if not table.num_rows:
        return
    ids = next((np.asarray(x) for name, x in columns.items() if is_record(name)), None)
    starts = [0]
    if ids is not None:
        starts += (np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()
        if len(starts) > _MAX_RECORDS:
            raise InvalidHeader(f"the file holds more than {_MAX_RECORDS} records; split it")
        if len(np.unique(ids)) != len(starts):
            raise InvalidHeader("the rows of a record are not together; sort the table by record and time")
    for begin, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield {
            name: x[begin : begin + 1] if is_record(name) or isinstance(x, list) else x[begin:end]
            for name, x in columns.items()
        }


def _name(field: Any) -> str:
    """The name of a column, with the unit that its metadata states."""
    said = _said(field.metadata)
    unit = said.get("unit") or said.get("units")
    return f"{field.name} [{unit}]" if isinstance(unit, str) and unit else str(field.name)


def _is_text(kind: Any) -> bool:
    inner = kind.value_type if arrow.types.is_dictionary(kind) else kind
    return arrow.types.is_string(inner) or arrow.types.is_large_string(inner)


def _texts(column: Any) -> list[str]:
    return [x if isinstance(x, str) else "" for x in column.to_pylist()]


def _numbers(column: Any) -> npt.NDArray[Any] | None:
    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_timestamp(column.type):
        return (
            column.cast(arrow.timestamp("ns"), safe=False).cast(arrow.int64()).to_numpy(zero_copy_only=False)
        )
    if types.is_decimal(column.type):
        column = column.cast(arrow.float64())
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        return None
    return column.to_numpy(zero_copy_only=False)
