"""What the columns of a label table mean, and how its text is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from exchangeai.errors import InvalidArgument

LABEL_SEPARATOR = ";"
_SHOWN_COLUMNS = 30


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns mean what; empty for none."""

    recording: str = ""
    """Names the recording: its id or its file's name. Without it rows are joined by patient."""
    label: str = ""
    """Holds the label, or several with a separator between them."""
    label_columns: tuple[str, ...] = ()
    """Instead of `label`: one column for each class (yes or no) or for each numeric target."""
    patient: str = ""
    part: str = ""
    time: str = ""
    """When the recording was made: splits by time."""

    def named(self) -> tuple[str, ...]:
        """The columns that the table must have."""
        single = (self.recording, self.label, *self.label_columns, self.patient, self.part, self.time)
        return tuple(dict.fromkeys(x for x in single if x))

    def check(self) -> None:
        """Raises InvalidArgument for a mapping that cannot be meant."""
        if not self.recording and not self.patient:
            raise InvalidArgument(
                "say which column names the recording (its id or file name), or which names the patient"
            )
        if bool(self.label) == bool(self.label_columns):
            raise InvalidArgument(
                "say either which column holds the labels, or which columns are the classes or targets"
            )
        if self.part and self.time:
            raise InvalidArgument("a split goes by a column of parts or by time, not by both: choose one")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How the text is to be read; what is empty is told from the text."""

    separator: str = ""
    encoding: str = ""
    decimal: Literal["", ".", ","] = ""
    label_separator: str = LABEL_SEPARATOR
    sheet: str = ""
    """Of a spreadsheet; by default the first one that has the columns."""
    synonyms: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the table calls a class (in any case of letters), and the class that is meant."""


def positions(header: list[str], columns: Columns) -> dict[str, int]:
    """Where each column is. Raises InvalidArgument when one is missing or there twice."""
    return {name: _position(header, name) for name in columns.named()}


def _position(header: list[str], name: str) -> int:
    found = [i for i, x in enumerate(header) if x == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidArgument(f"the label table has {len(found)} columns named {name!r}; rename all but one")
    shown = ", ".join(repr(x[:80]) for x in header[:_SHOWN_COLUMNS]) or "none"
    more = f" and {len(header) - _SHOWN_COLUMNS} more" if len(header) > _SHOWN_COLUMNS else ""
    raise InvalidArgument(f"the label table has no column {name!r}; its columns are {shown}{more}")
