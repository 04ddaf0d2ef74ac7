"""Single values in the XML of devices: texts, finite numbers, ages."""

from __future__ import annotations

import math
from typing import Any

from exchangeai.formats._people import pooled_age

_LONGEST_NUMBER = 40
_PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": 365.25 / 7, "days": 365.25, "hours": 365.25 * 24}


def text_of(node: Any, path: str) -> str:
    """Text of the first element at a path, without blanks around it; "" when there is none."""
    return "" if node is None else (node.findtext(path) or "").strip()


def fields_of(node: Any) -> dict[str, str]:
    """Texts of all children by name, the first of each: cheaper than `text_of` where many are wanted."""
    if node is None:
        return {}
    return {x.tag: (x.text or "").strip() for x in node.iterchildren("*", reversed=True)}


def number(written: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(written) if 0 < len(written) <= _LONGEST_NUMBER else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def number_of(node: Any, path: str) -> float | None:
    """A finite number in the first element at a path, or None."""
    return number(text_of(node, path))


def age_of(age: float | None, units: str) -> int | None:
    """A pooled age in years from one in `YEARS`, `MONTHS`, `WEEKS`, `DAYS`, `HOURS`; nothing means years."""
    per_year = _PER_YEAR.get(units.casefold() or "years")
    return None if age is None or per_year is None else pooled_age(age / per_year)
