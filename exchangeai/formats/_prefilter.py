"""Filters from the text in which EDF, BDF and GDF state them: `HP:0.1Hz LP:75Hz N:50Hz`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exchangeai.recording import Filters

_STATED = re.compile(
    r"(?<![A-Za-z])(HP|LP|NOTCH|N)\s*[:=]?\s*(\d+(?:[.,]\d+)?)\s*(k|m)?(?:Hz)?\b", re.IGNORECASE
)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e-3}


def filters_of(texts: Sequence[str]) -> Filters:
    """What all texts agree on (EDF+ 2.1.3.4: HP, LP, N with hertz); the rest stays None."""
    each = [_parsed(x) for x in texts]
    return Filters(
        highpass_hz=_agreed([x.get("HP") for x in each]),
        lowpass_hz=_agreed([x.get("LP") for x in each]),
        notch_hz=_agreed([x.get("N") for x in each]),
    )


def _parsed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, number, factor in _STATED.findall(text):
        value = float(number.replace(",", ".")) * _FACTORS[factor.lower()]
        if value > 0:
            found.setdefault(name.upper()[:1] if name.upper().startswith("N") else name.upper(), value)
    return found


def _agreed(values: Sequence[float | None]) -> float | None:
    return values[0] if values and len(set(values)) == 1 else None
