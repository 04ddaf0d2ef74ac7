"""Headers of GDF 1.x and 2.x (Schloegl, arXiv cs/0608052), bounded by the size of the file.

All numbers are little endian. The columns of the signal headers follow each other: all labels, then all
transducers, and so on, 256 bytes a signal in both generations.
"""

from __future__ import annotations

import datetime
import math
import re
import struct
from dataclasses import dataclass

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._gdf_units import unit_of
from exchangeai.formats._options import MIN_LENGTH_SHARE
from exchangeai.formats._people import date_of, identifier_of, model_of
from exchangeai.formats._prefilter import filters_in
from exchangeai.recording import Filters, Sex

_FIXED_BYTES = 256
_MAX_SIGNALS = 4096
_SECOND_GENERATION = 1.90
_SECONDS_AS_FLOAT = 2.21
"""From here on the duration of a data record is a float64, before it is a ratio of two uint32."""
_DAY_ZERO = 366
"""Days count from the year 0; Python's from the year 1."""
_DESCRIPTIONS, _MANUFACTURER = 1, 3
_TYPES = {
    0: "S1", 1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<i8", 8: "<u8",
    16: "<f4", 17: "<f8", 279: "i24", 535: "u24",
}  # fmt: skip
_SEXES: dict[int, Sex] = {1: "M", 2: "F"}


@dataclass(frozen=True, kw_only=True)
class GdfChannel:
    """One signal's header."""

    label: str
    unit: str
    low: float
    high: float
    digital_low: float
    digital_high: float
    filters: Filters
    samples_per_record: int
    """0: sparsely sampled, its values are events."""
    type_name: str
    """numpy's name of the stored type, or `i24`, `u24`."""
    first_byte: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one stored sample."""
        return 3 if self.type_name.endswith("24") else int(self.type_name[-1])


@dataclass(frozen=True, kw_only=True)
class GdfHeader:
    """The whole header; `records` data records are certainly there."""

    version: float
    header_bytes: int
    record_bytes: int
    records: int
    record_s: float
    events_at: int | None
    """Where the table of events begins; None when it cannot be found."""
    patient_id: str | None
    patient_field: str
    """GDF 1.x only."""
    sex: Sex | None
    born: datetime.date | None
    date: datetime.date | None
    device_model: str | None
    descriptions: tuple[str, ...]
    """Texts of the file's own event codes 0, 1, 2, ..."""
    channels: tuple[GdfChannel, ...]
    warnings: tuple[str, ...]


def gdf_version(data: bytes) -> float | None:
    """The version, or None when this is not GDF."""
    stated = re.fullmatch(rb"GDF ([12]\.\d\d?)[ \0]?", data[:8])
    return float(stated[1]) if stated and len(data) >= _FIXED_BYTES else None


def parse_gdf_header(data: bytes, *, strict: bool = False) -> GdfHeader:
    """Parse and bound. Raises InvalidHeader, Truncated or EmptyFile before anything is allocated."""
    version = gdf_version(data) or 0.0
    second = version > _SECOND_GENERATION
    signals = int.from_bytes(data[252:254] if second else data[252:256], "little")
    if not 0 < signals <= _MAX_SIGNALS:
        raise InvalidHeader(f"the GDF header declares {signals} signals (1 to {_MAX_SIGNALS} are read)")
    columns_end = _FIXED_BYTES * (signals + 1)
    header_bytes = 256 * _u16(data, 184) if second else int.from_bytes(data[184:192], "little", signed=True)
    if len(data) < max(columns_end, header_bytes):
        raise Truncated(f"the GDF header of {signals} signals is longer than the file")
    if header_bytes < columns_end:
        raise InvalidHeader("the GDF header's size does not fit its number of signals")
    channels = _channels(data, signals, second)
    record_bytes = sum(x.samples_per_record * x.sample_bytes for x in channels)
    if record_bytes == 0:
        raise EmptyFile("the GDF file's data records are empty")
    declared = struct.unpack_from("<q", data, 236)[0]
    records, warnings = _records(declared, len(data) - header_bytes, record_bytes, strict)
    tags = _tags(data[columns_end:header_bytes]) if second else {}
    maker = [_text(x) for x in tags.get(_MANUFACTURER, b"").split(b"\0")]
    descriptions = tags.get(_DESCRIPTIONS, b"").split(b"\0")
    return GdfHeader(
        version=version,
        header_bytes=header_bytes,
        record_bytes=record_bytes,
        records=records,
        record_s=_record_s(data, version),
        events_at=header_bytes + records * record_bytes if records == declared else None,
        patient_id=identifier_of(_text(data[8:74]).partition(" ")[0]) if second else None,
        patient_field="" if second else _text(data[8:88]),
        sex=_SEXES.get(data[87] & 3) if second else None,
        born=_date(data, 176) if second else None,
        date=_date(data, 168) if second else date_of(data[168:176].decode("latin-1")),
        device_model=model_of(" ".join(x for x in maker[:2] if x)),
        descriptions=tuple(_text(x) for x in descriptions),
        channels=channels,
        warnings=warnings,
    )


