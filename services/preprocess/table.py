"""Parse a label table: delimited text or an XLSX sheet with a header line, whatever program wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from exchangeai.errors import InvalidArgument
from exchangeai.facts import Task
from exchangeai.tables import lines_of
from services.preprocess import cells
from services.preprocess.columns import LABEL_SEPARATOR, Columns, Dialect, positions

__all__ = ["LABEL_SEPARATOR", "MAX_ROWS", "Columns", "Dialect", "LabelRow", "Table", "parse_table"]

MAX_ROWS = 5_000_000


class LabelRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of the table; never leaves this service, because names may identify people.

    A Struct outside the garbage collector: there may be a million, and none refers to another.
    """

    row: int
    """From 1 below the header."""
    recording: str = ""
    labels: tuple[str, ...] = ()
    """Without repetition, in the order of the cell or of the columns."""
    values: tuple[float, ...] = ()
    """Numeric targets in the order of the columns; NaN = no value."""
    patient: str = ""
    part: str = ""
    time_s: float | None = None
    problem: str = ""
    """Why the row cannot be used; empty when it can."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a label table and how they were read."""

    rows: list[LabelRow]
    notes: tuple[str, ...] = ()
    """What was concluded and not stated, in words for people."""


def parse_table(
    data: bytes, columns: Columns, task: Task = Task.MULTI_LABEL, dialect: Dialect | None = None
) -> Table:
    """Read a label table.

    Raises InvalidArgument when it is no table, a column is missing or the mapping makes no sense. A cell
    that says nothing makes its row unusable and is reported; it does not fail the table.
    """
    columns.check()
    dialect = dialect or Dialect()
    lines, guessed = lines_of(
        data,
        columns.named(),
        separator=dialect.separator,
        encoding=dialect.encoding,
        sheet=dialect.sheet,
    )
    notes = (f"the label table was read as {guessed}: check letters that are not English",) if guessed else ()
    header = [x.strip() for x in next(lines, list[str]())]
    at = positions(header, columns)
    reading = _Reading(columns, at, task, dialect)
    used = sorted(at.values())
    reading.move_to(used)
    rows = reading.rows(_cells(lines, used))
    if not rows:
        raise InvalidArgument("the label table has a header but no rows")
    return Table(rows=rows, notes=notes)


def _cells(lines: Iterable[list[str]], used: Sequence[int]) -> Iterator[list[str]]:
    """The used cells of each line that is not empty."""
    count = 0
    for line in lines:
        if not any(line) or not "".join(line).strip():
            continue
        if count == MAX_ROWS:
            raise InvalidArgument(f"the label table has more than {MAX_ROWS} rows; split it")
        count += 1
        yield [line[i].strip() if i < len(line) else "" for i in used]


_Said = tuple[tuple[str, ...], tuple[float, ...], str]
"""(labels, values, what is wrong)."""


class _Reading:
    """How lines become rows."""

    def __init__(self, columns: Columns, at: dict[str, int], task: Task, dialect: Dialect) -> None:
        self._columns = columns
        self._at = at
        self._task = task
        self._dialect = dialect
        self._synonyms = {k.strip().casefold(): v for k, v in dialect.synonyms.items()}
        self._targets = columns.label_columns or (columns.label,)
        self._decimals: tuple[Literal[".", ","], ...] = ()
        self._known: dict[tuple[str, ...], _Said] = {}

    def move_to(self, used: Sequence[int]) -> None:
        """Count positions within the columns that are kept."""
        self._at = {name: used.index(i) for name, i in self._at.items()}

    def rows(self, lines: Iterable[list[str]]) -> list[LabelRow]:
        """All rows."""
        if self._task is Task.REGRESSION:
            lines = list(lines)  # the decimal sign is told from all of a column
            self._decimals = tuple(
                self._dialect.decimal or cells.decimal_sign((x[self._at[name]] for x in lines), name)
                for name in self._targets
            )
        return [self._row(number, line) for number, line in enumerate(lines, 1)]

    def _row(self, number: int, line: list[str]) -> LabelRow:
        def cell(name: str) -> str:
            return line[self._at[name]] if name else ""

        labels, values, problem = self._said(tuple(line[self._at[x]] for x in self._targets))
        time_s = cells.moment(cell(self._columns.time)) if self._columns.time else None
        if self._columns.time and time_s is None and not problem:
            problem = f"its {self._columns.time!r} is no point in time"
        return LabelRow(
            row=number,
            recording=cell(self._columns.recording),
            labels=labels,
            values=values,
            patient=cell(self._columns.patient),
            part=cell(self._columns.part),
            time_s=time_s,
            problem=problem,
        )

    def _said(self, found: tuple[str, ...]) -> _Said:
        """What cells mean; equal cells share it, for a million rows say only some hundred things."""
        said = self._known.get(found)
        if said is None:
            said = self._meaning(found)
            if self._task is not Task.REGRESSION:
                self._known[found] = said
        return said

    def _meaning(self, found: tuple[str, ...]) -> _Said:
        if self._task is Task.REGRESSION:
            values = [cells.number(x, d) for x, d in zip(found, self._decimals, strict=True)]
            wrong = _wrong(self._targets, values)
            return (), tuple(x for x in values if x is not None), f"{wrong} is no number" if wrong else ""
        if not self._columns.label_columns:
            return cells.names(found[0], self._dialect.label_separator, self._synonyms), (), ""
        said = [cells.holds(x) for x in found]
        wrong = _wrong(self._targets, said)
        held = (name for name, yes in zip(self._targets, said, strict=True) if yes)
        labels = tuple(dict.fromkeys(self._synonyms.get(x.casefold(), x) for x in held))
        return labels, (), f"{wrong} says neither yes nor no" if wrong else ""


def _wrong(names: Sequence[str], said: Iterable[object]) -> str:
    return next((f"its {name!r}" for name, x in zip(names, said, strict=True) if x is None), "")
