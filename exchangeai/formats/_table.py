"""Text into columns of numbers: encoding, delimiter, decimal sign, names and notes above, empty cells."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as _arrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.csv as _arrow_csv  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._table_layout import (
    LOOK_BYTES,
    MAX_COLUMNS,
    NOTE_MARKS,
    Layout,
    decoded,
    is_clock,
    layout_of,
)

arrow: Any = _arrow
arrow_csv: Any = _arrow_csv
"""The library's types are partial."""

_NULLS = [
    "", "NA", "N/A", "n/a", "na", "nan", "NaN", "NAN", "Nan", "-nan", "null", "NULL", "Null", "none", "None",
    "NONE", "missing", "-", "--", "---", ".", "#N/A",
]  # fmt: skip
_ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_NOTE_LINE = re.compile(rb"(?m)^[ \t]*(?:#|%|//)[^\r\n]*")
_BLANKS = re.compile(rb"[ \t]+")
_LINE_EDGES = re.compile(rb"(?m)^ | $")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    values: npt.NDArray[Any] | None
    """int64 or float64 [rows] with NaN for empty cells; None for text."""
    times_ns: npt.NDArray[np.int64] | None = None
    """Nanoseconds, for a column of clock times or dates; of a date, since 1970."""
    dated: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and what stood above them."""

    columns: tuple[Column, ...]
    layout: Layout
    cut: bool
    """The last row was incomplete, as in a file that ends early; it is left out."""


def looks_like_table(data: bytes) -> bool:
    """Whether the beginning is text, with rows of numbers after at most a few other lines."""
    text = decoded(data[:LOOK_BYTES])
    return text is not None and layout_of(text, whole=len(data) < LOOK_BYTES) is not None


def parse_table(data: bytes) -> Table:
    """Parse all of it. Raises InvalidHeader when rows differ in length or hold words, EmptyFile."""
    text = decoded(data)
    layout = None if text is None else layout_of(text, whole=True)
    if text is None or layout is None:
        raise InvalidHeader("the text is not a table of numbers")
    body, cut = _body(text, layout)
    if not body.strip():
        raise EmptyFile("the table holds no rows of numbers")
    if layout.columns > MAX_COLUMNS:
        return Table(columns=_wide(body, layout), layout=layout, cut=cut)
    table = _parsed(body, layout, layout.columns)
    return Table(
        columns=tuple(_column(x, body, i, layout) for i, x in enumerate(table.columns)),
        layout=layout,
        cut=cut,
    )


def _body(text: bytes, layout: Layout) -> tuple[bytes, bool]:
    """The rows alone, and whether an incomplete last one was dropped."""
    at = 0
    for _ in range(layout.above):
        end = _LINE_END.search(text, at)
        at = end.end() if end else len(text)
    body = text[at:].rstrip(b"\x1a\0")
    if any(x.encode() in body for x in NOTE_MARKS):
        body = _NOTE_LINE.sub(b"", body)
    if layout.delimiter is None and layout.columns > 1:
        body = _LINE_EDGES.sub(b"", _BLANKS.sub(b" ", body))
    whole_last = body[-1:] in (b"\n", b"\r")
    body = body.strip(b"\r\n \t" if layout.delimiter != "\t" else b"\r\n ")
    delimiter = (layout.delimiter or " ").encode()
    start = max(body.rfind(b"\n"), body.rfind(b"\r"))
    if layout.columns > 1 and not whole_last and start > 0:
        last = body[start:].count(delimiter) + 1
        if last < layout.columns:
            return body[:start], True
    return body, False


def _parsed(body: bytes, layout: Layout, columns: int) -> Any:
    """The library's table: numbers where the first row has some; types are inferred only when that fails."""
    numbers = {str(i): arrow.float64() for i in range(columns) if i not in layout.words}
    try:
        return _parsed_as(body, layout, columns, numbers)
    except InvalidHeader:
        return _parsed_as(body, layout, columns, {})


