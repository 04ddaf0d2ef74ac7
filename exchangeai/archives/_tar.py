"""Tar archives (POSIX.1-1988 ustar, pax, GNU long names), plain in memory or within a gzip stream.

Written anew because the library's reader takes the length of a name from the file and allocates it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from exchangeai.archives._gzip import Inflated
from exchangeai.archives._limits import Budget, too_large
from exchangeai.archives._members import Member, refusal_of, without_repeats
from exchangeai.errors import ExchangeaiError, InvalidHeader, TooLarge, Truncated, UnsafeReference

BLOCK = 512
_MAX_NAME_BYTES = 1 << 16
_FILES = frozenset({b"0", b"\0", b"7"})
_FOLDER, _LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"5", b"L", b"K", b"x", b"g"


Reading = Callable[[int], bytes]
"""Gives the next bytes of a member, at most so many."""


class _Stream(Protocol):
    position: int

    def read(self, count: int) -> bytes: ...

    def skip(self, count: int) -> int: ...


class _Plain:
    """A tar file in memory as a stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def read(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        self.position += len(taken)
        return taken

    def skip(self, count: int) -> int:
        passed = min(count, len(self._data) - self.position)
        self.position += passed
        return passed


class Tar:
    """An opened plain tar archive."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data = memoryview(data)
        self._budget = budget
        listed = _directory(_Plain(data), budget, lambda _: b"")
        self.members, self.damage = listed.members, listed.damage

    def head(self, index: int, count: int) -> bytes:
        """The first bytes of a member."""
        member = self.members[index]
        return bytes(self._data[member.at : member.at + min(count, member.size)])

    def read(self, index: int) -> bytes:
        """A member's bytes."""
        member = self.members[index]
        data = bytes(self._data[member.at : member.at + _checked_size(member, self._budget)])
        if len(data) < member.size:
            raise Truncated("the tar archive ends within a member; send the whole archive")
        self._budget.take_bytes(len(data))
        return data


class TarGz:
    """An opened tar archive within gzip: one pass for the directory, another for the members.

    Members are read in the order of the stream as far as possible; those passed over on the way are kept
    until they are asked for, within `held_bytes`. `head_of` reads as much of each member as is to be kept.
    """

    def __init__(self, data: bytes, budget: Budget, head_of: Callable[[Reading], bytes]) -> None:
        self._budget = budget
        listed = _directory(Inflated(data, budget), budget, head_of)
        self.members, self.damage = listed.members, listed.damage
        self._heads = listed.heads
        self._stream = Inflated(data, None)
        self._next = 0
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0

    def head(self, index: int, count: int) -> bytes:
        """The first bytes of a member."""
        return self._heads[index][:count]

    def read(self, index: int) -> bytes:
        """A member's bytes; each may be asked for once."""
        _checked_size(self.members[index], self._budget)
        while self._next <= index:
            self._pass(self._next, index)
            self._next += 1
        data = self._held.pop(index, None)
        if data is None:
            raise TooLarge(
                "the files of one record lie too far apart in the compressed archive; pack it as a zip"
            )
        self._held_bytes -= len(data)
        if len(data) < self.members[index].size:
            raise Truncated("the archive ends within a member; send the whole archive")
        return data

    def _pass(self, at: int, wanted: int) -> None:
        member = self.members[at]
        room = self._budget.limits.held_bytes - self._held_bytes
        limit = self._budget.limits.record_bytes if at == wanted else room
        if member.refusal is not None or member.size > limit:
            return
        self._stream.skip(member.at - self._stream.position)
        try:
            self._held[at] = self._stream.read(member.size)
        except ExchangeaiError:
            # Damaged on the way; the directory knew the size, so that shows as truncated.
            self._held[at] = b""
        self._held_bytes += len(self._held[at])


class _Directory(NamedTuple):
    members: tuple[Member, ...]
    heads: list[bytes]
    damage: ExchangeaiError | None


def looks_like_tar(head: bytes) -> bool:
    """Whether the first block is a tar header: its own checksum tells."""
    return len(head) >= BLOCK and _sum_is_right(head[:BLOCK])


def _sum_is_right(block: bytes) -> bool:
    if not any(block[:100]):
        return False
    try:
        stated = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return stated == sum(block) - sum(block[148:156]) + 8 * 32


def _directory(stream: _Stream, budget: Budget, head_of: Callable[[Reading], bytes]) -> _Directory:
    """All members. Where the archive is damaged or cut, those before count and the damage is told."""
    members, heads = list[Member](), list[bytes]()
    damage: ExchangeaiError | None = None
    told = _Told()
    try:
        while len(block := stream.read(BLOCK)) == BLOCK and any(block):
            if not _sum_is_right(block):
                raise InvalidHeader("a header of the tar archive is damaged; send it again")
            kind, size, begin = block[156:157], _number(block[124:136]), stream.position
            if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                told.learn(kind, _extension(stream, size))
            else:
                size = told.size if told.size is not None else size
                name = told.name or _name(block)
                told = _Told()
                if kind != _FOLDER and not name.endswith("/"):
                    budget.take_members(1)
                    refusal = _refusal(name, kind)
                    name = name.removeprefix("./")
                    members.append(Member(name=name, size=size, at=begin, refusal=refusal))
                    heads.append(head_of(_within(stream, size)))
            _skip_to(stream, begin + -(-size // BLOCK) * BLOCK)
        if len(block) < BLOCK and (block or not members):
            damage = Truncated("the archive ends before its end mark; send the whole archive")
    except (Truncated, InvalidHeader) as e:
        if not members:
            raise
        damage = e
        heads += [b""] * (len(members) - len(heads))
    return _Directory(without_repeats(members), heads, damage)


class _Told:
    """What extension headers say of the member that follows."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.size: int | None = None

    def learn(self, kind: bytes, text: bytes) -> None:
        """GNU long name, or pax records `length key=value`."""
        if kind == _LONG_NAME:
            self.name = text.rstrip(b"\0").decode("utf-8", "replace")
        elif kind == _PAX:
            records = _pax_records(text)
            self.name = records.get("path", self.name)
            if (size := records.get("size", "")).isdecimal() and len(size) < 20:
                self.size = int(size)


def _extension(stream: _Stream, size: int) -> bytes:
    if size > _MAX_NAME_BYTES:
        raise InvalidHeader("an extended header of the tar archive is longer than any name")
    return stream.read(size)


def _pax_records(text: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    at = 0
    while at < len(text):
        length, _, rest = text[at : at + _MAX_NAME_BYTES].partition(b" ")
        if not length.isdigit() or len(length) > 6 or int(length) <= len(length):
            break
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        at += int(length)
    return records


def _skip_to(stream: _Stream, position: int) -> None:
    stream.skip(position - stream.position)


def _number(field: bytes) -> int:
    """Octal, or base 256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return max(0, int(field.strip(b" \0") or b"0", 8))
    except ValueError as e:
        raise InvalidHeader("a size in the tar archive is not a number") from e


def _name(block: bytes) -> str:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _refusal(name: str, kind: bytes) -> ExchangeaiError | None:
    if kind not in _FILES:
        return UnsafeReference("a member is a link, a pipe or a device, not a file; not followed")
    return refusal_of(name.removeprefix("./"))


def _checked_size(member: Member, budget: Budget) -> int:
    allowed = budget.allowance(None)
    if member.size > allowed:
        raise too_large(budget.limits.record_bytes, budget.limits)
    return member.size


def _within(stream: _Stream, size: int) -> Reading:
    end = stream.position + size
    return lambda count: stream.read(min(count, end - stream.position))
