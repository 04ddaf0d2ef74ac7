"""Names, order and aliases of ECG leads, and the limb leads that follow from I and II."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

STANDARD_12: tuple[str, ...] = (
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
)  # fmt: skip
"""The order of every tensor after preprocessing."""

DERIVABLE: frozenset[str] = frozenset({"III", "aVR", "aVL", "aVF"})
"""Leads that are linear combinations of I and II."""

_PREFIX = re.compile(r"^(?:lead|ecg|ekg|mdc[_ ]ecg[_ ]lead)[\s_:\-]*", re.IGNORECASE)
_SUFFIX = re.compile(r"(?:[\s_\-]*(?:ref|\(einthoven\)|\(goldberger\)|\(wilson\)))+$", re.IGNORECASE)
_BY_FOLDED = {name.casefold(): name for name in STANDARD_12}


def canonical_lead(name: str) -> str:
    """Return the field's standard spelling of a lead name; unknown names come back stripped.

    >>> canonical_lead("ECG  avr-Ref"), canonical_lead("Lead II (Einthoven)"), canonical_lead("MLII")
    ('aVR', 'II', 'MLII')
    """
    stripped = name.strip()
    bare = _SUFFIX.sub("", _PREFIX.sub("", stripped)).strip()
    return _BY_FOLDED.get(bare.casefold(), stripped)


def derive_limb_leads(
    present: Mapping[str, npt.NDArray[np.float32]],
) -> dict[str, npt.NDArray[np.float32]]:
    """Compute those of III, aVR, aVL, aVF that are absent, from I and II in mV of equal length.

    Einthoven: III = II - I. Goldberger: aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2.
    Returns only the derived leads; empty when I or II is absent or their lengths differ.
    A stored lead is never replaced.
    """
    if "I" not in present or "II" not in present or present["I"].shape != present["II"].shape:
        return {}
    if present.keys() >= DERIVABLE:
        return {}
    one, two = present["I"], present["II"]
    formulas = {
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    return {name: x.astype(np.float32) for name, x in formulas.items() if name not in present}
