"""An answer on one ECG: findings, or refusals, with what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exchangeai.measurements import Quality


class RefusalCode(StrEnum):
    """What keeps a model from answering."""

    NOT_ANALYSABLE = "not_analysable"
    """Preprocessing's verdict on the signal."""
    AGE_OUTSIDE = "age_outside"
    LEAD_MISSING = "lead_missing"
    TOO_SHORT = "too_short"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why there are no findings."""

    code: RefusalCode
    text: str
    """For people."""


class ConformalVerdict(StrEnum):
    """What a model's conformal set says of a class; see `exchangeai.conformal`."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does_not_hold"
    UNDECIDED = "undecided"
    IN_SET = "in_set"
    NOT_IN_SET = "not_in_set"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One class of a prediction, or one number."""

    name: str
    probability: float = 0.0
    threshold: float = 0.0
    present: bool = False
    value: float | None = None
    """What a model of numbers predicts; then it has no probability."""
    low: float | None = None
    high: float | None = None
    conformal: ConformalVerdict | None = None
    """None where the model has no conformal bounds, and of a number, whose bounds are `low` and `high`."""
    code: str = ""
    """In a terminology, as the manifest has it (`SCP-ECG:NORM`); empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class OutOfDistribution:
    """How far an ECG lies from those that the model has learned from; see `exchangeai.novelty`."""

    ood_score: float
    percentile: float
    """Share of the validation windows that lie nearer, 0 to 100."""
    outside: bool
    limit: float
    limit_percentile: float


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """Which stretches of a window speak for each class."""

    classes: int
    steps: int
    step_s: float
    values: tuple[float, ...]
    """[classes, steps], row-major; greater speaks more for the class."""


@dataclass(frozen=True, kw_only=True)
class WindowFindings:
    """Findings of the window that starts at `start_s`."""

    start_s: float
    findings: tuple[Finding, ...]
    ood: OutOfDistribution | None = None
    saliency: Saliency | None = None
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer on one ECG: findings, or refusals that say why there are none."""

    findings: tuple[Finding, ...]
    windows: tuple[WindowFindings, ...] = ()
    quality: Quality
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the findings should know."""
    ood: OutOfDistribution | None = None
    """Mean score of the windows; None where it was not assessed."""
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where an answer comes from."""

    model_name: str
    model_version: int
    model_digest: str
    input_digest: str
    code_version: str
    preprocessing_version: str
    runtime_version: str
    request_id: str
    notice: str
    model_role: str = ""
    """`champion`, `canary`, or `version` when the request named it; empty in answers of before."""
