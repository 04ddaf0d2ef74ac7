"""Values of DICOM elements from their raw bytes: pydicom's conversion costs most of a read."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

_BLANK = b" \0"


def text(dataset: Dataset, name: str) -> str:
    """An element as stripped text, "" where it is absent."""
    raw = _raw(dataset, name)
    if isinstance(raw, bytes) and raw.isascii():
        return raw.strip(_BLANK).decode("ascii").strip()
    # Other letters depend on the file's character set, which pydicom knows.
    return str(dataset.get(name, "") or "").strip() if raw else ""


def number(dataset: Dataset, name: str) -> float | None:
    """A decimal string as a finite number, None where it is absent or none."""
    found = numbers(dataset, name)
    return found[0] if found else None


def numbers(dataset: Dataset, name: str) -> list[float]:
    """All values of a decimal string that are finite numbers."""
    raw = _raw(dataset, name)
    if not isinstance(raw, bytes):
        value: Any = raw if raw is None else dataset.get(name)
        raw = b"" if value is None else str(value).strip("[]").replace(",", "\\").encode()
    found: list[float] = []
    for part in raw.split(b"\\"):
        try:
            value = float(part.strip(_BLANK))
        except ValueError:
            continue
        if math.isfinite(value):
            found.append(value)
    return found


def integers(dataset: Dataset, name: str, kind: str) -> list[int]:
    """All values of a binary element; `kind` is struct's letter for its VR (`H` for US, `I` for UL)."""
    element: Any = dataset.get_item(_tag(name))
    if element is None or not element.value:
        return []
    if isinstance(element, RawDataElement):
        count = len(element.value) // struct.calcsize(f"<{kind}")
        order = "<" if element.is_little_endian else ">"
        return list(struct.unpack_from(f"{order}{count}{kind}", element.value))
    value: Any = element.value
    return [int(value)] if isinstance(value, int) else [int(x) for x in value]


def items(dataset: Dataset, name: str) -> Sequence[Dataset]:
    """The items of a sequence, () where it is absent."""
    return dataset[_tag(name)].value or () if _tag(name) in dataset else ()


def _raw(dataset: Dataset, name: str) -> Any:
    element: Any = dataset.get_item(_tag(name))
    return None if element is None else element.value


@cache
def _tag(name: str) -> BaseTag:
    return Tag(name)
