"""Makes a recording safe to leave the ingest service: whatever text a file could hold passes an allow-list.

Kept: sex, pooled age, year, the device's model, names of leads and units that the field knows, marks in time,
and texts of which every word is in the closed vocabulary (`exchangeai.vocabulary`). Everything else is left
out and counted in a warning; a mark keeps its time, a lead its samples. Names, dates, identifiers and free
text are in no list, so they cannot pass whatever field they were typed into.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from functools import lru_cache

from exchangeai.formats._people import pooled_age
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import (
    DEVICE_MEASUREMENTS,
    Annotation,
    Filters,
    Lead,
    Patient,
    Recording,
    Series,
)
from exchangeai.vocabulary import (
    CHANNEL_WORDS,
    DEVICE_WORDS,
    EVENT_WORDS,
    GERMAN_WORDS,
    MIT_RHYTHMS,
    STATEMENT_WORDS,
    UNITS,
)

_MAX_TEXT = 400
_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*")
_CHANNEL_WORD = re.compile(r"[^\W\d_]+|\d+")
_CHEST_LEAD = re.compile(r"(?i)(?:v|cm|cs|cb|cc|d|c|mcl|ml|ecg|ekg|ch|channel)\d{1,2}r?")
_EEG_SITE = re.compile(r"(?i)(?:fp|af|f|ft|fc|t|c|cp|tp|p|po|o|a|m|e)\d{1,2}")
_LONG_NUMBER = re.compile(r"\d{4,}|\d[./-]\d+[./-]\d|\d{2}[ -]\d{2}")
_WAVE = re.compile(r"\b[PQRSTUV]\d\b")
_CODE = re.compile(r"\d{1,4}|0[xX][0-9A-Fa-f]{1,4}")
_MODEL_NUMBER = re.compile(r"(?i)(?P<series>[a-z]{0,8})-?\d{1,4}[a-z]{0,2}")
_VERSION = re.compile(r"(?i)v?\d{1,3}(?:\.\d{1,3}){1,3}")
_MARK_WORDS = STATEMENT_WORDS | EVENT_WORDS | GERMAN_WORDS


def deidentified(recording: Recording) -> Recording:
    """The recording with only what may be kept, and a warning that counts what was withheld.

    Samples are untouched. Applied twice it changes nothing more than once, but for the warning's absence.
    """
    withheld: Counter[str] = Counter()
    names: dict[str, str] = {}
    leads = _leads(recording.leads, withheld, names)
    series = tuple(
        Series(kind=x.kind, leads=_leads(x.leads, withheld, names), start_s=_finite(x.start_s))
        for x in recording.other_series
    )
    annotations = tuple(_annotation(x, names, withheld) for x in recording.annotations)
    statements = tuple(x for x in recording.device_statements if is_clinical(x))
    withheld["statements"] += len(recording.device_statements) - len(statements)
    model = device_model(recording.device_model or "")
    withheld["device names"] += (recording.device_model or "") != (model or "")
    return dataclasses.replace(
        recording,
        leads=leads,
        other_series=series,
        annotations=annotations,
        device_statements=statements,
        device_model=model,
        device_measurements={
            key: float(x)
            for key, x in recording.device_measurements.items()
            if key in DEVICE_MEASUREMENTS and math.isfinite(x)
        },
        patient=_patient(recording.patient),
        acquisition_year=_year(recording.acquisition_year),
        filters=Filters(
            highpass_hz=_finite(recording.filters.highpass_hz),
            lowpass_hz=_finite(recording.filters.lowpass_hz),
            notch_hz=_finite(recording.filters.notch_hz),
        ),
        warnings=(*recording.warnings, *_told(withheld)),
    )


@lru_cache(4096)
def lead_name(name: str) -> str | None:
    """The name if the field knows it, else None.

    >>> lead_name("ECG V3R"), lead_name("EEG Fpz-Cz"), lead_name("Ms Smith")
    ('ECG V3R', 'EEG Fpz-Cz', None)
    """
    known = canonical_lead(name)
    if known in STANDARD_12:
        return known
    if len(name) > 40 or not name.isprintable():
        return None
    for part in re.split(r"[\s_\-+/:.,()\[\]#]+", name):
        words = _CHANNEL_WORD.findall(part)
        if _CHEST_LEAD.fullmatch(part) or _EEG_SITE.fullmatch(part):
            continue
        if "".join(words) != part or not all(_channel_word(x) for x in words):
            return None
    return name if _CHANNEL_WORD.search(name) else None


def is_clinical(text: str) -> bool:
    """Whether every word of a text is in the vocabulary and no number in it is long enough to identify.

    >>> is_clinical("Sinus rhythm, QTc 431 ms"), is_clinical("Sinus rhythm, read by Dr. Smith")
    (True, False)
    """
    if len(text) > _MAX_TEXT or _LONG_NUMBER.search(text):
        return False
    words = _WORD.findall(text)
    # Initials or numbers alone are no finding.
    said = any(len(x) > 1 and x.isalpha() for x in words) or _WAVE.search(text) is not None
    return said and all(x[0].isdigit() or x.casefold() in _MARK_WORDS for x in words)


def mark(text: str) -> bool:
    """Whether the label of a mark in time may be kept: a symbol, a short code, a rhythm, a clinical text."""
    stripped = text.strip()
    if len(stripped) <= 1:
        return stripped.isascii()
    if _CODE.fullmatch(stripped) or (stripped[0] == "(" and stripped[1:].upper() in MIT_RHYTHMS):
        return True
    return is_clinical(stripped)


def device_model(text: str) -> str | None:
    """Those words of a device's description that name makers and models; None when none does.

    >>> device_model("GE MAC 5500 of Ward Smith"), device_model("Smith 5500")
    ('GE MAC 5500', None)
    """
    kept: list[str] = []
    named = False
    for word in text[:_MAX_TEXT].replace("_", " ").split():
        bare = word.strip("(),;:.")
        found = _MODEL_NUMBER.fullmatch(bare)
        if bare.casefold() in DEVICE_WORDS or (found and found["series"].casefold() in DEVICE_WORDS):
            named = True
            kept.append(bare)
        elif (found and not found["series"]) or _VERSION.fullmatch(bare):
            kept.append(bare)
    return " ".join(kept)[:64] if named else None


def _leads(leads: tuple[Lead, ...], withheld: Counter[str], names: dict[str, str]) -> tuple[Lead, ...]:
    safe: list[Lead] = []
    for i, lead in enumerate(leads):
        name, unit = lead_name(lead.name), lead.unit
        if name is None:
            name = f"channel {i + 1}"
            withheld["names of leads"] += lead.name != name
        if unit and unit not in UNITS:
            unit = ""
            withheld["units"] += 1
        names.setdefault(lead.name, name)
        # Most leads are standard and stay as they are.
        unchanged = name == lead.name and unit == lead.unit
        safe.append(lead if unchanged else dataclasses.replace(lead, name=name, unit=unit))
    return tuple(safe)


def _annotation(annotation: Annotation, names: dict[str, str], withheld: Counter[str]) -> Annotation:
    label, detail = mark(annotation.label), mark(annotation.detail)
    withheld["labels of marks"] += (not label) + (not detail)
    lead = annotation.lead
    if label and detail and (lead is None or names.get(lead) == lead):
        return annotation
    return dataclasses.replace(
        annotation,
        label=annotation.label if label else "",
        detail=annotation.detail if detail else "",
        lead=None if lead is None else names.get(lead) or lead_name(lead),
    )


def _patient(patient: Patient) -> Patient:
    # A reader knows no key: the service makes it from the identifier, which goes apart from the recording.
    return Patient(
        sex=patient.sex if patient.sex in ("F", "M") else None,
        age_years=pooled_age(patient.age_years),
    )


def _year(year: int | None) -> int | None:
    return year if year is not None and 1900 <= year <= 2100 else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _told(withheld: Counter[str]) -> tuple[str, ...]:
    counted = [f"{count} {what}" for what, count in sorted(withheld.items()) if count]
    if not counted:
        return ()
    return (f"withheld, because free text may name a person: {', '.join(counted)}",)


def _channel_word(word: str) -> bool:
    return len(word) <= 3 if word.isdecimal() else word.casefold() in CHANNEL_WORDS
