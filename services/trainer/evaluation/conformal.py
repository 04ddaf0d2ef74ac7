"""Sets that hold the truth as often as asked, whatever the model (split conformal, Vovk et al. 2005).

They are fitted on validation and say nothing of patients unlike those.
Shapes: N recordings, C classes or targets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.conformal import sets
from exchangeai.facts import Task
from exchangeai.model_file import Conformal
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Scores

COVERAGE = 0.9


def fit(validation: Scores, task: Task) -> Conformal:
    """Bounds for each class or target; see `exchangeai.model_file.Conformal`.

    Multi-label: of the recordings in which a class holds, 90 % lie at or above `low`; of the others 90 % lie
    at or below `high`. Single-label: the true class lies at or above `low` in 90 % (Sadinle et al. 2019).
    Regression: 90 % of the truths lie between the number plus `low` and plus `high`.
    """
    p, y = validation.probabilities, validation.labels
    count = p.shape[1]
    if task is Task.REGRESSION:
        spread = [_rank(np.abs(p[:, t] - y[:, t])[~np.isnan(y[:, t])]) for t in range(count)]
        return Conformal(coverage=COVERAGE, low=tuple(-x for x in spread), high=tuple(spread))
    if task is Task.SINGLE_LABEL:
        low = 1 - _rank(1 - p[y]) if len(p) else 0.0
        return Conformal(coverage=COVERAGE, low=(low,) * count, high=(1.0,) * count)
    low = [1 - _rank(1 - p[y[:, c], c]) for c in range(count)]
    high = [_rank(p[~y[:, c], c]) for c in range(count)]
    return Conformal(coverage=COVERAGE, low=tuple(low), high=tuple(high))


def covered(test: Scores, fitted: Conformal, task: Task) -> npt.NDArray[np.float64]:
    """Share of the truths of each recording that lie in its set, [N]; NaN where there is none."""
    p, y = test.probabilities, test.labels
    if task is Task.REGRESSION:
        inside = (y >= p + np.array(fitted.low)) & (y <= p + np.array(fitted.high))
        known = ~np.isnan(y)
        total = known.sum(axis=1)
        held = (inside & known).sum(axis=1)
        return np.divide(held, total, out=np.full(len(y), np.nan), where=total > 0)
    may, may_not = sets(p, fitted, task)
    if task is Task.SINGLE_LABEL:
        return np.asarray((may & y).any(axis=1), np.float64)
    return np.asarray(np.where(y, may, may_not).mean(axis=1), np.float64)


def _rank(scores: Floats) -> float:
    """The finite-sample quantile: the smallest bound that covers; the greatest where there are too few."""
    if not len(scores):
        return 1.0
    ordered = np.sort(scores)
    return float(ordered[min(len(ordered), int(np.ceil(COVERAGE * (len(ordered) + 1)))) - 1])
