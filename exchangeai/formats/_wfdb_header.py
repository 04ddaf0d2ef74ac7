"""WFDB header text, parsed by ourselves and bounded by the bytes that were really uploaded.

Grammar: WFDB Applications Guide, header(5). Nothing here opens a file.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from exchangeai.errors import EmptyFile, InvalidHeader, MissingFile, Truncated, UnsafeReference
from exchangeai.formats._people import date_of
from exchangeai.formats._rates import checked_rate

_LOOK_BYTES = 8192
_MAX_SIGNALS = 1024
_MAX_SAMPLES_PER_FRAME = 1000
_MAX_SKEW = 1_000_000
_MAX_FLAC_RATIO = 64
"""Samples per compressed byte; a real ECG needs less than two, a bomb has hundreds."""

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_RECORD = re.compile(
    rf"(?P<name>[^\s/]+)(?:/(?P<segments>\d+))?[ \t]+(?P<signals>\d+)"
    rf"(?:[ \t]+(?P<rate>{_NUMBER})(?:/{_NUMBER}(?:\({_NUMBER}\))?)?"
    r"(?:[ \t]+(?P<samples>\d+)(?P<when>.*))?)?[ \t]*",
    re.IGNORECASE,
)
_SIGNAL = re.compile(
    rf"(?P<file>\S+)[ \t]+(?P<format>\d+)(?:x(?P<frame>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?"
    rf"(?:[ \t]+(?P<gain>{_NUMBER})(?:\((?P<baseline>[+-]?\d+)\))?(?:/(?P<unit>\S+))?"
    r"(?:[ \t]+(?P<bits>\d+)(?:[ \t]+(?P<zero>[+-]?\d+)(?:[ \t]+(?P<first>[+-]?\d+)"
    r"(?:[ \t]+(?P<checksum>[+-]?\d+)(?:[ \t]+(?P<block>\d+)(?:[ \t]+(?P<name>.*))?)?)?)?)?)?)?[ \t]*",
    re.IGNORECASE,
)
_BYTES_PER_SAMPLE = {8: 1.0, 16: 2.0, 24: 3.0, 32: 4.0, 61: 2.0, 80: 1.0, 160: 2.0, 212: 1.5}
_TAIL_BYTES = {310: (0, 2, 4), 311: (0, 2, 3)}
"""Three 10-bit samples take four bytes; so many bytes hold one or two samples left over."""
FLAC_FORMATS = frozenset({508, 516, 524})
DEFAULT_GAIN = 200.0


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One signal line."""

    file: str
    format: int
    samples_per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    bits: int
    zero: int
    first: int
    checksum: int | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """A single-segment header."""

    rate_hz: float
    samples: int
    """Frames; 0 when the header does not say."""
    signals: tuple[Signal, ...]
    comments: tuple[str, ...]
    date: datetime.date | None


def looks_like_header(head: bytes) -> bool:
    """Whether the bytes begin with a record line, and with a signal line where there are signals."""
    # Called for each file of an upload: signals must be told apart without decoding all of them.
    if b"\0" in head[:256]:
        return False
    lines, _ = _lines(head[:_LOOK_BYTES])
    if not lines:
        return False
    record = _RECORD.fullmatch(lines[0])
    if record is None:
        return False
    if record["segments"] or len(lines) == 1:
        return record["rate"] is not None
    return re.match(r"\S+[ \t]+\d{1,3}(?:[x:+]\d+)*(?:[ \t]|$)", lines[1]) is not None


def members_of(head: bytes) -> tuple[str, ...] | None:
    """Names of the files that a header needs, safe ones only; None when this is no header."""
    if not looks_like_header(head):
        return None
    lines, _ = _lines(head)
    first = [x.split()[0] for x in lines[1:]]
    names = [f"{x}.hea" for x in first] if _segments(head) else first
    return tuple(dict.fromkeys(x for x in names if _plain(x)))


def companion(header: str, name: str, head: bytes) -> bool:
    """Whether an unrecognised binary file belongs to a header by its stem (annotations)."""
    if PurePosixPath(header).stem != PurePosixPath(name).stem:
        return False
    return any(b < 9 or 13 < b < 32 for b in head)


def parse_header(files: Mapping[str, bytes]) -> Header:
    """Parse the one header among the files and check it against the others.

    Raises UnsafeReference, MissingFile, Truncated, EmptyFile or InvalidHeader. After it, the number of
    samples is known to be covered by the bytes that are there.
    """
    headers = [x for x in files.values() if looks_like_header(x)]
    if any(_segments(x) for x in headers):
        raise InvalidHeader(
            "multi-segment WFDB records are not read yet; send the segments as records of their own"
        )
    if len(headers) != 1:
        raise InvalidHeader("a WFDB record has exactly one header; send each record with its own files")
    lines, comments = _lines(headers[0])
    record = _RECORD.fullmatch(lines[0])
    if record is None:
        raise InvalidHeader("the WFDB header's first line is not a record line")
    count = int(record["signals"])
    if count == 0:
        raise EmptyFile("the WFDB header declares no signals")
    if count > _MAX_SIGNALS or count != len(lines) - 1:
        raise InvalidHeader(
            f"the WFDB header declares {count} signals but describes {len(lines) - 1} "
            f"(at most {_MAX_SIGNALS} are read)"
        )
    signals = tuple(_signal(x) for x in lines[1:])
    for signal in signals:
        _check_reference(signal.file, files)
    header = Header(
        rate_hz=checked_rate(float(record["rate"] or 250)),
        samples=int(record["samples"] or 0),
        signals=signals,
        comments=comments,
        date=_date(record["when"] or ""),
    )
    return _bounded(header, files)


