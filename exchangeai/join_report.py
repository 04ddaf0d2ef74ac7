"""How a label table met the recordings: what matched, what could not be used, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ReportKind(StrEnum):
    """What a report on a data set lists."""

    UNMATCHED_ROW = "unmatched_row"
    """Rows that name no known recording."""
    UNMATCHED_RECORDING = "unmatched_recording"
    """Readable recordings that no row names."""
    UNUSABLE = "unusable"
    """Rows that cannot be used: an unreadable or ambiguous file, a cell that makes no sense."""
    WITHOUT_LABEL = "without_label"
    """Rows with none of the classes, or no value for any target."""
    REPEATED_ROW = "repeated_row"
    """Rows that say of a recording what an earlier row says."""
    CONTRADICTORY = "contradictory"
    """Rows that say different things of one recording, or of two that show the same ECG."""
    SAME_SIGNAL = "same_signal"
    """Recordings left out because another file of the set shows the same ECG."""
    UNKNOWN_PATIENT = "unknown_patient"
    """Recordings whose patient is unknown: each counts as a patient of its own."""
    RARE_CLASS = "rare_class"
    """Classes with few patients."""
    POOR_QUALITY = "poor_quality"
    """Recordings left out because their signal is not analysable."""
    NOT_PREPROCESSED = "not_preprocessed"
    """Recordings left out because they could not be preprocessed or were deleted."""


@dataclass(frozen=True, kw_only=True)
class RowProblem:
    """A row of a label table that could not be used; rows count from 1 below the header."""

    row: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class JoinReport:
    """How a label table met the recordings."""

    matched: int = 0
    unmatched_rows: tuple[int, ...] = ()
    """The first 1000."""
    unmatched: int = 0
    unusable: tuple[RowProblem, ...] = ()
    without_label: int = 0
    duplicates: int = 0
    unknown_patients: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How many lines the report of each `ReportKind` has; kinds without any are absent."""
    notes: tuple[str, ...] = ()
    """What was concluded about the table and not stated by the user."""
