"""What the named values of a container say of its samples: rate, unit, leads, ids, sex and age."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.leads import STANDARD_12, canonical_lead

Value = npt.NDArray[Any] | str | list[str]

_RATE = frozenset({
    "fs", "fshz", "hz", "sfreq", "samplingrate", "samplingratehz", "samplingfrequency",
    "samplingfrequencyhz", "samplingfreq", "samplerate", "sampleratehz", "samplefrequency",
    "samplefreq", "sampfreq", "freq", "frequency", "srate", "sr", "rate", "ratehz", "freqhz", "fecg",
    "fsecg", "ecgfs", "ecgsamplingrate",
})  # fmt: skip
_UNIT = frozenset({
    "unit", "units", "unitname", "sigunits", "physicalunit", "physicalunits", "physunits", "ampunit",
    "ampunits",
})  # fmt: skip
_LEADS = frozenset({
    "lead", "leads", "leadname", "leadnames", "leadorder", "channel", "channels", "channelname",
    "channelnames", "chname", "chnames", "chanlabels", "signame", "signames", "signalname",
    "signalnames", "label", "labels", "columns", "columnnames", "ecgleads", "names",
})  # fmt: skip
_RECORD = frozenset({
    "recordid", "record", "recordname", "examid", "ecgid", "studyid", "recordingid", "recording", "id",
    "idexam",
})  # fmt: skip
_PATIENT = frozenset({
    "patientid", "patient", "subjectid", "subject", "pid", "idpatient",
})  # fmt: skip
_SURE = _LEADS - {"label", "labels", "columns", "columnnames", "names"}
"""Names that are not also those of diagnoses."""
_AGE = frozenset({"age", "patientage", "ageyears"})
_SEX = frozenset({"sex", "gender", "patientsex"})
_GAIN = frozenset({"gain", "gains", "adcgain", "baseline", "offset", "adczero", "resolution", "lsb"})
_MAX_TEXTS = 1_000_000
MAX_NAME = 200
"""Longer names are cut before anything is looked for in them."""


@dataclass(kw_only=True)
class Facts:
    """What was found; lists hold a value a record, or one for all."""

    rate_hz: float | None = None
    unit: str = ""
    units: list[str] = field(default_factory=list[str])
    leads: tuple[str, ...] | None = None
    record_ids: list[str] = field(default_factory=list[str])
    patient_ids: list[str] = field(default_factory=list[str])
    sexes: list[str] = field(default_factory=list[str])
    ages: list[float] = field(default_factory=list[float])
    times: tuple[str, npt.NDArray[Any]] | None = None


def folded(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def is_fact(name: str) -> bool:
    """Whether a name is that of something said of the signal rather than of samples."""
    word = folded(name)
    return any(word in x for x in (_RATE, _UNIT, _LEADS, _RECORD, _PATIENT, _AGE, _SEX, _GAIN))


def is_record(name: str) -> bool:
    """Whether a name is that of the identifier of a record."""
    return folded(name) in _RECORD


def facts_of(values: Mapping[str, Value], warnings: list[str]) -> Facts:
    """Facts among the values, with a warning for a gain. Raises InvalidHeader for two rates."""
    facts = Facts()
    for name, value in values.items():
        word = folded(name)
        if word in _RATE and (rate := _number(value)) is not None:
            if facts.rate_hz is not None and abs(rate - facts.rate_hz) > 1e-3 * facts.rate_hz:
                raise InvalidHeader("the file states two sampling rates; correct one")
            facts.rate_hz = rate
        elif word in _UNIT:
            found = texts(value)
            facts.unit = found[0] if found and len(set(found)) == 1 else facts.unit
            facts.units = found
        elif word in _LEADS and (found := texts(value)) and (word in _SURE or any(map(names_ecg, found))):
            single = len(found) == 1 and re.search("[,;| ]", found[0].strip())
            found = [x for x in re.split(r"[,;|\s]+", found[0]) if x] if single else found
            facts.leads = tuple(x[:MAX_NAME] for x in found)
        elif word in _RECORD:
            facts.record_ids = _ids(value)
        elif word in _PATIENT:
            facts.patient_ids = _ids(value)
        elif word in _SEX:
            facts.sexes = texts(value)
        elif word in _AGE:
            facts.ages = _ages(value)
        elif word in _GAIN and not _is_one_or_zero(value):
            warnings.append(
                "the file states a gain or offset, which was not applied; state the unit of the samples"
            )
    return facts


def names_ecg(name: str) -> bool:
    """Whether a name is that of a lead, or says that it is an ECG."""
    return canonical_lead(name) in STANDARD_12 or re.search(r"ecg|ekg|mlii|mcl", name, re.I) is not None


def texts(value: Value) -> list[str]:
    """Words of a value; [] when it holds numbers."""
    if isinstance(value, str):
        return [value.strip()]
    if isinstance(value, list):
        return [x.strip() for x in value]
    if value.dtype.kind == "U":
        return [str(x).strip() for x in value.reshape(-1)[:_MAX_TEXTS]]
    if value.dtype.kind == "S":
        return [x.decode("utf-8", "replace").strip() for x in value.reshape(-1)[:_MAX_TEXTS].tolist()]
    return []


def _number(value: Value) -> float | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size:
        flat = value.reshape(-1)
        return float(flat[0]) if (flat == flat[0]).all() else None
    found = re.match(r"\s*(\d+(?:\.\d+)?)\s*(k?)(?:hz)?\s*$", " ".join(texts(value)), re.I)
    return float(found[1]) * (1000 if found[2] else 1) if found else None


def _ids(value: Value) -> list[str]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return [f"{x:.0f}" if value.dtype.kind == "f" else str(x) for x in value.reshape(-1).tolist()]
    return texts(value)


def _ages(value: Value) -> list[float]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value.reshape(-1).astype(np.float64).tolist()
    found = [re.match(r"\d+(?:\.\d+)?", x) for x in texts(value)]
    return [float(x[0]) if x else -1.0 for x in found]


def _is_one_or_zero(value: Value) -> bool:
    return (
        not isinstance(value, np.ndarray)
        or value.dtype.kind not in "iuf"
        or bool(np.isin(value, (0, 1)).all())
    )


def at_record(items: Sequence[Any], index: int) -> Any:
    """The value of a record by its position; a single one belongs to all."""
    return items[index] if index < len(items) else items[0] if len(items) == 1 else None
