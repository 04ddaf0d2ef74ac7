"""Metrics with their uncertainty: what a model was found to do on one part of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its 95 % bootstrap interval over patients; None where it is not defined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """Metrics of one class; every threshold was fixed on validation."""

    name: str
    positives: int
    threshold: float
    auroc: Estimate
    f1: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auprc: Estimate = field(default_factory=Estimate)
    """Average precision; its chance level is the share of positives."""
    specificity_at_90_sensitivity: Estimate = field(default_factory=Estimate)
    """Specificity at the threshold that finds 90 % of the positives of validation."""
    sensitivity_at_90_specificity: Estimate = field(default_factory=Estimate)
    """Sensitivity at the threshold that passes 90 % of the negatives of validation."""
    brier: float | None = None
    calibration_error: float | None = None
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0


@dataclass(frozen=True, kw_only=True)
class TargetMetrics:
    """Metrics of one numeric target, in its unit."""

    name: str
    recordings: int
    """Those that have a value."""
    mean_absolute_error: Estimate
    root_mean_square_error: Estimate
    r2: Estimate
    bias: Estimate
    """Mean of predicted less true."""
    agreement_low: float | None = None
    agreement_high: float | None = None
    """Limits of agreement: bias -/+ 1.96 standard deviations of the differences (Bland and Altman 1986)."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Predictions of like probability: how often the class held."""

    probability: float
    frequency: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """The score of some of the recordings: macro-AUROC, or the error over the targets' spread."""

    kind: str
    """`sex` or `age`."""
    name: str
    recordings: int
    patients: int
    score: Estimate


@dataclass(frozen=True, kw_only=True)
class TestReport:
    """Metrics on a frozen test part."""

    __test__ = False  # the name begins like a test; pytest must not collect it

    recordings: int
    patients: int
    macro_auroc: Estimate
    macro_f1: Estimate
    classes: tuple[ClassMetrics, ...]
    bootstrap_draws: int
    part: str = "test"
    """`validation` where a data set has no test part: then epochs and thresholds were chosen on it."""
    macro_auprc: Estimate = field(default_factory=Estimate)
    micro_auroc: Estimate = field(default_factory=Estimate)
    brier: float | None = None
    """Mean over classes of the mean squared difference of probability and truth."""
    calibration_error: float | None = None
    """Mean over classes of the expected calibration error (15 bins of equal count)."""
    reliability: tuple[ReliabilityBin, ...] = ()
    """Over all classes together."""
    confusion: tuple[int, ...] = ()
    """Single-label: recordings by true class (row) and decided class (column), row by row."""
    unlabelled: int = 0
    """Recordings with none of the classes."""
    unlabelled_dropped: bool = False
    """Whether these were left out of every number here."""
    coverage: Estimate = field(default_factory=Estimate)
    """Share of truths that lie in the conformal sets; 0.9 was asked for."""
    set_size: float | None = None
    """Mean number of classes in a conformal set; of a multi-label set, the classes that stay undecided."""
    subgroups: tuple[Subgroup, ...] = ()
    targets: tuple[TargetMetrics, ...] = ()
    """Regression: each target."""
    error: Estimate = field(default_factory=Estimate)
    """Regression: mean absolute error over the spread of each target, averaged over targets."""
