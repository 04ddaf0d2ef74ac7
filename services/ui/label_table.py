"""Looks into a label table far enough to offer its columns; the join itself is preprocess's work."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from exchangeai.errors import InvalidArgument

_DELIMITERS = ",;\t"
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
    "part": ("part", "split", "fold_name", "set"),
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


def read_head(table: bytes, rows: int = 4) -> TableHead:
    """Read the header and the first rows. Raises InvalidArgument when it is no such table."""
    try:
        text = table[: 1 << 16].decode("utf-8-sig", errors="ignore" if len(table) > 1 << 16 else "strict")
    except UnicodeDecodeError as e:
        raise InvalidArgument(
            "The table is not UTF-8 text. Save it as “CSV UTF-8” and choose it again."
        ) from e
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = list(csv.reader(io.StringIO(text), delimiter=delimiter))[: rows + 1]
    if not lines or len(lines[0]) < 2 or "\x00" in first:
        raise InvalidArgument(
            "The table needs a header line and at least two columns, divided by comma, semicolon or tab."
        )
    return TableHead(columns=tuple(c.strip() for c in lines[0]), rows=tuple(tuple(r) for r in lines[1:]))
