"""Samples that a file writes as text: numbers between blanks or commas, parsed without a Python loop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader

_INTEGERS = b"0123456789- \t\r\n,"
_BETWEEN = " \t\r\n,"
_LARGEST = 1 << 62
_ABSURD = 1e15
_EMPTY_FIELD = re.compile(r"(?<=,)\s*(?=,)")
_BLANK = re.compile(r"\s")
_PART_CHARS = 1 << 18
_NO_VALUE = frozenset(
    "NA NAN NAV NI NASK ASKU UNK OTH MSK NINF PINF TRC INV DER QS UNC NP NULL".split()  # noqa: SIM905
)
"""Null flavours of HL7 v3 and the usual words for no number."""


def numbers_in(text: str | None) -> npt.NDArray[Any]:
    """Numbers of a text: int64 [n], or float64 [n] where some are fractions or missing (NaN).

    Separators are blanks, line ends and commas; nothing between two commas is a missing value, a comma at the
    end of a line or of the text is none. Raises InvalidHeader for words that are no numbers.
    """
    if not text:
        return np.empty(0, np.int64)
    numbers = _integers(text)
    return _any_numbers(text) if numbers is None else numbers


def scaled(numbers: npt.NDArray[Any], scale: float, offset: float = 0.0) -> npt.NDArray[np.float32]:
    """`numbers * scale + offset`, computed in float64.

    Raises InvalidHeader for scales and offsets that no measurement has. What no float32 holds becomes
    infinite, which counts as missing later.
    """
    if not (abs(scale) < _ABSURD and abs(offset) < _ABSURD):
        raise InvalidHeader("a lead has a scale or an origin that no measurement has; export the file again")
    if numbers.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return (numbers * scale + offset).astype(np.float32)
    samples = numbers * scale
    return (samples + offset if offset else samples).astype(np.float32)


def _integers(text: str) -> npt.NDArray[np.int64] | None:
    """Decimal integers; None when something is not one."""
    text = text.rstrip(_BETWEEN)
    data = text.encode("ascii", "replace")
    if data.translate(None, _INTEGERS):
        return None
    if not data:
        return np.empty(0, np.int64)
    digit = np.frombuffer(data, np.uint8) >= ord("0")
    words = np.count_nonzero(digit[1:] > digit[:-1]) + int(digit[0])
    try:
        numbers = np.fromstring(text, np.int64, sep="," if "," in text else " ")
    except ValueError:
        return None
    # It stops at what it cannot read, and at the largest numbers that it can hold.
    if numbers.size != words or not digit[-1] or not -_LARGEST < numbers.min() <= numbers.max() < _LARGEST:
        return None
    return numbers


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
