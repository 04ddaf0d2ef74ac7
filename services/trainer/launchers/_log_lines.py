"""Lines of a pod's log, each once however often the stream is cut.

The kubelet stamps lines with nanoseconds, but `sinceTime` counts in whole seconds: a new stream repeats the
last second. Lines are not compared by their stamps, which may go back when a clock is set, but by what
came since the second from which the new stream begins.
"""

from __future__ import annotations

from collections import deque


class LogLines:
    """Takes the bytes of streams with time stamps; gives lines without them."""

    def __init__(self) -> None:
        self._part = b""
        self._second = b""
        self._of_second: list[bytes] = []
        self._repeated: deque[bytes] = deque()

    def begin(self) -> str | None:
        """A new stream comes; returns its `sinceTime`, None for the log's beginning."""
        self._part = b""
        self._repeated = deque(self._of_second)
        return self._second.decode() or None

    def take(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete and that have not been given before."""
        *whole, self._part = (self._part + data).split(b"\n")
        return [text for text in map(self._text, whole) if text is not None]

    def end(self) -> list[bytes]:
        """The last line, when the log has ended without a line break."""
        return self.take(b"\n") if self._part else []

    def _text(self, line: bytes) -> bytes | None:
        if self._repeated:
            if line == self._repeated[0]:
                self._repeated.popleft()
                return None
            # The log was rotated, and what would be repeated is gone.
            self._repeated.clear()
        stamp, _, text = line.partition(b" ")
        second = _whole_second(stamp)
        if second != self._second:
            self._second, self._of_second = second, []
        self._of_second.append(line)
        return text


def _whole_second(stamp: bytes) -> bytes:
    """`2026-01-02T03:04:05.678+01:00` without its fraction."""
    whole, rest = stamp[:19], stamp[19:].lstrip(b".0123456789")
    return whole + rest
