"""Values of DICOM elements by their standard names, converted only when they are asked for."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.tag import Tag

from exchangeai.formats._dicom_walk import Item

_BLANK = b" \0"
_AROUND = " \0\t\n\v\f\r"
_ESCAPE = b"\x1b"
_DELIMITERS = frozenset(b"\r\n\t\f\\")
"""Behind which a text begins again in its first character set (PS3.5 6.1.2.5.3)."""


def text(item: Item, name: str) -> str:
    """An element as stripped text, "" where it is absent."""
    raw = item.raw(_tag(name))
    if not raw:
        return ""
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii").strip(_AROUND)
    sets = item.character_sets.decode("latin-1").split("\\")
    encodings = convert_encodings([x.strip(" \0") for x in sets])
    return decode_bytes(raw, encodings, set(_DELIMITERS)).strip(_AROUND)


def number(item: Item, name: str) -> float | None:
    """A decimal string as a finite number, None where it is absent or none."""
    found = numbers(item, name)
    return found[0] if found else None


def numbers(item: Item, name: str) -> list[float]:
    """All values of a decimal string that are finite numbers."""
    raw = item.raw(_tag(name))
    if not raw:
        return []
    found: list[float] = []
    for part in raw.split(b"\\"):
        try:
            value = float(part.strip(_BLANK))
        except ValueError:
            continue
        if math.isfinite(value):
            found.append(value)
    return found


def integers(item: Item, name: str, kind: str) -> list[int]:
    """All values of a binary element; `kind` is struct's letter for its VR (`H` for US, `I` for UL)."""
    raw = item.raw(_tag(name))
    if not raw:
        return []
    count = len(raw) // struct.calcsize(f"<{kind}")
    return list(struct.unpack_from(f"{item.source.order}{count}{kind}", raw))


def items(item: Item, name: str) -> Sequence[Item]:
    """The items of a sequence, () where it is absent."""
    return item.items(_tag(name))


def raw_bytes(item: Item, name: str) -> bytes:
    """An element as it is stored, b"" where it is absent."""
    return item.raw(_tag(name)) or b""


@cache
def _tag(name: str) -> int:
    return int(Tag(name))
