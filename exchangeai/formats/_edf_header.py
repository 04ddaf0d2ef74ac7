"""EDF, EDF+, BDF and BDF+ headers, bounded by the size of the file.

Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi (BDF: 24 bits).
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE
from exchangeai.formats._people import date_of
from exchangeai.formats._warnings import in_words
from exchangeai.leads import STANDARD_12, canonical_lead

_MAX_SIGNALS = 2048
_FIXED_BYTES = 256
_BYTES_PER_SIGNAL = 256
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_UNKNOWN_COUNT = -1
_SHORTEST_S, _FINEST = 1e-6, 10**8
"""Eight characters hold no finer part of a second."""
_ECG_LABEL = re.compile(r"(?:ECG|EKG|ML|MCL|C[BCMSR]\d|V\d{1,2}R?$|[XYZ]$)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One signal's header."""

    name: str
    """The label, in the standard spelling where it is that of a standard lead."""
    is_ecg: bool
    """The label is that of an ECG lead."""
    is_annotation: bool
    """Time-stamped annotation lists are bytes, no signal."""
    unit: str
    prefilter: str
    calibration: tuple[float, float] | None
    """(slope, offset): physical = digital * slope + offset. None where the header gives no range."""
    swapped: bool
    """The digital minimum is above the maximum, against the standard; the line through both is used."""
    samples_per_record: int
    first_byte: int
    """Where it begins within a data record."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The whole header; `records` data records are certainly there."""

    sample_bytes: int
    """2 in EDF, 3 in BDF."""
    header_bytes: int
    record_bytes: int
    records: int
    record_s: float
    plus: bool
    discontinuous: bool
    patient: str
    recording: str
    date: datetime.date | None
    channels: tuple[Channel, ...]
    warnings: tuple[str, ...]

    def rate_hz(self, samples_per_record: int) -> float:
        """Exact: 33 samples in the 0.033 s that are written so are 1000 Hz, not 999.9999999999999."""
        return float(samples_per_record / Fraction(self.record_s).limit_denominator(_FINEST))


def is_edf(data: bytes) -> bool:
    """Version field of EDF (`0`) or BDF (0xFF `BIOSEMI`), and numbers where numbers must be."""
    if data[:8].replace(b"\0", b" ") not in (b"0       ", b"\xffBIOSEMI") or len(data) < _FIXED_BYTES:
        return False
    return re.fullmatch(rb" *\d+ *\0*", data[184:192]) is not None


def parse_header(data: bytes, *, strict: bool = False) -> Header:
    """Parse and bound. Raises InvalidHeader, Truncated or EmptyFile before anything is allocated."""
    signals = _whole(data[252:256], "number of signals")
    header_bytes = _FIXED_BYTES + _BYTES_PER_SIGNAL * signals
    if not 0 < signals <= _MAX_SIGNALS:
        raise InvalidHeader(f"the EDF header declares {signals} signals (1 to {_MAX_SIGNALS} are read)")
    if len(data) < header_bytes:
        raise Truncated(
            f"the EDF header of {signals} signals needs {header_bytes} bytes; the file is shorter"
        )
    if _whole(data[184:192], "header size") != header_bytes:
        raise InvalidHeader("the EDF header's size does not fit its number of signals")
    sample_bytes = 3 if data[0] == 0xFF else 2
    channels = _channels(data, signals, sample_bytes)
    record_bytes = sum(x.samples_per_record for x in channels) * sample_bytes
    if record_bytes == 0:
        raise EmptyFile("the EDF file's data records are empty")
    record_s = _number(data[244:252], "duration of a data record")
    if record_s < 0 or (record_s < _SHORTEST_S and not all(x.is_annotation for x in channels)):
        raise InvalidHeader("the EDF header's duration of a data record is not positive")
    declared = _whole(data[236:244], "number of data records")
    records, warnings = _records(declared, len(data) - header_bytes, record_bytes, strict)
    reserved = data[192:236].decode("latin-1")
    recording = _text(data[88:168])
    return Header(
        sample_bytes=sample_bytes,
        header_bytes=header_bytes,
        record_bytes=record_bytes,
        records=records,
        record_s=record_s,
        plus=reserved.startswith(("EDF+", "BDF+")),
        discontinuous=reserved.startswith(("EDF+D", "BDF+D")),
        patient=_text(data[8:88]),
        recording=recording,
        date=_start_date(data[168:176].decode("latin-1"), recording),
        channels=channels,
        warnings=(*warnings, *_odd_ranges(channels, strict)),
    )


