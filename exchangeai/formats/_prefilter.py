"""Filters from the text in which EDF, BDF and GDF state them: `HP:0.1Hz LP:75Hz N:50Hz`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exchangeai.recording import Filters

_STATED = re.compile(
    r"(?<![A-Za-z])(HP|LP|NOTCH|N)\s*[:=]?\s*(\d+(?:[.,]\d+)?)\s*(k|m)?(?:Hz)?\b", re.IGNORECASE
)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e-3}


def filters_in(text: str) -> Filters:
    """What one text states (EDF+ 2.1.3.4: HP, LP, N with hertz)."""
    found = _parsed(text)
    return Filters(highpass_hz=found.get("HP"), lowpass_hz=found.get("LP"), notch_hz=found.get("N"))


def agreed(each: Sequence[Filters]) -> Filters:
    """What all channels agree on; the rest stays None."""
    return Filters(
        highpass_hz=_same([x.highpass_hz for x in each]),
        lowpass_hz=_same([x.lowpass_hz for x in each]),
        notch_hz=_same([x.notch_hz for x in each]),
    )


def _parsed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, number, factor in _STATED.findall(text):
        value = float(number.replace(",", ".")) * _FACTORS[factor.lower()]
        if value > 0:
            found.setdefault(name.upper()[:1] if name.upper().startswith("N") else name.upper(), value)
    return found


def _same(values: Sequence[float | None]) -> float | None:
    return values[0] if values and len(set(values)) == 1 else None
