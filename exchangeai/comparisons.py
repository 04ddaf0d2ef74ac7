"""Comparisons of architectures: what was asked for, and the leaderboard that came out.

The runs of a comparison are facts of their own (`exchangeai.facts.RunFact`), which carry its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from exchangeai.facts import RunState, TrainingOptions
from exchangeai.metrics import Estimate


class ComparisonState(StrEnum):
    """Where a comparison stands."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """No further change comes by itself."""
        return self not in (ComparisonState.RUNNING, ComparisonState.CANCELLING)


@dataclass(frozen=True, kw_only=True)
class PartScores:
    """How an architecture does on one part: means over its seeds."""

    score: Estimate
    """Macro-AUROC, or in regression the mean absolute error over the spread of each target."""
    seed_deviation: float | None = None
    """Standard deviation of the score over the seeds; None with one seed."""
    difference: Estimate = field(default_factory=Estimate)
    """The score less the best-ranked architecture's, each draw taking the same patients for both."""
    indistinguishable: bool = False
    """Whether the interval of the difference holds zero; true of the best itself."""
    macro_auprc: float | None = None
    macro_f1: float | None = None
    """At thresholds fixed on validation."""
    brier: float | None = None
    calibration_error: float | None = None
    recordings: int = 0
    patients: int = 0


@dataclass(frozen=True, kw_only=True)
class LabelEfficiencyPoint:
    """The score of an architecture that learned from a share of the training patients."""

    label_share: float
    recordings: float
    """Learned from, mean over seeds."""
    patients: int
    succeeded: int
    """Seeds."""
    validation: Estimate = field(default_factory=Estimate)
    seed_deviation: float | None = None
    """Of the score on validation; None with one seed."""
    test: Estimate | None = None
    """None when the data set has no test part."""


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One architecture on the leaderboard."""

    rank: int
    """From 1, by the score on validation; 0 when none of its runs succeeded."""
    architecture: str
    succeeded: int
    """Seeds, with all labels; so is `failed`, which counts cancelled ones too."""
    failed: int = 0
    error: str = ""
    """Why the first of these failed."""
    validation: PartScores | None = None
    """What it was ranked by."""
    test: PartScores | None = None
    """Reported, never ranked by; None when the data set has no test part."""
    parameters: int = 0
    """With five classes."""
    gflops: float = 0.0
    inference_ms: float = 0.0
    """Median time for one window in ONNX Runtime on one thread; 0 when unknown."""
    training_s: float = 0.0
    """Mean of its runs."""
    label_efficiency: tuple[LabelEfficiencyPoint, ...] = ()
    """Ascending; empty when there was one share only."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run that a comparison asks for."""

    run_id: str
    architecture: str
    seed: int
    label_share: float


@dataclass(frozen=True, kw_only=True)
class ComparisonFact:
    """A comparison (written by trainer; key = comparison id)."""

    comparison_id: str
    name: str
    dataset_id: str
    architectures: tuple[str, ...]
    seeds: tuple[int, ...]
    label_shares: tuple[float, ...]
    """Ascending, the last 1."""
    options: TrainingOptions
    state: ComparisonState
    runs: tuple[PlannedRun, ...]
    """In the order in which they are worked on."""
    rows: tuple[ComparisonRow, ...] = ()
    """The leaderboard, best first; empty until the last run has ended."""
    score_name: str = ""
    """`macro_auroc` (greater is better) or `error` (smaller is better)."""
    bootstrap_draws: int = 0
    error: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run of a comparison, now."""

    run_id: str
    architecture: str
    seed: int
    label_share: float
    state: RunState = RunState.QUEUED
    progress: float = 0.0
    eta_s: float = 0.0
    error: str = ""
    validation_score: float | None = None
    """The best so far."""
    model_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class ComparisonProgress:
    """How far a comparison has come, by its runs; never stored."""

    runs: tuple[ComparedRun, ...]
    share: float
    """From 0 to 1."""
    eta_s: float = 0.0
    """0 when unknown."""
    activity: str = ""
