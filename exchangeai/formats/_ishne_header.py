"""The header of ISHNE Holter files: 512 fixed bytes after magic and checksum, all integers little endian.

Badilini 1998, "The ISHNE Holter standard output file format", Ann. Noninvasive Electrocardiol. 3(3).
"""

from __future__ import annotations

import binascii
import datetime
import struct
from dataclasses import dataclass

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._people import identifier_of, model_of
from exchangeai.recording import Sex

SIGNAL, BEATS = b"ISHNE1.0", b"ANN  1.0"
_CHECKED_FROM, FIXED_END = 10, 522
_MAX_LEADS = 12
_SEXES: dict[int, Sex] = {1: "M", 2: "F"}


@dataclass(frozen=True, kw_only=True)
class IshneHeader:
    """What both kinds of file say, signals and beats."""

    stated_samples: int
    """Of each lead by the standard; some writers count those of all leads."""
    data_at: int
    lead_codes: tuple[int, ...]
    qualities: tuple[int, ...]
    resolutions_nv: tuple[int, ...]
    rate_hz: int | None
    sex: Sex | None
    born: datetime.date | None
    recorded: datetime.date | None
    patient_id: str | None
    device_model: str | None
    warnings: tuple[str, ...]


def parse_ishne_header(data: bytes, *, strict: bool) -> IshneHeader:
    """Parse and bound. Raises Truncated or InvalidHeader; a wrong checksum only when strict."""
    if len(data) < FIXED_END:
        raise Truncated("the ISHNE header is longer than the file")
    variable_bytes, samples, _, data_at = struct.unpack_from("<4i", data, 10)
    leads, *lists = struct.unpack_from("<h36h", data, 156)
    if not 0 < leads <= _MAX_LEADS:
        raise InvalidHeader(f"the ISHNE header declares {leads} leads (1 to {_MAX_LEADS} by the standard)")
    if data_at < FIXED_END or variable_bytes < 0:
        raise InvalidHeader("the ISHNE header places its data inside itself")
    if data_at > len(data):
        raise Truncated("the ISHNE file ends before its data begin")
    warnings: list[str] = []
    if not _checksum_fits(data, FIXED_END + variable_bytes):
        if strict:
            raise InvalidHeader("the checksum of the ISHNE header does not fit; copy the file again")
        warnings.append("the checksum of the header does not fit")
    if data_at != FIXED_END + variable_bytes:
        warnings.append("the header's sizes contradict each other; the stated place of the data was used")
    first, last, code = (_text(data[a:b]) for a, b in ((28, 68), (68, 108), (108, 128)))
    born = _date(data, 132)
    name = identifier_of(f"{first} {last}")
    by_name = f"{name} {born}" if name is not None and born is not None else None
    rate_hz = struct.unpack_from("<h", data, 272)[0]
    return IshneHeader(
        stated_samples=samples,
        data_at=data_at,
        lead_codes=tuple(lists[:leads]),
        qualities=tuple(lists[12 : 12 + leads]),
        resolutions_nv=tuple(lists[24 : 24 + leads]),
        rate_hz=rate_hz if rate_hz > 0 else None,
        sex=_SEXES.get(struct.unpack_from("<h", data, 128)[0]),
        born=born,
        recorded=_date(data, 138),
        patient_id=identifier_of(code) or by_name,
        device_model=model_of(_text(data[232:272])),
        warnings=tuple(warnings),
    )


def _checksum_fits(data: bytes, end: int) -> bool:
    """CRC-CCITT (0x1021, begun with 0xFFFF) over the header after the checksum itself."""
    stated = int.from_bytes(data[8:10], "little")
    return end <= len(data) and binascii.crc_hqx(data[_CHECKED_FROM:end], 0xFFFF) == stated


def _date(data: bytes, at: int) -> datetime.date | None:
    """Day, month, year; -9 each where unknown."""
    day, month, year = struct.unpack_from("<3h", data, at)
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("latin-1").strip()
