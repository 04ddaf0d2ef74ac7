"""What archives may cost, and the account that all members of one archive share."""

from __future__ import annotations

from dataclasses import dataclass

from exchangeai.errors import TooLarge

_MIB = 1 << 20
_SMALL_MEMBER = _MIB
_SMALL_ARCHIVE = 64 * _MIB


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on an archive with all archives inside it."""

    total_bytes: int = 8 << 30
    """Of all members, inflated."""
    record_bytes: int = 512 * _MIB
    """Of one member, and of all files of one record."""
    held_bytes: int = 512 * _MIB
    """Kept back at a time where the files of records lie scattered over a compressed stream."""
    ratio: int = 250
    """Inflated over compressed bytes of a member above 1 MiB, and of a whole archive above 64 MiB; exported
    ECGs stay below 50."""
    members: int = 20_000
    depth: int = 2
    """Archives within archives: 1 opens no archive that lies in another."""


class Budget:
    """Counts what an archive has cost so far."""

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self.limits = limits
        self._archive_bytes = archive_bytes
        self._inflated = 0
        self._members = 0

    def take_members(self, count: int) -> None:
        """Count directory entries before any is kept. Raises TooLarge."""
        self._members += count
        if self._members > self.limits.members:
            raise TooLarge(
                f"the archive holds more than {self.limits.members} members; send it in smaller parts"
            )

    def allowance(self, compressed: int | None) -> int:
        """How many bytes one member may inflate to, given its compressed size where that is known."""
        allowed = min(self.limits.record_bytes, self._left())
        if compressed is not None:
            allowed = min(allowed, max(_SMALL_MEMBER, self.limits.ratio * compressed))
        return allowed

    def take_bytes(self, count: int) -> None:
        """Count inflated bytes. Raises TooLarge when the archive as a whole is over a limit."""
        self._inflated += count
        if self._left() < 0:
            raise TooLarge(
                "the archive inflates to more bytes than an archive may, or so much more than its own size "
                "that it is no collection of ECGs; send it in smaller parts"
            )

    def _left(self) -> int:
        by_ratio = max(_SMALL_ARCHIVE, self.limits.ratio * self._archive_bytes)
        return min(self.limits.total_bytes, by_ratio) - self._inflated


def too_large(allowed: int, limits: Limits) -> TooLarge:
    """Why a member was not inflated."""
    if allowed >= limits.record_bytes:
        return TooLarge(f"a member of an archive may hold at most {limits.record_bytes // _MIB} MiB")
    return TooLarge("a member inflates to far more than its compressed size, as no ECG does; not opened")
