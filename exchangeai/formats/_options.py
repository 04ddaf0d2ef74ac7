"""What a caller may state beside the bytes, and what a reader gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exchangeai.recording import Identifiers, Recording

Unit = Literal["V", "mV", "uV"]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the file itself does not say. Never guessed: without it such a file is refused."""

    sampling_rate_hz: float | None = None
    """In hertz, for CSV and NPY."""
    unit: Unit | None = None
    """Of the samples, for CSV and NPY."""
    leads: tuple[str, ...] = ()
    """Lead names in the order of the columns, for CSV without a header and for NPY."""


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """One record: what may be kept, and apart from it what may not leave the ingest service."""

    recording: Recording
    identifiers: Identifiers