def _channels(data: bytes, signals: int, second: bool) -> tuple[GdfChannel, ...]:
    def column(offset: int, code: str) -> tuple[float, ...]:
        return struct.unpack_from(f"<{signals}{code}", data, _FIXED_BYTES + offset * signals)

    def texts(offset: int, width: int) -> list[str]:
        start = _FIXED_BYTES + offset * signals
        return [_text(data[start + i * width : start + (i + 1) * width]) for i in range(signals)]

    labels, low, high = texts(0, 16), column(104, "d"), column(112, "d")
    limit = "d" if second else "q"
    digital_low, digital_high = column(120, limit), column(128, limit)
    counts, types = column(216, "I"), column(220, "I")
    if second:
        codes, words = column(102, "H"), texts(96, 6)
        units = [unit_of(int(x), text) for x, text in zip(codes, words, strict=True)]
        cutoffs = zip(column(208, "f"), column(204, "f"), column(212, "f"), strict=True)
        filters = [Filters(**dict(zip(_CUTOFFS, map(_cutoff, x), strict=True))) for x in cutoffs]
    else:
        units, filters = texts(96, 8), [filters_in(x) for x in texts(136, 80)]
    channels: list[GdfChannel] = []
    first_byte = 0
    for i in range(signals):
        if types[i] not in _TYPES:
            raise InvalidHeader(f"the GDF file stores samples as type {types[i]}, which is not read")
        channel = GdfChannel(
            label=labels[i],
            unit=units[i],
            low=low[i],
            high=high[i],
            digital_low=digital_low[i],
            digital_high=digital_high[i],
            filters=filters[i],
            samples_per_record=int(counts[i]),
            type_name=_TYPES[int(types[i])],
            first_byte=first_byte,
        )
        channels.append(channel)
        first_byte += channel.samples_per_record * channel.sample_bytes
    return tuple(channels)


_CUTOFFS = ("highpass_hz", "lowpass_hz", "notch_hz")


def _cutoff(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) and value > 0 else None


def _records(declared: int, available: int, record_bytes: int, strict: bool) -> tuple[int, tuple[str, ...]]:
    whole = available // record_bytes
    if declared > whole:
        if strict or whole < MIN_LENGTH_SHARE * declared:
            raise Truncated(
                f"the GDF header declares {declared} data records of {record_bytes} bytes; "
                f"the file holds {whole}. Send the whole file"
            )
        return whole, (f"truncated: {whole} of {declared} data records are there",)
    if declared < 0 and whole:
        return whole, ("the header does not say how many data records there are; the file's size does",)
    if declared <= 0:
        raise EmptyFile("the GDF file holds no data records")
    return declared, ()


def _record_s(data: bytes, version: float) -> float:
    if version < _SECONDS_AS_FLOAT:
        above, below = struct.unpack_from("<II", data, 244)
        record_s = above / below if below else 0.0
    else:
        record_s = struct.unpack_from("<d", data, 244)[0]
    if not (math.isfinite(record_s) and record_s > 0):
        raise InvalidHeader("the GDF header's duration of a data record is not positive")
    return record_s


def _tags(area: bytes) -> dict[int, bytes]:
    """Header 3: a tag, the length in three bytes, the value; tag 0 ends it."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(area) and area[at]:
        end = at + 4 + int.from_bytes(area[at + 1 : at + 4], "little")
        found.setdefault(area[at], area[at + 4 : end])
        at = end
    return found


def _date(data: bytes, at: int) -> datetime.date | None:
    """Days in 32.32 bits; 0 is unknown."""
    day = struct.unpack_from("<Q", data, at)[0] >> 32
    return datetime.date.fromordinal(day - _DAY_ZERO) if _DAY_ZERO < day < 3_000_000 else None


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _text(field: bytes) -> str:
    part = field.partition(b"\0")[0]
    try:
        return part.decode("utf-8").strip()
    except UnicodeDecodeError:
        return part.decode("latin-1").strip()
