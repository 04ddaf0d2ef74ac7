"""What a cell of a label table says: class names, yes or no, a number, a point in time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from exchangeai.errors import InvalidArgument

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
_YES = frozenset({"1", "true", "yes", "y", "x", "ja", "j", "wahr", "t"})
_NO = MISSING | {"0", "false", "no", "n", "nein", "falsch", "f"}
_QUOTED = re.compile(r"""(?:'([^']*)'|"([^"]*)")\s*[:,\]})]""")
_GERMAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T](.+))?")
_SLASHED_DAY = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}")


def names(cell: str, separator: str, synonyms: Mapping[str, str]) -> tuple[str, ...]:
    """The labels of a cell, without repetition, in its order.

    Also a Python or JSON list, and a mapping from label to likelihood as PTB-XL's `scp_codes`, whose keys
    are taken. `synonyms` maps casefolded names to classes.
    """
    if cell[:1] in ("[", "{", "(") and cell[-1:] in ("]", "}", ")"):
        found: Iterable[str] = (a or b for a, b in _QUOTED.findall(cell))
    else:
        found = cell.split(separator) if separator else (cell,)
    stripped = (x.strip() for x in found)
    return tuple(dict.fromkeys(synonyms.get(x.casefold(), x) for x in stripped if x))


def holds(cell: str) -> bool | None:
    """Whether a class holds: yes, no, or a number above 0; None when the cell says neither."""
    folded = cell.casefold()
    if folded in _YES:
        return True
    if folded in _NO:
        return False
    try:
        return float(folded.replace(",", ".")) > 0
    except ValueError:
        return None


def decimal_sign(column: Iterable[str], name: str) -> Literal[".", ","]:
    """The decimal sign of a column of numbers.

    Raises InvalidArgument where commas may as well divide thousands ("1,234" throughout).
    """
    commas = [x for x in column if "," in x]
    if not commas or any(0 <= x.rfind(",") < x.rfind(".") for x in commas):
        return "."
    if all(re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+", x) for x in commas):
        raise InvalidArgument(
            f"in the column {name!r} a comma may be a decimal sign or divide thousands: "
            "state the decimal sign"
        )
    return ","


def number(cell: str, decimal: Literal[".", ","]) -> float | None:
    """A finite number, NaN for a missing one; None for anything else."""
    if cell.casefold() in MISSING:
        return math.nan
    thousands = "," if decimal == "." else "."
    try:
        value = float(cell.replace(thousands, "").replace(decimal, "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def moment(cell: str) -> float | None:
    """A point in time as seconds since the epoch (UTC where no zone is given); None when it is none.

    ISO 8601, day.month.year, a plain year, or year-month. Raises InvalidArgument for 03/04/2019, which
    means two days.
    """
    try:
        day = _GERMAN_DAY.fullmatch(cell)
        if day:
            iso = f"{day[3]}-{int(day[2]):02d}-{int(day[1]):02d}" + (f"T{day[4]}" if day[4] else "")
        elif re.fullmatch(r"\d{4}", cell):
            iso = f"{cell}-01-01"
        elif re.fullmatch(r"\d{4}-\d{2}", cell):
            iso = f"{cell}-01"
        elif _SLASHED_DAY.match(cell):
            raise InvalidArgument(
                "the column of times has days as 03/04/2019, which may be March or April: "
                "write them as 2019-04-03"
            )
        else:
            iso = cell.replace("/", "-")
        found = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
