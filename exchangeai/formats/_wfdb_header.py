"""WFDB header text: recognised, parsed and bounded, nothing opened (WFDB Applications Guide, header(5))."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from exchangeai.errors import InvalidHeader, UnsafeReference
from exchangeai.formats._people import date_of
from exchangeai.formats._rates import checked_rate

NULL = "~"
"""In place of a file: a signal that is not stored; in place of a record: a gap between segments."""
MAX_SIGNALS = 1024
_LOOK_BYTES = 8192
_TEXT = b"\t\n\r" + bytes(range(32, 256))
_MAX_SAMPLES_PER_FRAME = 1000
_MAX_SKEW = 1_000_000
_DEFAULT_RATE_HZ = 250.0
_DEFAULT_GAIN = 200.0

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_RECORD = re.compile(
    rf"(?P<name>\S+?)(?:/(?P<segments>\d+))?[ \t]+(?P<signals>\d+)"
    rf"(?:[ \t]+(?P<rate>{_NUMBER})(?:/{_NUMBER}(?:\({_NUMBER}\))?)?"
    r"(?:[ \t]+(?P<samples>\d+)(?P<when>.*))?)?[ \t]*",
    re.IGNORECASE,
)
_STORAGE = re.compile(r"(?P<format>\d+)(?:x(?P<frame>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?")
_SCALE = re.compile(
    rf"(?P<gain>{_NUMBER})(?:\((?P<baseline>[+-]?\d+(?:\.\d*)?)\))?(?:/(?P<unit>.+))?", re.IGNORECASE
)
_START = re.compile(
    rb"(?:[ \t]*(?:#[^\r\n]*)?[\r\n])*[ \t]*[^\s#]\S{0,255}?(?P<segments>/\d+)?[ \t]+(?P<signals>\d+)"
    rb"(?P<rate>[ \t]+[+-]?[\d.naif][^\r\n]*)?[ \t]*(?:[\r\n]|\Z)(?:[ \t]*(?:#[^\r\n]*)?[\r\n])*",
    re.IGNORECASE,
)
_SIGNAL_START = re.compile(rb"[ \t]*(?P<file>[^\s#]+)[ \t]+\d{1,3}(?:[x:+]\d+)*(?:[ \t\r\n]|\Z)")
_SEGMENT_START = re.compile(rb"[ \t]*[^\s#]+[ \t]+\d+[ \t]*(?:[\r\n]|\Z)")
_IN_FOLDER = re.compile(r"[^\s/]+/")
_WHEN = re.compile(rb"[ \t]+[\d.e+-]+(?:[ \t]+\d+(?:[ \t]+\d+:[\d:.]+(?:[ \t]+\d+/\d+/\d+)?)?)?[ \t]*")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How samples lie in a file: `212x4:3+24`."""

    format: int
    samples_per_frame: int
    skew: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One signal line."""

    file: str
    storage: Storage
    gain: float
    """Stored units per `unit`; finite and not 0 where anything is stored."""
    baseline: float
    unit: str
    first: int
    checksum: int | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment line: a record's name, or NULL for a gap."""

    name: str
    frames: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """An ordinary header has signals; one of a multi-segment record has segments."""

    rate_hz: float
    """Frames per second."""
    frames: int
    """0 when the header does not say."""
    signals: tuple[Signal, ...]
    segments: tuple[Segment, ...]
    comments: tuple[str, ...]
    date: datetime.date | None
    oddities: tuple[str, ...]
    """What contradicts itself but can be read."""


def looks_like_header(head: bytes) -> bool:
    """Whether the bytes begin with a record line and with the first signal or segment line, if any."""
    # Called for each file of an upload, so it looks at the first two lines only, and at binary files hardly.
    if head[:64].translate(None, _TEXT):
        return False
    found = _START.match(head[:_LOOK_BYTES])
    if found is None or b"\0" in head[: found.end()]:
        return False
    if found["segments"]:
        return found["rate"] is not None and _SEGMENT_START.match(head, found.end()) is not None
    if int(found["signals"][:9]) == 0:
        alone = found.end() == len(head) and found["rate"] is not None
        return alone and _WHEN.fullmatch(found["rate"]) is not None
    signal = _SIGNAL_START.match(head, found.end(), found.end() + 512)
    # A table of whole numbers has the shape of a header; but no signal file is called 17.
    return signal is not None and re.fullmatch(rb"[+-]?[\d.,]+(?:e[+-]?\d+)?", signal["file"]) is None


def members_of(head: bytes) -> tuple[str, ...] | None:
    """Names of the files that a header needs, safe ones only; None when this is no header."""
    if not looks_like_header(head):
        return None
    lines, _ = _lines(head)
    record = _RECORD.fullmatch(lines[0])
    if record is None:
        return ()
    names = [_beside(x.split(None, 1)[0]) for x in lines[1:]]
    suffix = ".hea" if record["segments"] else ""
    return tuple(dict.fromkeys(f"{x}{suffix}" for x in names if x is not None))


