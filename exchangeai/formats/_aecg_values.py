"""Values of HL7 v3 data types as aECG files write them: quantities with UCUM units, and points in time."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from exchangeai.formats._units import mv_per
from exchangeai.formats._xml_fields import number

_PREFIXES = {
    "": 0, "k": 3, "h": 2, "da": 1, "d": -1, "c": -2, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12,
}  # fmt: skip
_VOLTS = re.compile(r"(?:10(?:\*|\^)([-+]?\d{1,2})\.?)?(k|h|da|d|c|m|u|µ|μ|n|p|)V")
_SECONDS = re.compile(r"(?:10(?:\*|\^)([-+]?\d{1,2})\.?)?(k|h|da|d|c|m|u|µ|μ|n|p|)s")
_SECONDS_BY_NAME = {"sec": 1, "second": 1, "seconds": 1, "min": 60, "h": 3600, "d": 86400}
_PER_MINUTE = {"Hz": 60.0, "/s": 60.0, "1/s": 60.0}
_YEARS = {
    "a": 1.0,
    "y": 1.0,
    "yr": 1.0,
    "year": 1.0,
    "years": 1.0,
    "mo": 1 / 12,
    "wk": 7 / 365.25,
    "d": 1 / 365.25,
}
_TIME = re.compile(
    r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{0,9})\d*)?(?:([-+])(\d\d):?(\d\d)?|Z)?"
)


class Instant(NamedTuple):
    """A point in time (HL7 v3 TS), to the nanosecond."""

    date: datetime.date
    day_known: bool
    """False where only a year, or a year and a month, are written."""
    local_ns: int
    """Nanoseconds of the clock on the wall."""
    offset_ns: int | None
    """Of that clock from UTC."""

    def seconds_since(self, start: Instant) -> float:
        """Seconds after `start`; zones count when both have one."""
        difference = self.local_ns - start.local_ns
        if self.offset_ns is not None and start.offset_ns is not None:
            difference -= self.offset_ns - start.offset_ns
        return difference / 1e9


def child(node: Any, name: str) -> Any:
    """The first child of that local name, or None; None of None."""
    return None if node is None else next(node.iterchildren("{*}" + name), None)


def named_children(node: Any) -> dict[str, Any]:
    """The first child of each local name: cheaper than `child` where several are wanted."""
    found: dict[str, Any] = {}
    for x in node.iterchildren("*"):
        found.setdefault(x.tag.rpartition("}")[2], x)
    return found


def descend(node: Any, *names: str) -> Any:
    """The first child of the first child ..., or None."""
    for name in names:
        node = child(node, name)
    return node


def attribute(node: Any, name: str) -> str:
    """An attribute without blanks around it; "" when it or the node is missing."""
    return "" if node is None else (node.get(name) or "").strip()


def code_of(node: Any) -> str:
    """The code in the child `code`."""
    return attribute(child(node, "code"), "code")


def quantity(node: Any) -> tuple[float, str] | None:
    """Value and unit of a PQ; of an interval of PQ its centre. None where there is no number."""
    value = number(attribute(node, "value"))
    if value is None:
        node = child(node, "center")
        value = number(attribute(node, "value"))
    return None if value is None else (value, attribute(node, "unit"))


def exact(text: str) -> Fraction | None:
    """A positive number without rounding, or None."""
    value = number(text)
    # The range keeps exponents small, which the exact form would write out.
    return Fraction(text.strip()) if value is not None and 1e-15 < value < 1e15 and "_" not in text else None


@lru_cache(maxsize=64)
def seconds_per(unit: str) -> Fraction | None:
    """Seconds per UCUM unit of time, exact; None for other units."""
    if unit in _SECONDS_BY_NAME:
        return Fraction(_SECONDS_BY_NAME[unit])
    power = _power(_SECONDS, unit)
    return None if power is None else Fraction(10) ** power


@lru_cache(maxsize=64)
def mv_per_ucum(unit: str) -> float | None:
    """Millivolts per UCUM unit of voltage, any prefix; None for other quantities."""
    power = _power(_VOLTS, unit)
    return mv_per(unit) if power is None else float(Fraction(10) ** (power + 3))


def milliseconds(value: float, unit: str) -> float | None:
    """A duration in ms. No unit means ms, as the MDC codes for durations are defined."""
    per = _milliseconds_per(unit)
    return None if per is None else value * per


def per_minute(value: float, unit: str) -> float:
    """A heart rate per minute, from `/min`, `bpm` or Hz."""
    return value * _PER_MINUTE.get(unit, 1.0)


def years(value: float, unit: str) -> float | None:
    """An age in years; None for units that are none of time."""
    per = _YEARS.get(unit.casefold())
    return None if per is None else value * per


def instant(text: str) -> Instant | None:
    """A TS such as `20021122091000.122+0100`, shortened after the year at will; None when it is none."""
    parts = _TIME.fullmatch(text.strip())
    if not parts:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_h, zone_min = parts.groups()
    try:
        date = datetime.date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    seconds += date.toordinal() * 86400 + hours * 3600 + minutes * 60
    offset_ns = None
    if sign or text.rstrip().endswith("Z"):
        ahead = int(zone_h or 0) * 60 + int(zone_min or 0)
        offset_ns = (-ahead if sign == "-" else ahead) * 60 * 10**9
    return Instant(
        date=date,
        day_known=day is not None,
        local_ns=seconds * 10**9 + int((fraction or "").ljust(9, "0")),
        offset_ns=offset_ns,
    )


def begin_of(effective_time: Any) -> Instant | None:
    """The beginning of an interval in any of its forms: value, low, centre, else high."""
    for node in (effective_time, *(child(effective_time, x) for x in ("low", "center", "high"))):
        if found := instant(attribute(node, "value")):
            return found
    return None


@lru_cache(maxsize=64)
def _milliseconds_per(unit: str) -> float | None:
    seconds = seconds_per(unit) if unit else Fraction(1, 1000)
    return None if seconds is None else float(seconds * 1000)


def _power(pattern: re.Pattern[str], unit: str) -> int | None:
    match = pattern.fullmatch(unit)
    return None if match is None else int(match[1] or 0) + _PREFIXES[match[2]]
