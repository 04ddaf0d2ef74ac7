"""MIT annotation files (WFDB Applications Guide, annot(5)): beats, rhythms and notes in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_ANNOTATIONS = 500_000
"""Two weeks of heart beats; more are cut off."""
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_LAST_LABEL = 49
_NOTE = 22
_SYMBOLS = dict(
    zip(
        (*range(1, 15), 16, *range(18, 42)),
        'NLRaVFJASEj/Q~|sT*D"=pB^t+u?![]en@xf()r',
        strict=True,
    )
)  # fmt: skip
_RESOLUTION = re.compile(r"## time resolution: *(\d+(?:\.\d*)?)")
_DEFINITION = re.compile(r"(\d{1,2}) (\S+)")


class Mark(NamedTuple):
    """One annotation as stored."""

    time: int
    """In units of the file's resolution, from the start of the record."""
    symbol: str
    channel: int | None
    """Signal that it belongs to; None where the file never says."""
    text: str


class _Stored(NamedTuple):
    time: int
    code: int
    channel: int
    text: str


@dataclass(frozen=True, kw_only=True)
class AnnotationFile:
    """What one file holds."""

    marks: tuple[Mark, ...]
    rate_hz: float | None
    """Time units per second; None: frames of the record."""
    whole: bool
    """Whether the file has its end mark, and no more annotations than are read."""


def parse_annotations(data: bytes) -> AnnotationFile | None:
    """Parse one file; None when the bytes are no MIT annotations.

    A word has ten bits of time since the last annotation below six bits of code. Codes above 49 say more of
    an annotation: a long interval before it, or its number, subtype, channel and text after it.
    """
    words = np.frombuffer(data, "<u2", len(data) // 2)
    if words.size == 0:
        return None
    codes, values = (words >> 10).tolist(), (words & 0x3FF).tolist()
    raw: list[_Stored] = []
    at = time = channel = 0
    channels_said = False
    whole = False
    while at < len(codes) and len(raw) < MAX_ANNOTATIONS:
        code, value = codes[at], values[at]
        at += 1
        if code == 0 and value == 0:
            whole = True
            break
        if code <= _LAST_LABEL:
            time += value
            raw.append(_Stored(time, code, channel, ""))
        elif code == _SKIP:
            # PDP-11 order: the high half comes first, each half in little endian.
            if at + 2 > len(codes):
                break
            interval = int(words[at]) << 16 | int(words[at + 1])
            time += interval - (1 << 32) if interval >> 31 else interval
            at += 2
        elif code == _AUX:
            end = at + (value + 1) // 2
            text = data[2 * at : 2 * at + value]
            if raw and end <= len(codes):
                raw[-1] = raw[-1]._replace(text=_text(text))
            at = end
        elif code == _CHN:
            # It holds for this annotation and for those that follow.
            channel, channels_said = value & 0xFF, True
            if raw:
                raw[-1] = raw[-1]._replace(channel=channel)
        elif code not in (_NUM, _SUB):
            return None
    return _interpreted(raw, channels_said, whole)


def _interpreted(raw: list[_Stored], channels_said: bool, whole: bool) -> AnnotationFile:
    """Notes at time 0 that begin with `## ` define the file's resolution and own codes; code 0 is no mark."""
    symbols = dict(_SYMBOLS)
    rate_hz: float | None = None
    defining = False
    marks: list[Mark] = []
    for time, code, channel, text in raw:
        if time == 0 and code == _NOTE and (defining or text.startswith("## ")):
            found = _RESOLUTION.match(text)
            own = _DEFINITION.match(text) if defining else None
            if found and rate_hz is None:
                rate_hz = float(found[1]) or None
            elif own:
                symbols[int(own[1])] = own[2]
            defining = text == "## annotation type definitions" or (defining and own is not None)
        elif code:
            symbol = symbols.get(code) or f"[{code}]"
            marks.append(Mark(time, symbol, channel if channels_said else None, text))
    return AnnotationFile(marks=tuple(marks), rate_hz=rate_hz, whole=whole)


def _text(data: bytes) -> str:
    bare = data.rstrip(b"\0")
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError:
        return bare.decode("latin-1")
