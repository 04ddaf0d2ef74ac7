"""Gzip streams (RFC 1952), inflated forwards in pieces; nothing is kept but what was asked for."""

from __future__ import annotations

import zlib

from exchangeai.archives._limits import Budget
from exchangeai.errors import InvalidHeader, Truncated

MAGIC = b"\x1f\x8b\x08"
_PIECE = 1 << 18
_GZIP = 31


class Inflated:
    """The bytes within a gzip file, from its beginning to its end once.

    `budget` None counts nothing: for a second pass over what has been counted.
    """

    def __init__(self, data: bytes, budget: Budget | None) -> None:
        self._data = memoryview(data)
        self._budget = budget
        self._at = 0
        self._stream = zlib.decompressobj(_GZIP)
        self._ready = bytearray()
        self.position = 0

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only at the end. Raises Truncated, InvalidHeader or TooLarge."""
        while len(self._ready) < count and (piece := self._piece()):
            self._ready += piece
        taken = bytes(self._ready[:count])
        del self._ready[:count]
        self.position += len(taken)
        return taken

    def skip(self, count: int) -> int:
        """Pass over bytes; how many there were."""
        left = count
        while left:
            passed = len(self.read(min(left, _PIECE)))
            if not passed:
                break
            left -= passed
        return count - left

    def _piece(self) -> bytes:
        while self._at < len(self._data) or self._stream.unconsumed_tail:
            if self._stream.eof and not self._next_member():
                return b""
            source = self._stream.unconsumed_tail
            if not source:
                source = self._data[self._at : self._at + _PIECE]
                self._at += len(source)
            try:
                piece = self._stream.decompress(source, _PIECE)
            except zlib.error as e:
                raise InvalidHeader("the gzip file is damaged or its checksum is wrong; send it again") from e
            if self._stream.eof:
                self._at -= len(self._stream.unused_data)
            if piece:
                if self._budget is not None:
                    self._budget.take_bytes(len(piece))
                return piece
        if not self._stream.eof:
            raise Truncated("the gzip file ends before its end mark; send the whole file")
        return b""

    def _next_member(self) -> bool:
        """Whether another gzip member follows (files may be joined); padding and rubbish end the stream."""
        if bytes(self._data[self._at : self._at + 3]) != MAGIC:
            self._at = len(self._data)
            return False
        self._stream = zlib.decompressobj(_GZIP)
        return True


def first_bytes(data: bytes, count: int) -> bytes:
    """The beginning of what a gzip file holds; fewer where it is damaged."""
    try:
        return zlib.decompressobj(_GZIP).decompress(data[: 4 * count + 4096], count)
    except zlib.error:
        return b""
