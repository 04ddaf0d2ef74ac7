"""Text into a table of numbers: encoding, delimiter, decimal sign, header line, empty cells."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader

_HEAD_LINES = 40
_MAX_HEADER_LINES = 20
_MAX_COLUMNS = 1024
_LOOK_BYTES = 1 << 16
_EMPTY = r"(?:na|n/a|nan|null|none)?"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?|" + _EMPTY, re.I)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers and what stood above them."""

    values: npt.NDArray[np.float64]
    """float64 [rows, columns]; NaN for empty cells."""
    names: tuple[str, ...] | None
    """Of the columns; None without a header line."""
    notes: tuple[str, ...]
    """Comment lines, without their marks."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    delimiter: str | None
    """None for blanks."""
    decimal_comma: bool
    first_row: int
    names: tuple[str, ...] | None


def looks_like_table(data: bytes) -> bool:
    """Whether the beginning is text, with a line of numbers after at most a few other lines."""
    text = _text(data[:_LOOK_BYTES])
    return text is not None and _layout(_complete(text, len(data))) is not None


def parse_table(data: bytes) -> Table:
    """Parse all of it. Raises InvalidHeader when rows differ in length or hold words, EmptyFile."""
    text = _text(data)
    lines = [] if text is None else text.splitlines()
    layout = _layout(lines[:_HEAD_LINES])
    if layout is None:
        raise InvalidHeader("the text is not a table of numbers")
    notes = tuple(x.lstrip("#%; ").strip() for x in lines[: layout.first_row] if _is_note(x))
    rows = [x for x in lines[layout.first_row :] if x.strip()]
    if not rows:
        raise EmptyFile("the table holds no rows of numbers")
    values = _numbers(rows, layout)
    if layout.names is not None and len(layout.names) != values.shape[1]:
        raise InvalidHeader(
            f"the header line names {len(layout.names)} columns but the rows have {values.shape[1]}"
        )
    return Table(values=values, names=layout.names, notes=notes)


def _text(data: bytes) -> str | None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data[: len(data) // 2 * 2].decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        return None
    text = data.removeprefix(codecs.BOM_UTF8)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as e:
        # A window may cut a character at its end; elsewhere it is the older encoding.
        return text.decode("utf-8", "ignore") if e.start > len(text) - 4 else text.decode("latin-1")


def _complete(text: str, total: int) -> list[str]:
    lines = text.splitlines()
    return (lines if total <= _LOOK_BYTES else lines[:-1])[:_HEAD_LINES]


def _is_note(line: str) -> bool:
    return line.lstrip().startswith(("#", "%"))


def _layout(lines: list[str]) -> _Layout | None:
    header: str | None = None
    others = 0
    for i, line in enumerate(lines):
        if not line.strip() or _is_note(line):
            continue
        for delimiter in ("\t", ";", ",", None):
            if delimiter is not None and delimiter not in line:
                continue
            cells = _cells(line, delimiter)
            if len(cells) <= _MAX_COLUMNS and _all_numbers(cells) and not (len(cells) == 1 and "," in line):
                return _Layout(
                    delimiter=delimiter,
                    decimal_comma=delimiter != "," and "," in line,
                    first_row=i,
                    names=_names(header, delimiter, len(cells)),
                )
        others += 1
        if others > _MAX_HEADER_LINES:
            return None
        header = line
    return None


def _cells(line: str, delimiter: str | None) -> list[str]:
    return [x.strip().strip('"') for x in line.split(delimiter)]


def _all_numbers(cells: list[str]) -> bool:
    return any(cells) and all(_NUMBER.fullmatch(x) for x in cells) and any(x[-1:].isdigit() for x in cells)


def _names(header: str | None, delimiter: str | None, columns: int) -> tuple[str, ...] | None:
    if header is None:
        return None
    if columns == 1:
        return (header.strip().strip('"'),)
    return tuple(x or f"channel {i + 1}" for i, x in enumerate(_cells(header, delimiter)))


def _numbers(rows: list[str], layout: _Layout) -> npt.NDArray[np.float64]:
    body = "\n".join(x.strip(" ") for x in rows)
    if layout.decimal_comma:
        body = body.replace(",", ".")
    if layout.delimiter is not None:
        d = re.escape(layout.delimiter)
        # loadtxt knows no empty cell; zero-width matches put a word into each.
        body = re.sub(rf"(?im)(?:(?<={d})|^) *{_EMPTY} *(?={d}|$)", "nan", body)
    try:
        values = np.loadtxt(
            body.splitlines(), delimiter=layout.delimiter, ndmin=2, comments=None, quotechar='"'
        )
    except ValueError as e:
        raise InvalidHeader(
            "the rows of the table differ in length or hold words; every row must be numbers, one a column"
        ) from e
    return values
