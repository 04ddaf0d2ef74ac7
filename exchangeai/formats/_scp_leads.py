"""Leads by their number in EN 1064 (table of lead identification), which DICOM and ISO 11073 share."""

from __future__ import annotations

_CHEST = ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V2R", "V3R", "V4R", "V5R", "V6R", "V7R")
_FIRST = (
    "I",
    "II",
    *_CHEST,
    "X",
    "Y",
    "Z",
    "CC5",
    "CM5",
    "LA",
    "RA",
    "LL",
    "fI",
    "fE",
    "fC",
    "fA",
    "fM",
    "fF",
    "fH",
)
_FROM_61 = (
    "III", "aVR", "aVL", "aVF", "-aVR", "V8", "V9", "V8R", "V9R", "D", "A", "J", "Defib", "External",
    "A1", "A2", "A3", "A4",
)  # fmt: skip
_FROM_86 = (
    "C", "V", "VR", "VL", "VF", "MCL", "MCL1", "MCL2", "MCL3", "MCL4", "MCL5", "MCL6", "CC", "CC1", "CC2",
    "CC3", "CC4", "CC6", "CC7", "CM", "CM1", "CM2", "CM3", "CM4", "CM6",
)  # fmt: skip
_FROM_121 = ("CM7", "CH5", "CS5", "CB5", "CR5", "ML", "AB1", "AB2", "AB3", "AB4", "ES", "AS", "AI", "S")
_CALCULATED = {
    **{31 + i: name for i, name in enumerate(_FIRST)},
    **{79 + i: name for i, name in enumerate(("V8", "V9", "V8R", "V9R", "D", "A", "J"))},
    **{111 + i: name for i, name in enumerate(("III", "aVR", "aVL", "aVF"))},
}
_NAMES = {
    **{1 + i: name for i, name in enumerate(_FIRST)},
    **{number: f"{name}-cal" for number, name in _CALCULATED.items()},
    **{61 + i: name for i, name in enumerate(_FROM_61)},
    **{86 + i: name for i, name in enumerate(_FROM_86)},
    **{121 + i: name for i, name in enumerate(_FROM_121)},
    147: "RL",
}
"""`-cal`: calculated from other leads; not the measured lead of that name."""


def lead_of_number(number: int) -> str | None:
    """Name of a lead, or None where the standard gives the number none.

    >>> lead_of_number(3), lead_of_number(62), lead_of_number(11), lead_of_number(0)
    ('V1', 'aVR', 'V3R', None)
    """
    return _NAMES.get(number)
