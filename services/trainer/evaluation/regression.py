"""Metrics of numeric targets, each in its own unit. Shapes: D draws, N recordings, T targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exchangeai.metrics import TargetMetrics
from services.trainer.evaluation.intervals import estimate
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Scores


def targets(scores: Scores, names: Sequence[str], draws: int, seed: int) -> tuple[TargetMetrics, ...]:
    """Metrics of each target over the recordings that have a value."""
    return tuple(_target(scores, t, name, draws, seed) for t, name in enumerate(names))


def _target(scores: Scores, t: int, name: str, draws: int, seed: int) -> TargetMetrics:
    known = scores.of(~np.isnan(scores.labels[:, t]))
    truth = known.labels[:, t].astype(np.float64)
    difference = known.probabilities[:, t] - truth

    def mean(values: Floats, weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        return np.divide(weights @ values, total, out=np.full(len(weights), np.nan), where=total > 0)

    def r2(weights: Floats) -> Floats:
        variance = mean(truth**2, weights) - mean(truth, weights) ** 2
        error = mean(difference**2, weights)
        return 1 - np.divide(error, variance, out=np.full(len(weights), np.nan), where=variance > 0)

    bias = estimate(lambda w: mean(difference, w), known, draws, seed)
    limits = (None, None)
    if len(difference) > 1 and bias.value is not None:
        reach = 1.96 * float(difference.std(ddof=1))
        limits = (bias.value - reach, bias.value + reach)
    return TargetMetrics(
        name=name,
        recordings=len(truth),
        mean_absolute_error=estimate(lambda w: mean(np.abs(difference), w), known, draws, seed),
        root_mean_square_error=estimate(lambda w: np.sqrt(mean(difference**2, w)), known, draws, seed),
        r2=estimate(r2, known, draws, seed),
        bias=bias,
        agreement_low=limits[0],
        agreement_high=limits[1],
    )
