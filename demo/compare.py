"""Whether the model beats the baselines: each with its interval, and the paired difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.records import CLASSES
from exchangeai.facts import Task
from exchangeai.metrics import Estimate, TestReport
from services.trainer.evaluation import metrics
from services.trainer.evaluation.intervals import paired_difference
from services.trainer.evaluation.predictions import Scores
from services.trainer.evaluation.report import Fixed, report

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One classifier on the test part."""

    name: str
    scores: Scores
    report: TestReport


def judge(
    name: str, probabilities: Floats, labels: Bits, patients: Sequence[str], thresholds: Sequence[float]
) -> Row:
    """Metrics with intervals by the platform's own code. `probabilities`, `labels` [recordings, classes]."""
    scores = Scores(probabilities=probabilities, labels=labels, patients=patients)
    fixed = Fixed(thresholds=tuple(thresholds))
    return Row(name=name, scores=scores, report=report(scores, CLASSES, fixed, Task.MULTI_LABEL))


def thresholds_on(validation: Floats, labels: Bits) -> list[float]:
    """For each class the probability of greatest F1 on validation."""
    return [metrics.best_threshold(validation[:, c], labels[:, c]) for c in range(len(CLASSES))]


def difference(model: Row, other: Row) -> Estimate:
    """Macro-AUROC of the model less the other's, with a paired bootstrap over patients."""
    return paired_difference(model.scores, other.scores, Task.MULTI_LABEL)


def table(model: Row, others: Sequence[tuple[Row, Estimate]]) -> str:
    """The comparison, ready to print."""
    test = model.report
    lines = [
        f"Test part: {test.recordings} recordings of {test.patients} patients;"
        f" 95 % intervals from {test.bootstrap_draws} bootstrap draws over patients",
        "",
        f"{'':<22}{'macro-AUROC':<24}{'macro-F1':<24}{'model less this, AUROC':<24}",
        f"{model.name:<22}{_show(test.macro_auroc):<24}{_show(test.macro_f1):<24}",
    ]
    for row, estimate in others:
        other = row.report
        lines.append(
            f"{row.name:<22}{_show(other.macro_auroc):<24}{_show(other.macro_f1):<24}{_show(estimate):<24}"
        )
    lines += ["", f"{'class':<22}{'AUROC of the model':<24}{'F1 at threshold':<24}{'positives':<24}"]
    lines += [f"{c.name:<22}{_show(c.auroc):<24}{_show(c.f1):<24}{c.positives:<24}" for c in test.classes]
    return "\n".join(line.rstrip() for line in lines)


def _show(e: Estimate) -> str:
    if e.value is None or e.low is None or e.high is None:
        return "not defined"
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"