def _parsed_as(body: bytes, layout: Layout, columns: int, types: dict[str, Any]) -> Any:
    names = [str(i) for i in range(columns)]
    try:
        return arrow_csv.read_csv(
            io.BytesIO(body),
            # One block: the types of columns are found from all rows, not from the first megabyte.
            read_options=arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(len(body) + 16, 1 << 12)
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=layout.delimiter or ("\t" if columns == 1 else " "),
                quote_char=layout.quote,
                ignore_empty_lines=columns > 1,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                null_values=_NULLS,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                decimal_point="," if layout.decimal_comma else ".",
                true_values=["true", "True"],
                false_values=["false", "False"],
                check_utf8=False,
            ),
        )
    except arrow.ArrowInvalid as e:
        raise InvalidHeader(
            "the rows of the table differ in length; every row must have one cell a column"
        ) from e


def _column(chunked: Any, body: bytes, index: int, layout: Layout) -> Column:
    found = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    kind = found.type
    if arrow.types.is_floating(kind) or arrow.types.is_integer(kind):
        return Column(values=found.to_numpy(zero_copy_only=False))
    if arrow.types.is_null(kind):
        return Column(values=np.full(len(found), np.nan))
    if arrow.types.is_timestamp(kind):
        return Column(values=None, times_ns=_nanoseconds(found), dated=True)
    if arrow.types.is_time(kind):
        return Column(values=None, times_ns=_nanoseconds(found))
    first = found[0].as_py() if len(found) else None
    if not isinstance(first, str):
        return Column(values=None)
    if is_clock(first.strip(" []")):
        return _clock_column(found)
    if _is_number(first, layout):
        raise InvalidHeader(
            f"column {index + 1} of the table holds words among its numbers; correct or remove them"
        )
    return Column(values=None)


def _nanoseconds(found: Any) -> npt.NDArray[np.int64]:
    unit = arrow.timestamp("ns") if arrow.types.is_timestamp(found.type) else arrow.time64("ns")
    times = found.cast(unit, safe=False).cast(arrow.int64())
    if times.null_count:
        raise InvalidHeader(
            "the column of times has empty cells; complete it, or remove it and state the rate"
        )
    return times.to_numpy(zero_copy_only=False)


def _clock_column(found: Any) -> Column:
    """Dates with a zone or a comma, and elapsed times like 0:00.004 that the library does not know."""
    words = [str(x).strip(" []'").replace(",", ".") for x in found.to_pylist()]
    try:
        if "-" in words[0][:8]:
            words = [_ZONE.sub("", x) for x in words]
            if not all(map(_DATE.fullmatch, words)):
                raise ValueError
            return Column(
                values=None, times_ns=np.array(words, "datetime64[ns]").astype(np.int64), dated=True
            )
        parts = [x.split(":") for x in words]
        fields = np.array(parts, np.float64)
        if fields.shape[1] > 3:
            raise ValueError
    except ValueError as e:
        raise InvalidHeader("the column of times holds words; correct it, or remove it") from e
    weights = np.array([3600.0, 60.0, 1.0][-fields.shape[1] :])
    seconds: npt.NDArray[np.float64] = (fields * weights).sum(axis=1)
    return Column(values=None, times_ns=np.rint(seconds * 1e9).astype(np.int64))


def _is_number(word: str, layout: Layout) -> bool:
    try:
        float(word.replace(",", ".") if layout.decimal_comma else word)
    except ValueError:
        return False
    return True


def _wide(body: bytes, layout: Layout) -> tuple[Column, ...]:
    """A table of few long rows, one a lead: [leads, samples] as its columns' transpose."""
    delimiter = (layout.delimiter or " ").encode()
    lines = [x for x in _LINE_END.split(body) if x.strip()]
    lines = [x.rstrip(delimiter) for x in lines]
    if len(lines) > MAX_COLUMNS:
        raise InvalidHeader(
            f"the table has more than {MAX_COLUMNS} rows and columns; send one recording a file"
        )
    if len({x.count(delimiter) for x in lines}) > 1:
        raise InvalidHeader("the rows of the table differ in length; every row must have one cell a column")
    cells = _parsed(b"\n".join(x.replace(delimiter, b"\n") for x in lines), layout, 1)
    values = _column(cells.column(0), body, 0, layout).values
    if values is None:
        raise InvalidHeader("the rows of the table hold words; every row must be numbers")
    return tuple(Column(values=x) for x in values.reshape(len(lines), -1))
