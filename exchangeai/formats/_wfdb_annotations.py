"""MIT annotation files (WFDB Applications Guide, annot(5)): beats, rhythms and notes in time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_ANNOTATIONS = 1_000_000
"""Ten days of heart beats; what follows is cut off."""
_LAST_LABEL = 49
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_NOTE = 22
_SYMBOLS: dict[int, str] = dict(
    zip((*range(1, 15), 16, *range(18, 42)), 'NLRaVFJASEj/Q~|sT*D"=pB^t+u?![]en@xf()r', strict=True)
)
_STANDARD = np.array(sorted(_SYMBOLS), np.uint16)
_RESOLUTION = re.compile(r"## time resolution: *(\d+(?:\.\d*)?)")
_DEFINITION = re.compile(r"(\d{1,2}) (\S+)")


@dataclass(frozen=True, kw_only=True)
class AnnotationFile:
    """What one file holds, in columns."""

    times: Sequence[int]
    """In units of the file's resolution, from the start of the record."""
    symbols: Sequence[str]
    channels: Sequence[int] | None
    """Positions of the signals that annotations belong to; None where the file says none."""
    texts: Mapping[int, str]
    """By position in the columns."""
    rate_hz: float | None
    """Time units per second; None: frames of the record."""
    whole: bool
    """Whether the file has its end mark."""
    cut: bool
    """Whether it holds more annotations than are read."""


def parse_annotations(data: bytes) -> AnnotationFile | None:
    """Parse one file; None when the bytes are no MIT annotations.

    A word has ten bits of time since the last annotation below six bits of code. Codes above 49 say more of
    an annotation: a long interval before it; its number, subtype, signal and text after it.
    """
    words = np.frombuffer(data, "<u2", len(data) // 2)
    if _is_aha(words):
        return None
    codes, values = words >> 10, words & 0x3FF
    label = codes <= _LAST_LABEL
    steps = np.where(label, values, 0).astype(np.int64)
    texts: list[tuple[int, str]] = []
    channels: list[tuple[int, int]] = []
    end, whole, after = words.size, False, 0
    # Labels are most of a file and are taken as arrays; this loop sees the other words only.
    for at in np.flatnonzero(~label | (words == 0)).tolist():
        if at < after:
            continue
        code, value = int(codes[at]), int(values[at])
        after = at + 1
        if code == 0:
            end, whole = at, True
            break
        if code == _SKIP:
            after = at + 3
            if after <= words.size:
                # PDP-11 order: the high half comes first, each half in little endian.
                interval = int(words[at + 1]) << 16 | int(words[at + 2])
                steps[at] = interval - (1 << 32) if interval >> 31 else interval
        elif code == _AUX:
            after = at + 1 + (value + 1) // 2
            texts.append((at, _text(data[2 * at + 2 : 2 * at + 2 + value])))
        elif code == _CHN:
            channels.append((at, value & 0xFF))
        elif code not in (_NUM, _SUB):
            return None
        if after > words.size:
            end = at
            break
        if after > at + 1:
            label[at + 1 : after] = False
            steps[at + 1 : after] = 0
    places = np.flatnonzero(label[:end])
    # Other files (pictures, documents) go on after what looks like an end, or have labels that nobody uses.
    if words[end:].any() if whole else not np.isin(codes[places], _STANDARD).all():
        return None
    owners = np.searchsorted(places, [x for x, _ in texts]) - 1
    columns = _Columns(
        times=np.cumsum(steps[:end])[places][:MAX_ANNOTATIONS].tolist(),
        codes=codes[places][:MAX_ANNOTATIONS].tolist(),
        texts={i: text for i, (_, text) in zip(owners.tolist(), texts, strict=True) if text},
        channels=_channels(places, channels)[:MAX_ANNOTATIONS] if channels else None,
    )
    return _interpreted(columns, whole=whole, cut=places.size > MAX_ANNOTATIONS)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    times: list[int]
    codes: list[int]
    texts: dict[int, str]
    channels: list[int] | None


def _is_aha(words: npt.NDArray[np.uint16]) -> bool:
    """Annotations of the AHA database: 16 bytes each, of which the first is 0 and the second a letter."""
    first = words[::8]
    letters = (first & 0xFF == 0) & (first > 0x2000) & (first < 0x7F00)
    return words.size >= 16 and words.size % 8 == 0 and bool(letters.all())


def _channels(places: npt.NDArray[np.intp], changes: Sequence[tuple[int, int]]) -> list[int]:
    """A signal number holds for the annotation before it and for those that follow."""
    first = np.searchsorted(places, [x for x, _ in changes]) - 1
    out = np.zeros(places.size, np.int64)
    ends = [*first[1:].tolist(), places.size]
    for begin, stop, (_, channel) in zip(first.tolist(), ends, changes, strict=True):
        out[max(begin, 0) : max(stop, 0)] = channel
    return out.tolist()


def _interpreted(raw: _Columns, *, whole: bool, cut: bool) -> AnnotationFile:
    """Notes at time 0 that begin with `## ` define the file's resolution and own codes; code 0 is no mark."""
    symbols = dict(_SYMBOLS)
    rate_hz: float | None = None
    dropped = {i for i, x in enumerate(raw.codes) if x == 0}
    defining = False
    for i, text in raw.texts.items():
        if not (0 <= i < len(raw.codes) and raw.times[i] == 0 and raw.codes[i] == _NOTE):
            continue
        if not (defining or text.startswith("## ")):
            continue
        dropped.add(i)
        found = _RESOLUTION.match(text)
        own = _DEFINITION.match(text) if defining else None
        if found and rate_hz is None:
            rate_hz = float(found[1]) or None
        elif own:
            symbols[int(own[1])] = own[2]
        defining = text == "## annotation type definitions" or own is not None
    kept = [i for i in range(len(raw.codes)) if i not in dropped] if dropped else range(len(raw.codes))
    named = [symbols.get(x) or f"[{x}]" for x in raw.codes]
    return AnnotationFile(
        times=[raw.times[i] for i in kept],
        symbols=[named[i] for i in kept],
        channels=None if raw.channels is None else [raw.channels[i] for i in kept],
        texts={n: raw.texts[i] for n, i in enumerate(kept) if i in raw.texts},
        rate_hz=rate_hz,
        whole=whole,
        cut=cut,
    )


def _text(data: bytes) -> str:
    bare = data.rstrip(b"\0")
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError:
        return bare.decode("latin-1")
