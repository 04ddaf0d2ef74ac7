"""What a caller may state beside the bytes, and what a reader gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exchangeai.recording import Identifiers, Recording

Unit = Literal["V", "mV", "uV"]
MIN_LENGTH_SHARE = 0.5
"""A lenient reader takes a file that ends early when so much of every lead is there, and refuses others."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the file itself does not say. Never guessed: without it such a file is refused."""

    sampling_rate_hz: float | None = None
    """In hertz, for arrays and tables."""
    unit: Unit | None = None
    """Of the samples, for arrays and tables."""
    unit_multiple: float = 1.0
    """The samples count this many of `unit` (0.1 with `mV` where a data set stores tenths of a millivolt)."""
    leads: tuple[str, ...] = ()
    """Lead names in the order of the columns, for arrays and for tables without a header."""
    strict: bool = False
    """Refuse what is truncated, or contradicts its own checksums, instead of reading on with a warning."""


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """One record: what may be kept, and apart from it what may not leave the ingest service."""

    recording: Recording
    identifiers: Identifiers
