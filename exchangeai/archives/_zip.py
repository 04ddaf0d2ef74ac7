"""Zip archives by their central directory (PKWARE APPNOTE 6.3.10), inflated member by member in memory.

Written anew because the library's reader builds an object for every entry that the directory can be made to
claim and inflates what the directory says; here both are bounded first.
"""

from __future__ import annotations

import stat
import struct
import zlib
from typing import NamedTuple

from exchangeai.archives._limits import Budget, too_large
from exchangeai.archives._members import Member, refusal_of, without_repeats
from exchangeai.errors import ExchangeaiError, InvalidHeader, Truncated, UnsafeReference

MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY = struct.Struct("<4sBBHHHHHLLLHHHHHLL")
_LOCAL_BYTES = 30
_MAX_COMMENT = 0xFFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800
_UNIX = 3


class Directory(NamedTuple):
    """Where the central directory is."""

    at: int
    size: int
    shift: int
    """Bytes before the archive proper (a self-extracting program), to be added to all offsets."""


class Zip:
    """An opened zip archive. Raises Truncated, InvalidHeader or TooLarge when its directory is unusable."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data = memoryview(data)
        self._budget = budget
        where = find_directory(data)
        if where is None:
            raise Truncated("the zip archive ends before its directory; send the whole file")
        # An entry has 46 bytes and a name: so many entries at most, before any is made.
        budget.take_members(count_entries(data, where))
        self.members = without_repeats(_members(data, where))
        self.damage: ExchangeaiError | None = None

    def head(self, index: int, count: int) -> bytes:
        """The first bytes of a member."""
        member = self.members[index]
        try:
            source = self._source(member)
            if member.method == _STORED:
                return bytes(source[:count])
            return zlib.decompressobj(-15).decompress(source[: count + 1024], count)
        except (ExchangeaiError, zlib.error):
            return b""

    def read(self, index: int) -> bytes:
        """A member's bytes, checked against its CRC."""
        member = self.members[index]
        allowed = self._budget.allowance(member.compressed)
        if member.size > allowed:
            raise too_large(allowed, self._budget.limits)
        source = self._source(member)
        if member.method == _STORED:
            data = bytes(source)
        else:
            try:
                # One byte more than declared shows a directory that lies.
                data = zlib.decompressobj(-15).decompress(source, member.size + 1)
            except zlib.error as e:
                raise InvalidHeader("a member of the zip archive is damaged; send it again") from e
        self._budget.take_bytes(len(data))
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise InvalidHeader(
                "a member of the zip archive does not match its checksum or size; send it again"
            )
        return data

    def _source(self, member: Member) -> memoryview:
        local = self._data[member.at : member.at + _LOCAL_BYTES]
        if len(local) < _LOCAL_BYTES or bytes(local[:4]) != MAGICS[0]:
            raise InvalidHeader("the zip archive's directory points to no member")
        names, extra = struct.unpack_from("<HH", local, 26)
        begin = member.at + _LOCAL_BYTES + names + extra
        source = self._data[begin : begin + (member.compressed or 0)]
        if len(source) < (member.compressed or 0):
            raise Truncated("a member of the zip archive is cut off; send the whole archive")
        return source


def find_directory(data: bytes) -> Directory | None:
    """The central directory by the record at the end of the archive, also of zip64; None without one."""
    end = data.rfind(_END, max(0, len(data) - _MAX_COMMENT - 22))
    if end < 0 or end + 22 > len(data):
        return None
    size, at = struct.unpack_from("<LL", data, end + 12)
    before = end
    locator = end - 20
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR_64:
        found = data.rfind(_END_64, max(0, locator - _MAX_COMMENT), locator)
        if found >= 0 and found + 56 <= locator:
            size, at = struct.unpack_from("<QQ", data, found + 40)
            before = found
    shift = before - size - at
    if shift < 0:
        return None
    return Directory(at + shift, size, shift)


def count_entries(data: bytes, where: Directory) -> int:
    """How many entries the directory holds, without keeping any."""
    at, end, count = where.at, where.at + where.size, 0
    while at + _ENTRY.size <= end and data[at : at + 4] == b"PK\x01\x02":
        names, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        at += _ENTRY.size + names + extra + comment
        count += 1
    return count


def names_in(data: bytes, where: Directory, most: int) -> list[str]:
    """The names of the first members."""
    at, end, names = where.at, where.at + where.size, list[str]()
    while len(names) < most and at + _ENTRY.size <= end and data[at : at + 4] == b"PK\x01\x02":
        size, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        names.append(data[at + _ENTRY.size : at + _ENTRY.size + size].decode("utf-8", "replace"))
        at += _ENTRY.size + size + extra + comment
    return names


def _members(data: bytes, where: Directory) -> list[Member]:
    members: list[Member] = []
    at, end = where.at, where.at + where.size
    while at + _ENTRY.size <= end:
        (magic, _, host, _, flags, method, _, _, crc, compressed, size, names, extra, comment,
         _, _, attributes, offset) = _ENTRY.unpack_from(data, at)  # fmt: skip
        if magic != b"PK\x01\x02":
            raise InvalidHeader("the zip archive's directory is damaged; send the archive again")
        at += _ENTRY.size
        name = _name(data[at : at + names], flags)
        more = data[at + names : at + names + extra]
        at += names + extra + comment
        size, compressed, offset = _wide(more, size, compressed, offset)
        if name.endswith("/") and size == 0:
            continue
        mode = attributes >> 16 if host == _UNIX else 0
        members.append(
            Member(
                name=name,
                size=size,
                at=offset + where.shift,
                compressed=compressed,
                method=method,
                crc=crc,
                refusal=_refusal(name, flags, method, mode, size, compressed),
            )
        )
    return members


def _name(raw: bytes, flags: int) -> str:
    if flags & _UTF8:
        return raw.decode("utf-8", "replace")
    try:
        # Most writers of today forget the flag.
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _wide(extra: bytes, *fields: int) -> tuple[int, int, int]:
    """Size, compressed size and offset, those that do not fit 32 bits from the zip64 field (4.5.3)."""
    values = list(fields)
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
            place = 0
            for i, value in enumerate(values):
                if value == 0xFFFFFFFF and place + 8 <= len(wide):
                    values[i] = struct.unpack_from("<Q", wide, place)[0]
                    place += 8
        at += 4 + length
    return values[0], values[1], values[2]


def _refusal(
    name: str, flags: int, method: int, mode: int, size: int, compressed: int
) -> ExchangeaiError | None:
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return UnsafeReference("a member is a link or a device, not a file; not followed")
    if flags & _ENCRYPTED:
        return InvalidHeader("a member is encrypted; send the archive without a password")
    if method not in (_STORED, _DEFLATED):
        return InvalidHeader("a member is compressed in another way than `deflate`; pack it as a plain zip")
    if method == _STORED and size != compressed:
        return InvalidHeader("a member's sizes in the zip archive's directory contradict each other")
    return refusal_of(name)