def _channels(data: bytes, signals: int, sample_bytes: int) -> tuple[Channel, ...]:
    position = _FIXED_BYTES

    def column(width: int) -> list[bytes]:
        nonlocal position
        start, position = position, position + width * signals
        return [data[start + i * width : start + (i + 1) * width] for i in range(signals)]

    labels = column(16)
    position += 80 * signals  # the kinds of transducer
    units = column(8)
    limits = [column(8) for _ in range(4)]
    prefilters, counts = column(80), column(8)
    ranges = list(zip(*limits, strict=True))
    # Signals of one file mostly share these; each spelling is parsed once.
    calibrations = {x: _calibration(x) for x in set(ranges)}
    names = [_name(x) for x in labels]
    sizes = {x: _whole(x, "samples of a data record") for x in set(counts)}
    texts = {x: _text(x) for x in {*units, *prefilters}}
    if any(x < 0 for x in sizes.values()):
        raise InvalidHeader("a signal of the EDF header has a negative number of samples")
    channels: list[Channel] = []
    first_byte = 0
    for i, count in enumerate(sizes[x] for x in counts):
        name, is_ecg, is_annotation = names[i]
        channels.append(
            Channel(
                name=name,
                is_ecg=is_ecg,
                is_annotation=is_annotation,
                unit=texts[units[i]],
                prefilter=texts[prefilters[i]],
                calibration=calibrations[ranges[i]][0],
                swapped=calibrations[ranges[i]][1],
                samples_per_record=count,
                first_byte=first_byte,
            )
        )
        first_byte += count * sample_bytes
    return tuple(channels)


@lru_cache(1024)
def _name(field: bytes) -> tuple[str, bool, bool]:
    """The lead's name, whether it is an ECG lead, and whether it holds annotations instead."""
    label = _text(field)
    name = label if label in STANDARD_12 else canonical_lead(label)
    is_ecg = name in STANDARD_12 or _ECG_LABEL.match(label) is not None
    return name or "unnamed", is_ecg, label in _ANNOTATIONS


def _calibration(limits: Sequence[bytes]) -> tuple[tuple[float, float] | None, bool]:
    """Slope and offset, or None; and whether the digital limits are swapped."""
    try:
        bottom, top, first, last = (_number(x, "range of a signal") for x in limits)
    except InvalidHeader:
        return None, False
    if bottom == top or first == last:
        return None, False
    slope = (top - bottom) / (last - first)
    return (slope, bottom - first * slope), first > last


def _odd_ranges(channels: tuple[Channel, ...], strict: bool) -> list[str]:
    """What is said of channels without a range. Raises InvalidHeader when no other is there."""
    signals = [x for x in channels if not x.is_annotation and x.samples_per_record]
    odd = [i for i, x in enumerate(signals, 1) if x.calibration is None]
    if odd and (strict or len(odd) == len(signals)):
        raise InvalidHeader(
            "a signal of the EDF header has an empty range, so its values are unknown; "
            "check the export that made the file"
        )
    swapped = [i for i, x in enumerate(signals, 1) if x.swapped]
    if swapped and strict:
        raise InvalidHeader("a signal of the EDF header has its digital minimum above its maximum")
    return [
        *in_words(odd, "the header gives an empty range, so the values are unknown and count as missing"),
        *in_words(swapped, "the digital minimum is above the maximum: check the polarity"),
    ]


def _records(declared: int, available: int, record_bytes: int, strict: bool) -> tuple[int, tuple[str, ...]]:
    whole = available // record_bytes
    rest = available - whole * record_bytes
    cut = f"the file ends within a data record of {record_bytes} bytes: truncated"
    if declared > whole:
        if strict or whole < MIN_LENGTH_SHARE * declared:
            raise Truncated(
                f"the EDF header declares {declared} data records of {record_bytes} bytes; "
                f"the file holds {whole}. Send the whole file"
            )
        return whole, (f"truncated: {whole} of {declared} data records are there",)
    warnings: list[str] = []
    if declared <= 0:
        if whole == 0:
            raise (Truncated(cut) if rest else EmptyFile("the EDF file holds no data records"))
        if strict and (declared != _UNKNOWN_COUNT or rest):
            raise (Truncated(cut) if rest else InvalidHeader("the EDF header counts no data records"))
        warnings.append("the header does not say how many data records there are; the file's size does")
        if rest:
            warnings.append(cut)
        declared = whole
    elif available != declared * record_bytes:
        if strict:
            raise InvalidHeader("there are bytes after the last data record that the EDF header declares")
        warnings.append("there are bytes after the last data record; they were left out")
    return declared, tuple(warnings)


def _whole(field: bytes, what: str) -> int:
    number = _number(field, what)
    if number != int(number):
        raise InvalidHeader(f"the {what} in the EDF header is not a whole number")
    return int(number)


def _number(field: bytes, what: str) -> float:
    text = field.decode("latin-1").strip(" \0").replace(",", ".")
    if not _NUMBER.fullmatch(text):
        raise InvalidHeader(f"the {what} in the EDF header is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise InvalidHeader(f"the {what} in the EDF header is not finite")
    return number


def _text(field: bytes) -> str:
    """Headers are ASCII by the standard; in the wild also UTF-8 and Latin-1 (`µV`)."""
    try:
        text = field.decode("utf-8")
    except UnicodeDecodeError:
        text = field.decode("latin-1")
    return text.replace("\0", " ").strip()


def _start_date(field: str, recording: str) -> datetime.date | None:
    words = recording.split()
    if len(words) > 1 and words[0] == "Startdate":
        if words[1].upper() == "X":
            # Withheld, whatever date fills the other field.
            return None
        if (exact := date_of(words[1])) is not None:
            return exact
    parts = re.fullmatch(r"(\d\d)[.:/-](\d\d)[.:/-](\d\d)", field.strip())
    if parts is None:
        return None
    day, month, year = (int(x) for x in parts.groups())
    # The standard's clipping date: 85 to 99 are 1985 to 1999.
    return date_of(f"{day}-{month}-{year + (1900 if year >= 85 else 2000)}")
