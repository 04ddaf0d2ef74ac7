"""Writes SCP-ECG files from a known signal, with each way of encoding that real samples lack."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = Sequence[tuple[str, int, int | None]]
"""One table: the bits of the prefix, how many bits follow, and the value (None: what follows)."""

SHORT: Codes = [("0", 0, 0), ("10", 0, 1), ("110", 0, -1), ("1110", 8, None), ("1111", 16, None)]
LONG: Codes = [("1" * 13 + "01", 0, 0), ("0", 16, None)]
DEFAULT: Codes = [
    ("0", 0, 0),
    *(("1" * n + "0" + s, 0, -n if s == "1" else n) for n in range(1, 9) for s in "01"),
    ("1111111110", 8, None),
    ("1111111111", 16, None),
]


def differences(values: Ints, order: int) -> Ints:
    """Amplitudes, first or second differences; the first values are amplitudes."""
    out = values.copy()
    if order == 1:
        out[1:] = np.diff(values)
    if order == 2:
        out[2:] = np.diff(values, 2)
    return out


def encoded(values: Ints, codes: Codes | None) -> bytes:
    """As 16-bit integers, or in the codes of a table."""
    if codes is None:
        return values.astype("<i2").tobytes()
    return packed("".join(code_of(int(x), codes) for x in values))


def code_of(value: int, codes: Codes) -> str:
    for prefix, extra, stands_for in codes:
        if stands_for == value and not extra:
            return prefix
    for prefix, extra, stands_for in codes:
        if stands_for is None and -(1 << extra - 1) <= value < 1 << extra - 1:
            return prefix + format(value & ((1 << extra) - 1), f"0{extra}b")
    raise ValueError(value)


def packed(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int("1" + padded, 2).to_bytes(len(padded) // 8 + 1, "big")[1:]


def tables(*all_codes: Codes, switches: Mapping[int, Sequence[tuple[str, int]]] | None = None) -> bytes:
    """Section 2; `switches` gives per table (from 0) prefixes and the table (from 1) that they lead to."""
    out = struct.pack("<H", len(all_codes))
    for i, codes in enumerate(all_codes):
        leading = (switches or {}).get(i, ())
        out += struct.pack("<H", len(codes) + len(leading))
        rows = [(prefix, len(prefix) + extra, 1, value or 0) for prefix, extra, value in codes]
        rows += [(prefix, len(prefix), 0, table) for prefix, table in leading]
        for prefix, total, mode, value in rows:
            out += struct.pack("<BBBhI", len(prefix), total, mode, value, int(prefix[::-1], 2))
    return out


def lead_section(
    numbers: Sequence[int], ranges: Sequence[tuple[int, int]], *, subtracted: bool = False
) -> bytes:
    """Section 3."""
    out = bytes([len(numbers), 4 | subtracted])
    for number, (first, last) in zip(numbers, ranges, strict=True):
        out += struct.pack("<IIB", first, last, number)
    return out


def beat_section(length_ms: int, fiducial: int, places: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Section 4."""
    return struct.pack("<HHH", length_ms, fiducial, len(places)) + b"".join(
        struct.pack("<HIII", *x) for x in places
    )


def data_section(
    chunks: Sequence[bytes], *, nv: int = 2500, us: int = 2000, order: int = 0, flag: int = 0
) -> bytes:
    """Section 5 or 6."""
    sizes = struct.pack(f"<{len(chunks)}H", *map(len, chunks))
    return struct.pack("<HHBB", nv, us, order, flag) + sizes + b"".join(chunks)


def tags(**values: bytes) -> bytes:
    """Section 1 from `t8=b"\\x01"` and so on."""
    out = b"".join(struct.pack("<BH", int(name[1:]), len(x)) + x for name, x in values.items())
    return out + b"\xff\0\0"


def scp(sections: Mapping[int, bytes], *, magic: bytes = b"SCPECG") -> bytes:
    """A whole file with right pointers and checksums."""
    numbers = sorted({*range(1, 12), *sections})
    pointers, bodies = b"", b""
    head = 16 + 10 * (len(numbers) + 1)
    at = 6 + head
    for number in numbers:
        if number not in sections:
            pointers += struct.pack("<HII", number, 0, 0)
            continue
        body = _section(number, sections[number], b"\0" * 6)
        pointers += struct.pack("<HII", number, len(body), at + 1)
        bodies, at = bodies + body, at + len(body)
    zero = _section(0, struct.pack("<HII", 0, head, 7) + pointers, magic)
    content = struct.pack("<I", 6 + len(zero) + len(bodies)) + zero + bodies
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content


def _section(number: int, body: bytes, reserved: bytes) -> bytes:
    body += bytes(len(body) % 2)
    content = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + reserved + body
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content
