"""CSV: a header and a row for each finding; UTF-8, RFC 4180, empty where there is no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from exchangeai.results._result import Chunk, Result
from exchangeai.results._rows import COLUMNS, Row, rows

FILE = "results.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """One file for all results."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, result: Result) -> Iterable[Chunk]:
        """The rows of one result, after the header when it is the first."""
        return [Chunk(file=FILE, data=self._text(rows(result)).encode())]

    def finish(self) -> Iterable[Chunk]:
        """A table without rows still has its header."""
        return [] if self._begun else [Chunk(file=FILE, data=self._text(()).encode())]

    def _text(self, table: Iterable[Row]) -> str:
        out = io.StringIO()
        written = csv.writer(out)
        if not self._begun:
            written.writerow(COLUMNS)
            self._begun = True
        for row in table:
            written.writerow([_cell(row[name]) for name in COLUMNS])
        return out.getvalue()


def writer() -> CsvWriter:
    """A writer for one export."""
    return CsvWriter()


def _cell(value: str | float | int | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A class named by others must not become a formula in a spreadsheet.
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
