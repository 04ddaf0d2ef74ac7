"""The sections of an SCP-ECG file: pointers, lengths and checksums (EN 1064 5.2 and 5.3)."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE

MAGIC = b"SCPECG"
_HEADER_BYTES = 16
_POINTER = struct.Struct("<HII")
_FIRST_SECTION = 6
_NEEDED = frozenset({2, 3, 4, 5, 6})
_TOO_SHORT = "the SCP-ECG file is truncated: it ends before its header says; send the whole file"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section without its header of 16 bytes."""

    body: bytes
    missing: int
    """Bytes that the file should still have had."""
    protocol: int
    """Version of the standard times ten (20 is 2.0)."""


def looks_like_scp(data: bytes) -> bool:
    """By the mark in section 0, or in old files without it by the pointer of section 0 to itself."""
    if len(data) < 32:
        return False
    if data[16:22] == MAGIC:
        return True
    number, length = struct.unpack_from("<HI", data, 8)
    own = _POINTER.unpack_from(data, 22)
    return number == 0 and length >= 32 and length % 2 == 0 and own == (0, length, _FIRST_SECTION + 1)


def sections_of(data: bytes, *, strict: bool) -> tuple[dict[int, Section], list[str]]:
    """Sections by number, and warnings.

    Raises Truncated when less than half of the declared bytes are there (in strict mode: any fewer), and
    InvalidHeader for pointers that lead nowhere; strict mode refuses wrong checksums too.
    """
    if len(data) < _FIRST_SECTION + _HEADER_BYTES:
        raise Truncated(_TOO_SHORT)
    warnings = _check_whole(data, strict)
    length: int = struct.unpack_from("<I", data, _FIRST_SECTION + 4)[0]
    if length < _HEADER_BYTES or _FIRST_SECTION + length > len(data):
        raise InvalidHeader(
            "the table of sections does not fit into the SCP-ECG file; export it again from its source"
        )
    found: dict[int, Section] = {}
    begin = _FIRST_SECTION + _HEADER_BYTES
    for at in range(begin, _FIRST_SECTION + length - _POINTER.size + 1, _POINTER.size):
        number, size, index = _POINTER.unpack_from(data, at)
        if number and size and index and number not in found:
            section = _section(data, (number, size, index), warnings, strict)
            if section is not None:
                found[number] = section
    return found, warnings


def _check_whole(data: bytes, strict: bool) -> list[str]:
    crc, length = struct.unpack_from("<HI", data)
    if length > len(data):
        if strict or len(data) < MIN_LENGTH_SHARE * length:
            raise Truncated(_TOO_SHORT)
        return ["the file is truncated: it ends before its header says"]
    warnings: list[str] = []
    if length < len(data):
        warnings.append("the file is longer than its header says; the rest was left out")
    if binascii.crc_hqx(data[2 : max(length, 2)], 0xFFFF) != crc:
        _refuse_checksum(strict)
        warnings.append("the checksum of the file is wrong; its content may be damaged")
    return warnings


def _section(data: bytes, pointer: tuple[int, int, int], warnings: list[str], strict: bool) -> Section | None:
    number, size, index = pointer
    begin = index - 1
    raw = data[begin : begin + size]
    crc, own_number, own_size, _, protocol = struct.unpack_from("<HHIBB", raw.ljust(_HEADER_BYTES, b"\0"))
    # The own length is left out by some writers.
    if min(len(raw), size) < _HEADER_BYTES or own_number != number or own_size not in (0, size):
        if strict or number in _NEEDED:
            missing = begin >= len(data) - _HEADER_BYTES
            raise (Truncated if missing else InvalidHeader)(
                f"section {number} of the SCP-ECG file is not where its table of sections says; "
                "send the whole file, or export it again"
            )
        warnings.append(f"section {number} is not where the table of sections says and was left out")
        return None
    missing = size - len(raw)
    if missing and (strict or (number in _NEEDED and len(raw) < MIN_LENGTH_SHARE * size)):
        raise Truncated(_TOO_SHORT)
    if missing:
        warnings.append(f"section {number} is truncated")
    elif binascii.crc_hqx(raw[2:], 0xFFFF) != crc:
        _refuse_checksum(strict)
        warnings.append(f"the checksum of section {number} is wrong; its content may be damaged")
    return Section(body=raw[_HEADER_BYTES:], missing=missing, protocol=protocol)


def _refuse_checksum(strict: bool) -> None:
    if strict:
        raise InvalidHeader(
            "a checksum of the SCP-ECG file is wrong, so its content may be damaged; export it again, or "
            "read it without `strict`"
        )
