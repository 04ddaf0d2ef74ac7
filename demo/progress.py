"""A progress bar on standard error: redrawn on a terminal, a line at every 10 % elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

WIDTH = 28


class Progress:
    """One bar. Use as a context manager; leaving it ends the line."""

    def __init__(self, title: str, total: float, out: TextIO | None = None) -> None:
        self._title, self._total, self._out = title, max(total, 1e-9), out or sys.stderr
        self._live = self._out.isatty()
        self._tenth = -1
        self._text = ""

    def __enter__(self) -> Progress:
        self.update(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._out.write("\n")
            self._out.flush()

    def update(self, done: float, note: str = "") -> None:
        """Show that `done` of the total is done, with a few words on it."""
        share = min(max(done / self._total, 0.0), 1.0)
        text = f"{self._title:<22} {100 * share:3.0f} %  {note}"
        if self._live:
            filled = round(WIDTH * share)
            bar = "█" * filled + "░" * (WIDTH - filled)
            text = f"{self._title:<22} {bar} {100 * share:3.0f} %  {note}"
            self._out.write("\r" + text.ljust(len(self._text)))
            self._text = text
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            self._out.write(text.rstrip() + "\n")
        self._out.flush()
