"""What an archive's directory says of a member, and which members are opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from exchangeai.errors import ExchangeaiError, InvalidHeader, UnknownFormat, UnsafeReference

_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
_LEFTOVERS = re.compile(r"(?i)(?:.*/)?(?:__MACOSX/.*|\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of an archive."""

    name: str
    """As the archive writes it: folders, `/`, base name."""
    size: int
    """Inflated bytes as declared."""
    at: int = 0
    """Where its bytes begin: in the archive for zip, in the stream for tar."""
    compressed: int | None = None
    """Bytes in the archive; None where members are not compressed one by one."""
    method: int = 0
    crc: int | None = None
    refusal: ExchangeaiError | None = None
    """Why it is not opened."""


class Opened(Protocol):
    """An archive whose directory has been read."""

    members: tuple[Member, ...]
    damage: ExchangeaiError | None
    """Why there may be more members than these."""

    def head(self, index: int, count: int) -> bytes:
        """The first bytes of a member; fewer, or none, where it is damaged."""
        ...

    def read(self, index: int) -> bytes:
        """A member's bytes. Raises TooLarge, Truncated or InvalidHeader."""
        ...


def refusal_of(name: str) -> ExchangeaiError | None:
    """Why a member of that name is not opened, or None.

    Nothing is ever written under these names; they are refused because who writes them means harm, and
    because others may unpack what is handed on.
    """
    parts = name.split("/")
    if not name or "\\" in name or name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts:
        return UnsafeReference("a member's name leads out of the archive's folder; not opened")
    if any(ord(x) < 32 or ord(x) == 127 for x in name) or any(_DEVICES.fullmatch(x) for x in parts):
        return UnsafeReference("a member's name is that of a device or holds control characters; not opened")
    if len(name) > 1024:
        return InvalidHeader("a member's name is longer than 1024 characters; not opened")
    if _LEFTOVERS.fullmatch(name):
        return UnknownFormat("skipped: a file that the operating system left in the archive, not an ECG")
    return None


def without_repeats(members: list[Member]) -> tuple[Member, ...]:
    """The members with each repetition of a name refused; the first is the one that counts."""
    seen: set[str] = set()
    checked: list[Member] = []
    for member in members:
        refusal = member.refusal
        if refusal is None and member.name in seen:
            refusal = InvalidHeader("a second member of the same name in the archive; only the first is read")
        seen.add(member.name)
        checked.append(_refused(member, refusal))
    return tuple(checked)


def _refused(member: Member, refusal: ExchangeaiError | None) -> Member:
    if refusal is member.refusal:
        return member
    return Member(
        name=member.name, size=member.size, at=member.at, compressed=member.compressed,
        method=member.method, crc=member.crc, refusal=refusal,
    )  # fmt: skip
