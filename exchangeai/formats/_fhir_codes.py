"""Leads and measurements behind the codes of FHIR Observations: MDC (ISO/IEEE 11073-10101), LOINC, texts."""

from __future__ import annotations

import re
from typing import Any

from exchangeai.formats._fhir_json import Json, decimal, items, mapping, text
from exchangeai.leads import STANDARD_12, canonical_lead

_MDC_SYSTEMS = ("2.16.840.1.113883.6.24", "11073")
_MDC_PARTITION = 2 << 16
_MDC_POTENTIAL = 256
"""MDC_ECG_ELEC_POTL_I is the lead's own number and 256."""
_MDC_LEADS = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR",
    63: "aVL", 64: "aVF",
}  # fmt: skip
_PREFIX = re.compile(r"^MDC[_ ]ECG[_ ](?:ELEC[_ ]POTL|LEAD)[_ ]", re.IGNORECASE)
_MEASURED = {
    "8867-4": "ventricular_rate", "8625-6": "pr_ms", "8633-0": "qrs_ms", "8634-8": "qt_ms",
    "8636-3": "qtc_ms", "MDC_ECG_HEART_RATE": "ventricular_rate", "147842": "ventricular_rate",
    "MDC_ECG_TIME_PD_PR": "pr_ms", "MDC_ECG_TIME_PD_QRS": "qrs_ms", "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_TIME_PD_QTC": "qtc_ms",
}  # fmt: skip
_MS_PER = {"ms": 1.0, "s": 1000.0}
_PER_MINUTE = frozenset({"/min", "{beats}/min", "bpm", "beats/minute", "beats/min", "1/min"})
_MAX_NAME = 64


def lead_name(concept: Any) -> str:
    """The standard lead behind a CodeableConcept, else its own label; "" when it has none."""
    codings = [mapping(x) for x in items(mapping(concept).get("coding"))]
    for coding in codings:
        found = _mdc_lead(coding)
        if found:
            return found
    labels = [text(x.get(key)) for x in codings for key in ("display", "code")]
    labels.insert(0, text(mapping(concept).get("text")))
    names = [canonical_lead(_PREFIX.sub("", x)) for x in labels if x]
    standard = (x for x in names if x in STANDARD_12)
    # A display before a code, which alone says little.
    return next(standard, next((x[:_MAX_NAME] for x in labels if x), ""))


def measurement(component: Json) -> tuple[str, float] | None:
    """What a component with a quantity states that the device had measured, if it is known."""
    quantity = mapping(component.get("valueQuantity"))
    value = decimal(quantity.get("value"))
    unit = text(quantity.get("code")) or text(quantity.get("unit"))
    for coding in items(mapping(component.get("code")).get("coding")):
        written = mapping(coding)
        for word in (text(written.get("code")), text(written.get("display")).upper()):
            key = _MEASURED.get(word)
            if key is None or value is None:
                continue
            if key.endswith("_ms") and unit in _MS_PER:
                return key, value * _MS_PER[unit]
            if not key.endswith("_ms") and unit in _PER_MINUTE:
                return key, value
    return None


def _mdc_lead(coding: Json) -> str | None:
    code, system = text(coding.get("code")), text(coding.get("system"))
    if not any(x in system for x in _MDC_SYSTEMS) or not re.fullmatch(r"\d{1,6}", code):
        return None
    term = int(code) - _MDC_PARTITION if int(code) > _MDC_PARTITION else int(code)
    return _MDC_LEADS.get(term - _MDC_POTENTIAL) or _MDC_LEADS.get(term)
