"""EDF, EDF+, BDF and BDF+ headers, bounded by the size of the file.

Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi (BDF: 24 bits).
"""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._people import date_of

_MAX_SIGNALS = 2048
_FIXED_BYTES = 256
_BYTES_PER_SIGNAL = 256


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One signal's header."""

    label: str
    unit: str
    physical_min: float
    physical_max: float
    digital_min: float
    digital_max: float
    samples_per_record: int
    first_byte: int
    """Where it begins within a data record."""

    @property
    def is_annotation(self) -> bool:
        """Time-stamped annotation lists are bytes, no signal."""
        return self.label in ("EDF Annotations", "BDF Annotations")


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


def is_edf(data: bytes) -> bool:
    """Version field of EDF (`0`) or BDF (0xFF `BIOSEMI`), and numbers where numbers must be."""
    if len(data) < _FIXED_BYTES or data[:8] not in (b"0       ", b"\xffBIOSEMI"):
        return False
    return re.fullmatch(rb" *\d+ *\0*", data[184:192]) is not None


def parse_header(data: bytes) -> Header:
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
    if record_s < 0 or (record_s == 0 and not all(x.is_annotation for x in channels)):
        raise InvalidHeader("the EDF header's duration of a data record is not positive")
    records, warnings = _records(
        _whole(data[236:244], "number of data records"), len(data) - header_bytes, record_bytes
    )
    reserved = data[192:236].decode("latin-1")
    recording = data[88:168].decode("latin-1").strip()
    return Header(
        sample_bytes=sample_bytes,
        header_bytes=header_bytes,
        record_bytes=record_bytes,
        records=records,
        record_s=record_s,
        plus=reserved.startswith(("EDF+", "BDF+")),
        discontinuous=reserved.startswith(("EDF+D", "BDF+D")),
        patient=data[8:88].decode("latin-1").strip(),
        recording=recording,
        date=_start_date(data[168:176].decode("latin-1"), recording),
        channels=channels,
        warnings=warnings,
    )


def _channels(data: bytes, signals: int, sample_bytes: int) -> tuple[Channel, ...]:
    position = _FIXED_BYTES

    def column(width: int) -> list[bytes]:
        nonlocal position
        start, position = position, position + width * signals
        return [data[start + i * width : start + (i + 1) * width] for i in range(signals)]

    labels, _, units = column(16), column(80), column(8)
    limits = [column(8) for _ in range(4)]
    _, counts = column(80), column(8)
    channels: list[Channel] = []
    first_byte = 0
    for i in range(signals):
        count = _whole(counts[i], "samples of a data record")
        if count < 0:
            raise InvalidHeader("a signal of the EDF header has a negative number of samples")
        label = labels[i].decode("latin-1").strip()
        silent = label in ("EDF Annotations", "BDF Annotations")
        low, high, digital_low, digital_high = (
            (0.0, 1.0, 0.0, 1.0) if silent else (_number(x[i], "range of a signal") for x in limits)
        )
        if low == high or digital_low >= digital_high:
            raise InvalidHeader(
                "a signal of the EDF header has an empty range, so its voltage is unknown; "
                "check the export that made the file"
            )
        channels.append(
            Channel(
                label=label,
                unit=units[i].decode("latin-1").strip(),
                physical_min=low,
                physical_max=high,
                digital_min=digital_low,
                digital_max=digital_high,
                samples_per_record=count,
                first_byte=first_byte,
            )
        )
        first_byte += count * sample_bytes
    return tuple(channels)


def _records(declared: int, available: int, record_bytes: int) -> tuple[int, tuple[str, ...]]:
    whole = available // record_bytes
    if declared > whole:
        raise Truncated(
            f"the EDF header declares {declared} data records of {record_bytes} bytes; "
            f"the file holds {whole}. Send the whole file"
        )
    warnings: list[str] = []
    if declared < 0:
        warnings.append("the header does not say how many data records there are; the file's size does")
        declared = whole
    if available != declared * record_bytes:
        warnings.append("there are bytes after the last data record; they were left out")
    if declared == 0:
        raise EmptyFile("the EDF file holds no data records")
    return declared, tuple(warnings)


def _whole(field: bytes, what: str) -> int:
    number = _number(field, what)
    if number != int(number):
        raise InvalidHeader(f"the {what} in the EDF header is not a whole number")
    return int(number)


def _number(field: bytes, what: str) -> float:
    text = field.decode("latin-1").strip(" \0").replace(",", ".")
    if not re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", text):
        raise InvalidHeader(f"the {what} in the EDF header is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise InvalidHeader(f"the {what} in the EDF header is not finite")
    return number


def _start_date(field: str, recording: str) -> datetime.date | None:
    words = recording.split()
    if len(words) > 1 and words[0] == "Startdate" and (exact := date_of(words[1])) is not None:
        return exact
    parts = re.fullmatch(r"(\d\d)[.:/-](\d\d)[.:/-](\d\d)", field.strip())
    if parts is None:
        return None
    day, month, year = (int(x) for x in parts.groups())
    # The standard's clipping date: 85 to 99 are 1985 to 1999.
    return date_of(f"{day}-{month}-{year + (1900 if year >= 85 else 2000)}")