def parse_header(data: bytes) -> Header:
    """Parse one header. Raises InvalidHeader, or UnsafeReference for names that are paths or addresses.

    The number of signals is checked against the lines that are there; nothing is said of signal files.
    """
    lines, comments = _lines(data)
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None:
        raise InvalidHeader("the WFDB header's first line is not a record line")
    segmented = record["segments"] is not None
    count = _whole(record["segments"] if segmented else record["signals"])
    there = len(lines) - 1
    # Public headers lack a segment line; whether too much is missing shows in the record's length.
    if not (count / 2 <= there <= count if segmented else count <= min(there, MAX_SIGNALS)):
        what = "segments" if segmented else "signals"
        raise InvalidHeader(
            f"the WFDB header declares {count} {what} but describes {there} "
            f"(of signals, at most {MAX_SIGNALS} are read)"
        )
    described = lines[1 : count + 1]
    return Header(
        rate_hz=checked_rate(float(record["rate"] or _DEFAULT_RATE_HZ)),
        frames=_whole(record["samples"] or "0"),
        signals=() if segmented else tuple(_signal(x) for x in described),
        segments=tuple(_segment(x) for x in described) if segmented else (),
        comments=comments,
        date=_date(record["when"] or ""),
        oddities=tuple(_oddities(described, count, there)),
    )


def _oddities(described: list[str], count: int, there: int) -> Iterator[str]:
    if there != count:
        yield f"the WFDB header declares {count} signals or segments but describes {there}"
    if any(_IN_FOLDER.match(x) for x in described):
        yield "the WFDB header names files in a folder; those of the same names beside it were read"


def _lines(data: bytes) -> tuple[list[str], tuple[str, ...]]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines: list[str] = []
    comments: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith("#"):
            comments.append(stripped.lstrip("# "))
        elif stripped:
            lines.append(stripped)
    return lines, tuple(comments)


def _segment(line: str) -> Segment:
    fields = line.split()
    if len(fields) != 2 or not (fields[1].isascii() and fields[1].isdecimal()):
        raise InvalidHeader("a segment line of the WFDB header does not follow header(5)")
    name = NULL if fields[0] == NULL else _safe(fields[0])
    return Segment(name=name, frames=_whole(fields[1]))


def _signal(line: str) -> Signal:
    # File, format, gain, bits, zero, first value, checksum, block size, name; only the first two are needed.
    fields = line.split(None, 8)
    if len(fields) < 2:
        raise _bad_line()
    fields += [""] * (9 - len(fields))
    storage = _storage(fields[1])
    null = fields[0] == NULL and storage.format == 0
    gain, baseline, unit = _scale(fields[2])
    if (not math.isfinite(gain) or gain == 0) and not null:
        raise InvalidHeader(
            "a lead's gain in the WFDB header is zero or not a number, so its voltage is unknown; "
            "put the device's gain into the header"
        )
    zero = _integer(fields[4]) or 0
    first = _integer(fields[5])
    return Signal(
        file=NULL if null else _safe(fields[0]),
        storage=storage,
        gain=gain,
        baseline=float(zero) if baseline is None else baseline,
        unit=unit,
        first=zero if first is None else first,
        checksum=_integer(fields[6]),
        name=fields[8].strip(),
    )


@lru_cache(256)
def _beside(name: str) -> str | None:
    """The name of the file that is meant in the header's own folder; None for what may mean anything else.

    Some public headers name their files from the root of the data set (`medians/00001.dat`).
    """
    folder, _, last = name.rpartition("/")
    if any(x in name for x in "\\:\0") or last in ("", ".", "..", "-", NULL):
        return None
    if name.startswith("/") or any(x in ("", ".", "..", "~") for x in folder.split("/") if folder):
        return None
    return last


def _safe(name: str) -> str:
    last = _beside(name)
    if last is None:
        raise UnsafeReference(
            "the WFDB header names an address, a stream or a file elsewhere instead of one beside it; "
            "nothing was opened"
        )
    return last


@lru_cache(256)
def _storage(field: str) -> Storage:
    found = _STORAGE.fullmatch(field)
    if found is None:
        raise _bad_line()
    kind, frame, skew, offset = (
        _whole(x or default) for x, default in zip(found.groups(), "0100", strict=True)
    )
    if not 1 <= frame <= _MAX_SAMPLES_PER_FRAME or skew > _MAX_SKEW:
        raise InvalidHeader("samples per frame or skew in the WFDB header are out of bounds")
    return Storage(format=kind, samples_per_frame=frame, skew=skew, offset=offset)


@lru_cache(256)
def _scale(field: str) -> tuple[float, float | None, str]:
    """Gain, baseline, unit of `1000(-5)/mV`."""
    if not field:
        return _DEFAULT_GAIN, None, "mV"
    found = _SCALE.fullmatch(field)
    if found is None:
        raise _bad_line()
    gain = float(found["gain"])
    baseline = float(found["baseline"]) if found["baseline"] else None
    if abs(baseline or 0) > 2**32:
        raise _out_of_bounds()
    return gain, baseline, found["unit"] or "mV"


def _integer(field: str) -> int | None:
    if not field:
        return None
    try:
        value = int(field)
    except ValueError:
        # Some writers put 0.0 where the guide wants an integer.
        try:
            value = round(float(field))
        except (ValueError, OverflowError):
            raise _bad_line() from None
    if abs(value) >= 2**32:
        raise _out_of_bounds()
    return value


def _whole(digits: str) -> int:
    if len(digits) > 18:
        raise _out_of_bounds()
    return int(digits)


def _bad_line() -> InvalidHeader:
    return InvalidHeader("a signal line of the WFDB header does not follow header(5)")


def _out_of_bounds() -> InvalidHeader:
    return InvalidHeader("a number in the WFDB header is out of bounds")


def _date(rest: str) -> datetime.date | None:
    return next((found for word in rest.split() if (found := date_of(word))), None)
