"""What is decided after training: calibration and thresholds on validation, metrics on test.

Shapes: W windows, N recordings, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.facts import ClassMetrics, Estimate, Task, TestReport
from services.trainer import metrics
from services.trainer.metrics import Bits, Floats

DRAWS = 1000
INTERVAL_PERCENT = (2.5, 97.5)
LOG_TEMPERATURE_BOUND = 3.0


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A model's logits on one part, [W, C], with what belongs to each window."""

    logits: Floats
    labels: Bits
    recordings: Sequence[str]
    patients: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Probabilities by recording, [N, C]."""

    probabilities: Floats
    labels: Bits
    patients: Sequence[str]


def probabilities(logits: Floats, task: Task, temperature: float) -> Floats:
    """Sigmoid (multi-label), softmax (single-label) of logits / temperature, or numbers as
    they are (regression), [..., C].
    """
    if task is Task.REGRESSION:
        return logits
    z = logits / temperature
    if task is Task.MULTI_LABEL:
        return 1 / (1 + np.exp(-np.clip(z, -60, 60)))
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def fit_temperature(logits: Floats, labels: Bits, task: Task) -> float:
    """The scalar that minimises the negative log-likelihood (Guo et al. 2017); 1 for an empty part."""
    if not len(logits) or task is Task.REGRESSION:
        return 1.0

    def loss(log_temperature: float) -> float:
        p = np.clip(probabilities(logits, task, float(np.exp(log_temperature))), 1e-9, 1 - 1e-9)
        if task is Task.MULTI_LABEL:
            return float(-(np.log(p) * labels + np.log(1 - p) * ~labels).mean())
        return float(-(np.log(p) * labels).sum(axis=-1).mean())

    bound = LOG_TEMPERATURE_BOUND
    found = cast(Any, optimize).minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))


def by_recording(predictions: Predictions, task: Task, temperature: float) -> Scores:
    """Mean probability over the windows of each recording, in the order of their first window."""
    _, first, member = np.unique(
        np.asarray(predictions.recordings, dtype=np.str_), return_index=True, return_inverse=True
    )
    windows = np.bincount(member, minlength=len(first)).astype(np.float64)
    p = probabilities(predictions.logits, task, temperature)
    sums = np.zeros((len(first), p.shape[1]))
    np.add.at(sums, member, p)
    order = np.argsort(first, kind="stable")
    return Scores(
        probabilities=(sums / windows[:, None])[order],
        labels=predictions.labels[first[order]],
        patients=[predictions.patients[int(i)] for i in first[order]],
    )


def choose_thresholds(scores: Scores) -> tuple[float, ...]:
    """For each class the probability of greatest F1."""
    each = range(scores.labels.shape[1])
    return tuple(metrics.best_threshold(scores.probabilities[:, c], scores.labels[:, c]) for c in each)


def report(
    scores: Scores, names: Sequence[str], thresholds: Sequence[float], *, draws: int = DRAWS, seed: int = 0
) -> TestReport:
    """Metrics by recording with 95 % bootstrap intervals over patients; equal for equal seeds."""
    decided = scores.probabilities >= np.asarray(thresholds)

    def measure(weights: Floats) -> Floats:
        """[D, C, 4]: AUROC, F1, sensitivity, specificity."""
        each: list[Floats] = []
        for c in range(len(names)):
            p, y, d = scores.probabilities[:, c], scores.labels[:, c], decided[:, c]
            binary: list[Callable[[Bits, Bits, Floats], Floats]] = [
                metrics.f1,
                metrics.sensitivity,
                metrics.specificity,
            ]
            columns = [metrics.auroc(p, y, weights), *(m(d, y, weights) for m in binary)]
            each.append(np.stack(columns, axis=1))
        return np.stack(each, axis=1)

    point = measure(np.ones((1, len(decided))))[0]
    drawn = np.concatenate([measure(w) for w in metrics.bootstrap_weights(scores.patients, draws, seed)])
    estimates = [[_estimate(point[c, m], drawn[:, c, m]) for m in range(4)] for c in range(len(names))]
    return TestReport(
        recordings=len(decided),
        patients=len(set(scores.patients)),
        macro_auroc=_estimate(_mean(point[None, :, 0])[0], _mean(drawn[:, :, 0])),
        macro_f1=_estimate(_mean(point[None, :, 1])[0], _mean(drawn[:, :, 1])),
        classes=tuple(
            ClassMetrics(
                name=name,
                positives=int(scores.labels[:, c].sum()),
                threshold=float(thresholds[c]),
                auroc=estimates[c][0],
                f1=estimates[c][1],
                sensitivity=estimates[c][2],
                specificity=estimates[c][3],
            )
            for c, name in enumerate(names)
        ),
        bootstrap_draws=draws,
    )


def _mean(values: Floats) -> Floats:
    """Mean over classes where defined, [D]; NaN where no class is."""
    defined = ~np.isnan(values)
    number = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)


def _estimate(value: np.float64 | float, drawn: npt.NDArray[np.float64]) -> Estimate:
    if np.isnan(value):
        return Estimate(value=None)
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return Estimate(value=float(value))
    low, high = np.percentile(defined, INTERVAL_PERCENT)
    return Estimate(value=float(value), low=float(low), high=float(high))
