"""What Philips XML says beside the waveforms: person, device, filters, measurements, statements."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from exchangeai.formats._people import age_between, date_of, identifier_of, sex_of
from exchangeai.formats._xml_fields import age_of, number, number_of, text_of
from exchangeai.recording import Annotation, Filters, Identifiers, Patient

_PERSON = "{*}patient/{*}generalpatientdata"
_MEASURED = {
    "heartrate": "ventricular_rate", "atrialrate": "atrial_rate", "rrint": "rr_ms", "pdur": "p_ms",
    "print": "pr_ms", "qrsdur": "qrs_ms", "qtint": "qt_ms", "qtcb": "qtc_bazett_ms",
    "qtcf": "qtc_fridericia_ms", "pfrontaxis": "p_axis_deg", "qrsfrontaxis": "qrs_axis_deg",
    "tfrontaxis": "t_axis_deg", "qonset": "qrs_onset_ms", "tonset": "t_onset_ms",
    "meanprint": "pr_ms", "meanqrsdur": "qrs_ms", "meanqtint": "qt_ms", "meanqtc": "qtc_ms",
    "meanventrate": "ventricular_rate", "meanrrint": "rr_ms",
}  # fmt: skip
"""Versions from 1.04 on, then the means of 1.03."""
_INTERPRETED = ("{*}globalmeasurements", "{*}interpretationmeasurements")
_BEFORE = (
    "{*}internalmeasurements/{*}crossleadmeasurements",
    "{*}measurements/{*}globalmeasurements",
    "*/{*}groupmeasurements/{*}groupmeasurement",
)
_NEVER_EDITED = ("atrialrate", "meanrrint")
_AGE_UNITS = ("years", "months", "weeks", "days", "hours")
_MAX_ANNOTATIONS = 100_000


def acquired_on(root: Any) -> datetime.date | None:
    """The date of acquisition."""
    node = root.find("{*}dataacquisition")
    return date_of(node.get("date", "")) if node is not None else None


def patient(root: Any) -> Patient:
    """Sex, and age as stated or between birth and acquisition; a default age is none."""
    person = root.find(_PERSON)
    age = person.find("{*}age") if person is not None else None
    stated = ((number_of(age, "{*}" + x), x) for x in _AGE_UNITS)
    years = next((age_of(value, unit) for value, unit in stated if value is not None), None)
    if years is None:
        years = age_between(date_of(text_of(age, "{*}dateofbirth")), acquired_on(root))
    return Patient(sex=sex_of(text_of(person, "{*}sex")), age_years=years)


def identifiers(root: Any) -> Identifiers:
    """The first of the identifiers that names somebody."""
    person = root.find(_PERSON)
    found = (identifier_of(text_of(person, "{*}" + x)) for x in ("patientid", "MRN", "uniquepatientid"))
    return Identifiers(patient_id=next((x for x in found if x), None))


def filters(root: Any) -> Filters:
    """Filters of the stored samples, not those of the printed report."""
    signal = root.find("{*}dataacquisition/{*}signalcharacteristics")
    waveforms = next((x for x in root.iterfind("{*}waveforms/*") if x.get("hipass")), None)
    highpass, lowpass = number_of(signal, "{*}hipass"), number_of(signal, "{*}lowpass")
    if highpass is None and lowpass is None:
        # Version 1.03: `0.05-150`.
        low, _, high = text_of(signal, "{*}signalbandwidth").partition("-")
        highpass, lowpass = number(low.strip()), number(high.strip())
    notch = None
    applied, frequencies = text_of(signal, "{*}notchfiltered"), text_of(signal, "{*}notchfilterfreqs")
    if waveforms is not None:
        highpass, lowpass = number(waveforms.get("hipass", "")), number(waveforms.get("lowpass", ""))
        applied = waveforms.get("notchfiltered", applied)
        frequencies = waveforms.get("notchfilterfreqs", frequencies)
    if applied.casefold() == "true" and frequencies.split():
        # The main frequency, then its harmonics.
        notch = number(frequencies.split()[0])
    return Filters(highpass_hz=highpass or None, lowpass_hz=lowpass or None, notch_hz=notch or None)


def measurements(root: Any) -> dict[str, float]:
    """What the latest interpretation states, then what only the measurements before it do."""
    found: dict[str, float] = {}
    interpretation = _latest(root)
    if interpretation is not None:
        for path in _INTERPRETED:
            _add(found, interpretation.find(path), _MEASURED)
    # An editor may have changed intervals, so that the device's own would contradict them.
    others = {x: _MEASURED[x] for x in _NEVER_EDITED} if found else _MEASURED
    for path in _BEFORE:
        _add(found, root.find(path), others)
    return found


def statements(root: Any) -> tuple[str, ...]:
    """Texts of the latest interpretation, each with the reason behind it, and its severity last."""
    interpretation = _latest(root)
    return tuple(x for x in _texts(interpretation) if x) if interpretation is not None else ()


def marks(root: Any) -> tuple[Annotation, ...]:
    """Marks in the waveforms; their times are in ms from the start."""
    found: list[Annotation] = []
    for node in root.iterfind("{*}waveforms/{*}annotations/{*}annotation"):
        at_ms, label = number_of(node, "{*}time"), text_of(node, "{*}label")
        if at_ms is not None and label and len(found) < _MAX_ANNOTATIONS:
            lead = text_of(node, "{*}leadname") or None
            found.append(Annotation(onset_s=at_ms / 1000, label=label, lead=lead))
    return tuple(sorted(found, key=lambda x: x.onset_s))


def _add(found: dict[str, float], node: Any, tags: dict[str, str]) -> None:
    for child in node if node is not None else ():
        key = tags.get(str(child.tag).rpartition("}")[2])
        value = number((child.text or "").strip()) if key else None
        if key and value is not None:
            found.setdefault(key, value)


def _latest(root: Any) -> Any:
    every = root.findall("{*}interpretations/{*}interpretation")
    return max(every, key=lambda x: (x.get("date", ""), x.get("time", "")), default=None)


def _texts(interpretation: Any) -> Iterator[str]:
    for node in interpretation.iterfind("{*}statement"):
        yield " ".join(text_of(node, "{*}leftstatement").split())
        yield " ".join(text_of(node, "{*}rightstatement").split())
    # Written between dashes: `- ABNORMAL ECG -`.
    yield text_of(interpretation, "{*}severity").strip("- ")
