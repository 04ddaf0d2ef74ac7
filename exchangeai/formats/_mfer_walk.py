"""The definitions of an MFER file in order: a tag, a length, a value; nested only for channels and groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats import _mfer_tags as tags

_MAX_DEPTH = 4
_MAX_DEFINITIONS = 100_000
_SNIFFED = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """One definition; `channel` counts from 0, None for the whole file."""

    tag: int
    channel: int | None
    value: memoryview
    missing_bytes: int = 0
    """So many bytes of its samples lie behind the end of the file."""


def is_mfer(data: bytes) -> bool:
    """A preamble `MFR `, or a byte order followed by nothing but known definitions up to samples."""
    if data[:1] == bytes([tags.PREAMBLE]):
        return data[2:6] == b"MFR "
    if len(data) < 8 or data[:2] != b"\x01\x01" or data[2] > 1:
        return False
    return _leads_to_samples(data)


def definitions_in(data: bytes) -> Iterator[Definition]:
    """All definitions up to the end mark. Raises InvalidHeader or Truncated where they make no sense."""
    return _Walk(data).within(0, len(data), None, 0)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._seen = 0
        self._at = 0

    def within(
        self, at: int, end: int, channel: int | None, depth: int, *, open_end: bool = False
    ) -> Iterator[Definition]:
        """Definitions from `at` on; `open_end` ones end by two zeros instead of a length."""
        if depth > _MAX_DEPTH:
            raise InvalidHeader(f"the definitions of the MFER file are nested more than {_MAX_DEPTH} deep")
        self._at = at
        while self._at < end:
            tag = self._byte(end)
            if tag == 0:
                if open_end and self._at < end and self._data[self._at] == 0:
                    self._at += 1
                    return
                continue
            if tag == tags.END and depth == 0:
                return
            yield from self._definition(tag, end, channel, depth)
        if open_end:
            raise Truncated("a definition of the MFER file has no end")

    def _definition(self, tag: int, end: int, channel: int | None, depth: int) -> Iterator[Definition]:
        self._seen += 1
        if self._seen > _MAX_DEFINITIONS:
            raise InvalidHeader(f"the MFER file holds more than {_MAX_DEFINITIONS} definitions")
        if tag == tags.CHANNEL:
            channel = self._channel(end)
        size = self._length(end)
        if tag in (tags.CHANNEL, tags.GROUP):
            if size is None:
                yield from self.within(self._at, end, channel, depth + 1, open_end=True)
                return
            stop = self._at + size
            if stop > end:
                raise Truncated("a definition of the MFER file is longer than what holds it")
            yield from self.within(self._at, stop, channel, depth + 1)
            self._at = stop
            return
        if size is None:
            raise InvalidHeader("a value of the MFER file states no length")
        start, stop = self._at, self._at + size
        if stop > end and not (tag == tags.DATA and depth == 0):
            raise Truncated("a value of the MFER file is longer than the file")
        self._at = min(stop, end)
        missing_bytes = max(stop - end, 0)
        yield Definition(
            tag=tag, channel=channel, value=self._data[start : self._at], missing_bytes=missing_bytes
        )

    def _byte(self, end: int) -> int:
        if self._at >= end:
            raise Truncated("the MFER file ends within a definition")
        self._at += 1
        return self._data[self._at - 1]

    def _channel(self, end: int) -> int:
        number = 0
        for _ in range(4):
            byte = self._byte(end)
            number = number << 7 | byte & 0x7F
            if not byte & 0x80:
                return number
        raise InvalidHeader("the number of a channel in the MFER file is absurd")

    def _length(self, end: int) -> int | None:
        """None where two zeros end the value instead."""
        first = self._byte(end)
        if first < 0x80:
            return first
        if first == 0x80:
            return None
        if first > 0x84:
            raise InvalidHeader("a length in the MFER file has more than four bytes")
        return int.from_bytes(bytes(self._byte(end) for _ in range(first & 0x7F)), "big")


def _leads_to_samples(data: bytes) -> bool:
    found: list[int] = []
    try:
        for definition in definitions_in(data[: 1 << 14]):
            found.append(definition.tag)
            if definition.tag not in tags.KNOWN or len(found) > _SNIFFED:
                return False
            if definition.tag == tags.DATA:
                return tags.CHANNELS in found or tags.BLOCK in found or tags.INTERVAL in found
    except (InvalidHeader, Truncated):
        return False
    return False
