"""Parse a label table: delimited text with a header line, whatever spreadsheet wrote it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from exchangeai.errors import InvalidArgument

SEPARATORS = (",", ";", "\t")
LABEL_SEPARATOR = ";"
MAX_ROWS = 5_000_000
_SHOWN_COLUMNS = 30


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns mean what; empty for none."""

    recording: str
    label: str
    patient: str = ""
    part: str = ""

    def named(self) -> tuple[str, ...]:
        """The columns that the table must have."""
        return tuple(x for x in (self.recording, self.label, self.patient, self.part) if x)


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """One line of the table; never leaves this service, because names may identify people."""

    row: int
    """From 1 below the header."""
    recording: str
    labels: tuple[str, ...]
    """Without repetition, in the order of the cell."""
    patient: str = ""
    part: str = ""


def parse_table(data: bytes, columns: Columns) -> list[LabelRow]:
    """Read UTF-8 text separated by comma, semicolon or tab (told from the header).

    A label cell is split at ";" (in a table that is itself separated by semicolons it must be quoted).
    Raises InvalidArgument when the text cannot be decoded or a column is missing.
    """
    text = _decoded(data)
    separator = _separator(text, columns)
    lines = _lines(text, separator)
    header = [x.strip() for x in next(lines, list[str]())]
    at = {name: _position(header, name) for name in columns.named()}

    def cell(line: list[str], name: str) -> str:
        return line[at[name]].strip() if name and at[name] < len(line) else ""

    rows: list[LabelRow] = []
    for line in lines:
        if not any(x.strip() for x in line):
            continue
        if len(rows) == MAX_ROWS:
            raise InvalidArgument(f"the label table has more than {MAX_ROWS} rows; split it")
        labels = (x.strip() for x in cell(line, columns.label).split(LABEL_SEPARATOR))
        rows.append(
            LabelRow(
                row=len(rows) + 1,
                recording=cell(line, columns.recording),
                labels=tuple(dict.fromkeys(x for x in labels if x)),
                patient=cell(line, columns.patient),
                part=cell(line, columns.part),
            )
        )
    if not rows:
        raise InvalidArgument("the label table has a header but no rows")
    return rows


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4096]:
        raise InvalidArgument(
            "the label table is no UTF-8 text (UTF-16 or a spreadsheet file?): save it as 'CSV UTF-8'"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise InvalidArgument(
            f"the label table is not UTF-8 (first in line {line}): save it as 'CSV UTF-8'"
        ) from e


def _separator(text: str, columns: Columns) -> str:
    """The separator whose reading of the header has most of the columns asked for, then most columns."""

    def fit(separator: str) -> tuple[int, int]:
        header = [x.strip() for x in next(_lines(text, separator), list[str]())]
        return sum(name in header for name in columns.named()), len(header)

    return max(SEPARATORS, key=fit)


def _lines(text: str, separator: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as e:
        raise InvalidArgument(f"the label table cannot be read at line {reader.line_num}: {e}") from e


def _position(header: list[str], name: str) -> int:
    found = [i for i, x in enumerate(header) if x == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidArgument(f"the label table has {len(found)} columns named {name!r}; rename all but one")
    shown = ", ".join(repr(x[:80]) for x in header[:_SHOWN_COLUMNS]) or "none"
    more = f" and {len(header) - _SHOWN_COLUMNS} more" if len(header) > _SHOWN_COLUMNS else ""
    raise InvalidArgument(f"the label table has no column {name!r}; its columns are {shown}{more}")
