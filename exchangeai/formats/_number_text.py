"""Samples that a file writes as text: numbers between blanks or commas, parsed without a Python loop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader

_MAX_DIGITS = 9
_EMPTY_FIELD = re.compile(r"(?<=,)\s*(?=,)")
_BLANK = re.compile(r"\s")
_PART_CHARS = 1 << 18
_NO_VALUE = frozenset(
    "NA NAN NAV NI NASK ASKU UNK OTH MSK NINF PINF TRC INV DER QS UNC NP NULL".split()  # noqa: SIM905
)
"""Null flavours of HL7 v3 and the usual words for no number."""


def numbers_in(text: str | None) -> npt.NDArray[Any]:
    """Numbers of a text: int32 [n], or float64 [n] where some are fractions or missing (NaN).

    Separators are blanks, line ends and commas; nothing between two commas is a missing value, a comma at the
    end of a line or of the text is none. Raises InvalidHeader for words that are no numbers.
    """
    if not text:
        return np.empty(0, np.int32)
    data = text.encode("ascii", "replace")
    fast = None if b"," in data and b",," in data else _integers(data)
    return _any_numbers(text) if fast is None else fast


def scaled(numbers: npt.NDArray[Any], scale: float, offset: float = 0.0) -> npt.NDArray[np.float32]:
    """`numbers * scale + offset`; what no float32 holds becomes infinite, which counts as missing later."""
    with np.errstate(over="ignore", invalid="ignore"):
        samples = numbers * scale
        if offset:
            samples += offset
        return samples.astype(np.float32)


def _integers(data: bytes) -> npt.NDArray[np.int32] | None:
    """Decimal integers, all digits of one power of ten at a time; None when a word is no short integer."""
    chars = np.frombuffer(b" " + data + b" ", np.uint8)
    blank = (chars <= ord(" ")) | (chars == ord(","))
    edges = np.flatnonzero(blank[1:] != blank[:-1])
    at = edges[1::2]
    if not at.size:
        return np.empty(0, np.int32)
    negative = chars.take(edges[0::2] + 1) == ord("-")
    digits = at - edges[0::2] - negative
    longest = int(digits.max())
    digit = chars - np.uint8(ord("0"))
    only_digits = np.count_nonzero(digit <= 9) == int(digits.sum())
    if longest > _MAX_DIGITS or digits.min() < 1 or not only_digits:
        return None
    values = digit.take(at).astype(np.int32)
    for power in range(1, longest):
        values += digit.take(at - power, mode="clip") * ((digits > power) * np.int32(10**power))
    np.negative(values, out=values, where=negative)
    return values


def _any_numbers(text: str) -> npt.NDArray[np.float64]:
    if "," in text:
        text = _EMPTY_FIELD.sub("NA", text).replace(",", " ")
    try:
        # In parts, because words as objects take many times the memory of their text.
        parts = [
            np.array([np.nan if x.upper() in _NO_VALUE else float(x) for x in part.split()], np.float64)
            for part in _parts(text)
        ]
    except ValueError as e:
        raise InvalidHeader(
            "among the samples are words that are no numbers; export the file again from its source"
        ) from e
    return np.concatenate(parts)


def _parts(text: str) -> Iterator[str]:
    begin = 0
    while begin < len(text):
        blank = _BLANK.search(text, min(begin + _PART_CHARS, len(text)))
        end = blank.start() if blank else len(text)
        yield text[begin:end]
        begin = end
