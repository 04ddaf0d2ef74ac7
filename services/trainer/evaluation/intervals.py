"""Bootstrap intervals over patients, of one model and of the difference of two on the same recordings.

Shapes: D draws, N recordings, C classes or targets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.metrics import Estimate
from services.trainer.evaluation import metrics
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Scores

DRAWS = 1000
INTERVAL_PERCENT = (2.5, 97.5)
Measure = Callable[[Floats], Floats]
"""From the weights of draws, [D, N], to a number for each, [D]."""


def interval(point: float, drawn: Floats) -> Estimate:
    """The number and the middle 95 % of its draws; draws in which it is not defined do not count."""
    if np.isnan(point):
        return Estimate()
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return Estimate(value=float(point))
    low, high = np.percentile(defined, INTERVAL_PERCENT)
    return Estimate(value=float(point), low=float(low), high=float(high))


def estimate(measure: Measure, scores: Scores, draws: int, seed: int) -> Estimate:
    """A measure on all recordings, with its interval; equal for equal seeds."""
    point = float(measure(np.ones((1, len(scores.probabilities))))[0])
    weights = metrics.bootstrap_weights(scores.patients, draws, seed)
    return interval(point, np.concatenate([measure(w) for w in weights]))


def overall(scores: Scores, task: Task) -> Measure:
    """Macro-AUROC, or in regression the error over the targets' spread."""
    p, y = scores.probabilities, scores.labels
    each = range(p.shape[1])
    if task is not Task.REGRESSION:
        return lambda w: mean_of(np.stack([metrics.auroc(p[:, c], y[:, c], w) for c in each], axis=1))
    known = ~np.isnan(y)
    spread = np.nanstd(y, axis=0)
    errors = np.where(known, np.abs(p - np.where(known, y, p)), 0.0) / np.where(spread > 0, spread, 1.0)

    def error(weights: Floats) -> Floats:
        total = weights @ known
        return mean_of(np.divide(weights @ errors, total, out=np.full(total.shape, np.nan), where=total > 0))

    return error


def paired_difference(a: Scores, b: Scores, task: Task, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """What `a` scores less what `b` scores, each draw taking the same patients for both.

    Raises ContractViolation when they are not of the same recordings in the same order.
    """
    if list(a.recordings) != list(b.recordings) or list(a.patients) != list(b.patients):
        raise ContractViolation("two models can be compared on the same recordings only")
    first, second = overall(a, task), overall(b, task)
    return estimate(lambda w: first(w) - second(w), a, draws, seed)


def mean_of(values: Floats) -> Floats:
    """Mean over classes where defined, [D] of [D, C]; NaN where no class is."""
    defined = ~np.isnan(values)
    number = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)
