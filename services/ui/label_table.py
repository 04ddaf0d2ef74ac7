"""Looks into a label table far enough to offer its columns; the join itself is preprocess's work."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from exchangeai.errors import InvalidArgument
from exchangeai.tables import lines_of

_LOOKED_AT = 1 << 16
_SHOWN_ROWS = 4
_PARTS = ("train", "validation", "test")
_MOST_VALUES = 10_000
_GUESSES = {
    "recording": (
        "recording",
        "recording_id",
        "file",
        "file_name",
        "filename",
        "record",
        "ecg",
        "filename_hr",
    ),
    "label": ("label", "labels", "diagnosis", "class", "superclass", "classes", "target"),
    "patient": ("patient", "patient_id", "patient_key", "pid", "subject", "subject_id"),
    "part": ("part", "split", "fold_name", "set", "strat_fold", "fold"),
    "time": (),  # a date in a table is often not meant to split by: the user says so
}


@dataclass(frozen=True, kw_only=True)
class TableHead:
    """The columns of a table and its first rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def guess(self, meaning: str) -> str | None:
        """The column that most likely has this meaning, to be confirmed by the user."""
        by_folded = {c.strip().casefold(): c for c in self.columns}
        return next((by_folded[g] for g in _GUESSES[meaning] if g in by_folded), None)


def read_head(table: bytes, *, separator: str = "", encoding: str = "", sheet: str = "") -> TableHead:
    """Read the header and the first rows, as stated or as the table tells.

    Raises InvalidArgument when it is no such table.
    """
    found, _ = lines_of(_beginning(table), separator=separator, encoding=encoding, sheet=sheet)
    lines = list(islice((x for x in found if any(cell.strip() for cell in x)), _SHOWN_ROWS + 1))
    if not lines or len(lines[0]) < 2:
        raise InvalidArgument(
            "The table needs a header line and at least two columns, divided by comma, semicolon or tab"
            + (f"; divided by {separator!r} it has one" if separator else "")
            + "."
        )
    return TableHead(columns=tuple(c.strip() for c in lines[0]), rows=tuple(tuple(r) for r in lines[1:]))


def part_values(text: str) -> dict[str, str]:
    """Which part each value means, from a text like "1-8 = train, 9 = validation, 10 = test".

    Raises InvalidArgument when it says something else; an empty text says nothing.
    """
    meant: dict[str, str] = {}
    for piece in filter(None, (x.strip() for x in text.split(","))):
        values, equals, part = (x.strip() for x in piece.partition("="))
        if not equals or not values or part not in _PARTS:
            raise InvalidArgument(
                f"“{piece[:40]}” does not say which part it means: write it as “9 = validation”; "
                f"the parts are {', '.join(_PARTS)}."
            )
        first, dash, last = (x.strip() for x in values.partition("-"))
        if dash and first.isdecimal() and last.isdecimal() and int(last) - int(first) < _MOST_VALUES:
            meant.update((str(x), part) for x in range(int(first), int(last) + 1))
        else:
            meant[values] = part
    return meant


def synonyms(text: str) -> dict[str, str]:
    """What the table calls a class and the class that is meant, from lines like "VHF = AF".

    Raises InvalidArgument for a line that says something else, or a name that is given two classes.
    """
    meant: dict[str, str] = {}
    for line in filter(None, (x.strip() for x in text.splitlines())):
        said, equals, name = (x.strip() for x in line.rpartition("="))
        if not equals or not said or not name:
            raise InvalidArgument(f"“{line[:40]}” names no class: write it as “VHF = AF”.")
        if meant.setdefault(said.casefold(), name) != name:
            raise InvalidArgument(f"“{said[:40]}” is given two classes.")
    return meant


def _beginning(table: bytes) -> bytes:
    """Whole lines from the start of a long text; a workbook cannot be cut."""
    if len(table) <= _LOOKED_AT or table.startswith(b"PK"):
        return table
    end = table.rfind(b"\n", 0, _LOOKED_AT) + 1 or _LOOKED_AT
    # In UTF-16 a line feed is two bytes, of which the second may be the one after it.
    return table[: end + end % 2] if b"\0" in table[:_LOOKED_AT] else table[:end]