def _segments(head: bytes) -> bool:
    lines, _ = _lines(head)
    record = _RECORD.fullmatch(lines[0]) if lines else None
    return record is not None and record["segments"] is not None


def _lines(data: bytes) -> tuple[list[str], tuple[str, ...]]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    stripped = [x.strip() for x in text.split("\n")]
    lines = [x for x in stripped if x and not x.startswith("#")]
    return lines, tuple(x.lstrip("# ").strip() for x in stripped if x.startswith("#"))


def _signal(line: str) -> Signal:
    found = _SIGNAL.fullmatch(line)
    if found is None:
        raise InvalidHeader("a signal line of the WFDB header does not follow header(5)")
    gain = float(found["gain"] or DEFAULT_GAIN)
    if not math.isfinite(gain) or gain == 0:
        raise InvalidHeader(
            "a lead's gain in the WFDB header is zero or not a number, so its voltage is unknown; "
            "put the device's gain into the header"
        )
    zero = int(found["zero"] or 0)
    signal = Signal(
        file=found["file"],
        format=int(found["format"]),
        samples_per_frame=int(found["frame"] or 1),
        skew=int(found["skew"] or 0),
        offset=int(found["offset"] or 0),
        gain=gain,
        baseline=int(found["baseline"]) if found["baseline"] else zero,
        unit=found["unit"] or "mV",
        bits=int(found["bits"] or 0),
        zero=zero,
        first=int(found["first"]) if found["first"] else zero,
        checksum=int(found["checksum"]) if found["checksum"] else None,
        name=(found["name"] or "").strip(),
    )
    if not 1 <= signal.samples_per_frame <= _MAX_SAMPLES_PER_FRAME or signal.skew > _MAX_SKEW:
        raise InvalidHeader("samples per frame or skew in the WFDB header are out of bounds")
    if max(abs(signal.baseline), abs(signal.zero), abs(signal.first), signal.bits) > 2**32:
        raise InvalidHeader("a number in a signal line of the WFDB header is out of bounds")
    return signal


def _plain(name: str) -> bool:
    return bool(re.fullmatch(r"[^/\\:\0]+", name)) and name not in (".", "..", "-", "~")


def _check_reference(name: str, files: Mapping[str, bytes]) -> None:
    if not _plain(name):
        raise UnsafeReference(
            "the WFDB header names a path, an address or a stream instead of a plain file name; "
            "nothing was opened"
        )
    if name not in files:
        raise MissingFile("a signal file that the WFDB header names is not in the upload; send both together")
    if looks_like_header(files[name]):
        raise InvalidHeader("the WFDB header names a header as its signal file")


def _bounded(header: Header, files: Mapping[str, bytes]) -> Header:
    groups: list[list[Signal]] = []
    for signal in header.signals:
        if groups and groups[-1][0].file == signal.file:
            groups[-1].append(signal)
        else:
            groups.append([signal])
    if len({x[0].file for x in groups}) != len(groups):
        raise InvalidHeader("signals of one file are not next to each other in the WFDB header")
    samples = header.samples or min(_frames_in(x, len(files[x[0].file])) for x in groups)
    if samples == 0:
        raise EmptyFile("the WFDB record holds no samples")
    for group in groups:
        _check_group(group, samples, len(files[group[0].file]))
    return Header(
        rate_hz=header.rate_hz,
        samples=samples,
        signals=header.signals,
        comments=header.comments,
        date=header.date,
    )


def _check_group(group: list[Signal], samples: int, size: int) -> None:
    kind, offset = group[0].format, group[0].offset
    if any((x.format, x.offset) != (kind, offset) for x in group):
        raise InvalidHeader("signals of one file differ in format or offset in the WFDB header")
    if any(x.skew >= samples for x in group):
        raise InvalidHeader("a lead's skew in the WFDB header is longer than the record")
    total = samples * sum(x.samples_per_frame for x in group)
    if kind in FLAC_FORMATS:
        if len(group) > 8 or len({x.samples_per_frame for x in group}) > 1:
            raise InvalidHeader("a FLAC signal file holds at most 8 signals of one rate")
        if total > _MAX_FLAC_RATIO * size:
            raise InvalidHeader("the WFDB header declares far more samples than the FLAC file can hold")
        return
    needed = offset + _bytes_for(kind, total)
    if needed > size:
        raise Truncated(
            f"the WFDB header declares {total} samples, which need {needed} bytes; the signal file "
            f"has {size}. Send the whole file"
        )


def _bytes_for(kind: int, samples: int) -> int:
    if kind in _TAIL_BYTES:
        return samples // 3 * 4 + _TAIL_BYTES[kind][samples % 3]
    if kind not in _BYTES_PER_SAMPLE:
        raise InvalidHeader(f"WFDB signal format {kind} is unknown")
    return math.ceil(samples * _BYTES_PER_SAMPLE[kind])


def _frames_in(group: list[Signal], size: int) -> int:
    kind = group[0].format
    if kind in FLAC_FORMATS:
        raise InvalidHeader("the WFDB header must declare the number of samples of a FLAC file")
    width = 4 / 3 if kind in _TAIL_BYTES else _BYTES_PER_SAMPLE.get(kind, 1.0)
    available = math.floor(max(0, size - group[0].offset) / width)
    return available // sum(x.samples_per_frame for x in group)


def _date(rest: str) -> datetime.date | None:
    return next((found for word in rest.split() if (found := date_of(word))), None)
