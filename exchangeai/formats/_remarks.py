"""What the lines above a table say: rate, unit, lead names, and the little that is kept of the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from exchangeai.errors import InvalidHeader
from exchangeai.formats._people import date_of, year_of
from exchangeai.formats._units import mv_per

_RATE = re.compile(
    r"(?:sampl\w*[\s_-]*(?:rate|freq\w*)|abtastrate|abtastfrequenz|\bs?fs\b|\bsfreq\b|^\W*(?:frequency|rate)\b)"
    r"[^\d\n]{0,24}?(?P<rate>\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(?P<kilo>k(?=hz))?",
    re.I,
)
_INTERVAL = re.compile(
    r"sampl\w*[\s_-]*(?:interval|period)[^\d\n]{0,24}?(?P<step>\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>s|ms|us|µs)\b",
    re.I,
)
_UNIT = re.compile(r"^\W*(?:\w+\s+)?units?\b[^:=,;\t]*[:=,;\t]+[\s\"']*(?P<unit>[A-Za-zµμ]+)", re.I)
_LABELS = re.compile(
    r"^\W*(?:leads?|labels?|channels?|channel names|lead names)\s*[:=,;\t]+\s*(?P<names>.+)$", re.I
)
_JSON_LABELS = re.compile(r"\"label\"\s*:\s*\[(?P<names>[^\]]*)\]")
_JSON_COLUMNS = re.compile(r"\"column\"\s*:\s*\[(?P<names>[^\]]*)\]")
_VALUE = r"\s*[:=,;\t]+\s*\"?(?P<value>[^\"]{1,200})"
_STEPS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """What was found; "" and None where nothing was."""

    rate_hz: float | None
    unit: str
    """A voltage; of all columns."""
    leads: tuple[str, ...]
    columns: tuple[str, ...]
    """Of all columns, as OpenSignals lists them; `leads` are then those that are signals."""
    sex: str
    age_years: float | None
    patient: str
    year: int | None
    device: str
    statements: tuple[str, ...]


def remarks_of(notes: Sequence[str]) -> Remarks:
    """Facts in the lines above a table. Raises InvalidHeader when they state two rates or units."""
    rates = [
        float(x["rate"].replace(",", ".")) * (1000 if x["kilo"] else 1)
        for note in notes
        if (x := _RATE.search(note))
    ]
    rates += [
        float(f"{1 / (float(x['step']) * _STEPS[x['unit'].lower()]):.6g}")
        for note in notes
        if (x := _INTERVAL.search(note)) and float(x["step"]) > 0
    ]
    units = [x["unit"] for note in notes if (x := _UNIT.search(note)) and mv_per(x["unit"]) is not None]
    if any(abs(x - rates[0]) > 1e-3 * x for x in rates[1:]):
        raise InvalidHeader("the lines above the table state two sampling rates; correct one")
    if len({mv_per(x) for x in units}) > 1:
        raise InvalidHeader("the lines above the table state two units; correct one")
    age = re.match(r"\d+(?:\.\d+)?", _value(notes, "age|patient age|alter"))
    recorded = date_of(
        _value(notes, "recorded date|recording date|acquisition date|recording time|recorded on")
    )
    statement = _value(notes, "classification|interpretation|diagnosis|statement")
    return Remarks(
        rate_hz=rates[0] if rates else None,
        unit=units[0] if units else "",
        leads=_labels(notes, _JSON_LABELS, _LABELS),
        columns=_labels(notes, _JSON_COLUMNS),
        sex=_value(notes, "sex|gender|patient sex|geschlecht"),
        age_years=float(age[0]) if age else None,
        patient=_value(notes, r"patient[ _]?id|subject[ _]?id|patient[ _]?number"),
        year=year_of(recorded),
        device=_value(notes, "device|device model|model|recorder"),
        statements=(statement[:200],) if statement else (),
    )


def _value(notes: Sequence[str], keys: str) -> str:
    pattern = re.compile(rf"^\W*(?:{keys}){_VALUE}", re.I)
    return next((x["value"].strip(" ,;\t") for note in notes if (x := pattern.match(note))), "")


def _labels(notes: Sequence[str], *patterns: re.Pattern[str]) -> tuple[str, ...]:
    for pattern in patterns:
        for note in notes:
            if found := pattern.search(note):
                names = re.split(r"[,;\t|]", found["names"].strip(" []"))
                return tuple(x.strip(" \"'[]") for x in names if x.strip(" \"'[]"))
    return ()
