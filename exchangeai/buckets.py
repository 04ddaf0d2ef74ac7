"""The key-value bucket of each kind of fact."""

from __future__ import annotations

from exchangeai.comparisons import ComparisonFact
from exchangeai.facts import (
    DatasetFact,
    DeletionFact,
    ModelFact,
    PreprocessedFact,
    RecordingFact,
    ResultFact,
    RunFact,
    ServingFact,
    SignalFact,
    TestLooksFact,
)

BUCKETS: dict[type, str] = {
    RecordingFact: "recordings",
    SignalFact: "signals",
    DeletionFact: "deletions",
    PreprocessedFact: "preprocessed",
    DatasetFact: "datasets",
    TestLooksFact: "test_looks",
    RunFact: "runs",
    ComparisonFact: "comparisons",
    ModelFact: "models",
    ServingFact: "serving",
    ResultFact: "results",
}
