"""Age, sex and year from the spellings that files use; unknown stays unknown."""

from __future__ import annotations

import datetime
import re

from exchangeai.recording import MAX_AGE_YEARS, Sex

_OLDEST_YEARS = 130
_NOBODY = frozenset(
    {"", "x", "unknown", "anonymous", "anonymized", "anonymised", "anon", "none", "na", "n/a", "null", "0"}
)
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip


def sex_of(text: str) -> Sex | None:
    """Sex from words like `F`, `Female`, `1` is not one: numbers mean different things in formats."""
    word = text.strip().casefold()
    if word in ("f", "female", "w", "woman"):
        return "F"
    if word in ("m", "male", "man"):
        return "M"
    return None


def pooled_age(years: float | None) -> int | None:
    """Whole years, ages from 90 on as 90; None when unknown or impossible."""
    if years is None or not 0 <= years <= _OLDEST_YEARS:
        return None
    return min(int(years), MAX_AGE_YEARS)


def age_between(born: datetime.date | None, at: datetime.date | None) -> int | None:
    """Pooled age at a date; None when either is unknown."""
    if born is None or at is None:
        return None
    before_birthday = (at.month, at.day) < (born.month, born.day)
    return pooled_age(at.year - born.year - before_birthday)


def date_of(text: str) -> datetime.date | None:
    """A date written `02-MAR-2002`, `02/03/2002` (day first), `2002-03-02` or `20020302`."""
    parts = re.fullmatch(r"(\d{1,2})[-/. ]([A-Za-z]{3,}|\d{1,2})[-/. ](\d{4})", text.strip())
    if parts:
        day, month, year = parts.groups()
    else:
        parts = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2}).*", text.strip())
        if not parts:
            return None
        year, month, day = parts.groups()
    number = _MONTHS.get(month[:3].casefold(), 0) if month.isalpha() else int(month)
    try:
        return datetime.date(int(year), number, int(day))
    except ValueError:
        return None


def year_of(at: datetime.date | None) -> int | None:
    """The year alone; None for dates shifted out of living memory, as research sets do."""
    return at.year if at is not None and 1900 <= at.year <= 2100 else None


def identifier_of(text: str) -> str | None:
    """A patient identifier, or None for the words that stand for nobody."""
    stripped = " ".join(text.split())
    nobody = stripped.casefold() in _NOBODY or re.fullmatch(r"[xX\W_]*", stripped) is not None
    return None if nobody else stripped


def model_of(text: str) -> str | None:
    """A device's model without what looks like a serial number."""
    words = [w for w in text.replace("_", " ").split() if not re.search(r"\d{5,}|(?i:s/?n)[:#]", w)]
    kept = " ".join(words)[:64]
    return kept if re.search(r"[A-Za-z]", kept) and kept.casefold() not in _NOBODY else None
