"""What an MFER file says beside its samples: the person's age and sex, time, device, filters, events."""

from __future__ import annotations

import codecs
import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

from exchangeai.formats import _mfer_tags as tags
from exchangeai.formats._mfer_frames import number
from exchangeai.formats._people import age_between, identifier_of, model_of, pooled_age, year_of
from exchangeai.recording import Filters, Sex

_SEXES: dict[int, Sex] = {1: "M", 2: "F"}
_FILTER = re.compile(r"\s*(HPF|LPF|BEF)\s*=\s*(\d{1,6}(?:\.\d{1,6})?)")
_SAFE_CODECS = ("ascii", "utf-8", "shift_jis", "iso2022_jp", "euc_jp", "latin-1")
_MAX_EVENTS = 50_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """A mark, counted in samples."""

    code: int
    start: int
    samples: int
    text: str


@dataclass(frozen=True, kw_only=True)
class MferFacts:
    """None, "" and () where the file says nothing."""

    sex: Sex | None
    age_years: int | None
    year: int | None
    patient_id: str | None
    device_model: str | None
    filters: Filters
    events: tuple[Event, ...]
    codec: str


def facts_in(definitions: Iterable[tuple[int, bytes, bool]]) -> MferFacts:
    """Facts of the definitions (tag, value, whether big endian); those that make no sense are unknown."""
    found: dict[int, tuple[bytes, bool]] = {}
    cutoffs: dict[str, float] = {}
    events: list[Event] = []
    codec = "ascii"
    for tag, value, big_endian in definitions:
        found.setdefault(tag, (value, big_endian))
        if tag == tags.CHARACTERS:
            codec = _codec(value)
        elif tag == tags.FILTER and (cutoff := _FILTER.match(text_of(value, codec))):
            cutoffs.setdefault(cutoff[1], float(cutoff[2]))
        elif tag == tags.EVENT and len(value) >= 6 and len(events) < _MAX_EVENTS:
            events.append(_event(value, big_endian, codec))
    recorded = _date(*found.get(tags.TIME, (b"", True)), at=0)
    sex = found.get(tags.SEX, (b"", True))[0]
    maker = [x.strip() for x in text_of(found.get(tags.MAKER, (b"", True))[0], codec).split("^")]
    patient = text_of(found.get(tags.PATIENT, (b"", True))[0], codec)
    return MferFacts(
        sex=_SEXES.get(sex[0]) if sex else None,
        age_years=_age(*found.get(tags.AGE, (b"", True)), recorded),
        year=year_of(recorded),
        patient_id=identifier_of(patient.partition("^")[0]),
        device_model=model_of(" ".join(x for x in maker[:2] if x)),
        filters=Filters(
            highpass_hz=cutoffs.get("HPF") or None,
            lowpass_hz=cutoffs.get("LPF") or None,
            notch_hz=cutoffs.get("BEF") or None,
        ),
        events=tuple(events),
        codec=codec,
    )


def text_of(value: bytes, codec: str) -> str:
    """Text up to its end mark; what the codec does not know is replaced."""
    return value.partition(b"\0")[0].decode(codec, errors="replace").strip()


def _codec(value: bytes) -> str:
    name = value.decode("ascii", errors="replace").strip("\0 ").casefold()
    if "8859" in name:
        return "latin-1"
    if "0201" in name or "shift" in name or "sjis" in name:
        return "shift_jis"
    if "2022" in name or "0208" in name:
        return "iso2022_jp"
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError):
        return "utf-8" if "utf" in name or "unicode" in name else "ascii"
    return known if known in _SAFE_CODECS else "ascii"


def _event(value: bytes, big_endian: bool, codec: str) -> Event:
    return Event(
        code=number(value[:2], big_endian),
        start=number(value[2:6], big_endian),
        samples=number(value[6:10], big_endian) if len(value) >= 10 else 0,
        text=text_of(value[10:], codec),
    )


def _age(value: bytes, big_endian: bool, recorded: datetime.date | None) -> int | None:
    """From the birth date where there is one, else as stated in years (0 years and 0 days: unknown)."""
    by_date = age_between(_date(value, big_endian, at=3), recorded)
    if by_date is not None or not value:
        return by_date
    return pooled_age(value[0]) if any(value[:3]) else None


def _date(value: bytes, big_endian: bool, *, at: int) -> datetime.date | None:
    if len(value) < at + 4:
        return None
    try:
        return datetime.date(number(value[at : at + 2], big_endian), value[at + 2], value[at + 3])
    except ValueError:
        return None
