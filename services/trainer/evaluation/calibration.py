"""Whether probabilities mean what they say: temperature, Brier score, calibration error, reliability.

Shapes: W windows, N recordings, C classes.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.facts import Task
from exchangeai.metrics import ReliabilityBin
from services.trainer.evaluation.metrics import Bits, Floats
from services.trainer.evaluation.predictions import probabilities

LOG_TEMPERATURE_BOUND = 3.0
BINS = 15


def fit_temperature(logits: Floats, labels: Bits, task: Task) -> float:
    """The scalar that minimises the negative log-likelihood (Guo et al. 2017); 1 for numbers or nothing."""
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


def brier(p: Floats, positive: Bits) -> float | None:
    """Mean squared difference (Brier 1950); None for nothing."""
    return float(np.square(p - positive).mean()) if len(p) else None


def reliability(p: Floats, positive: Bits) -> tuple[ReliabilityBin, ...]:
    """Bins of equal count by rising probability, at most 15; equal probabilities may lie in two."""
    order = np.argsort(p, kind="stable")
    parts = [x for x in np.array_split(order, BINS) if len(x)]
    return tuple(
        ReliabilityBin(probability=float(p[x].mean()), frequency=float(positive[x].mean()), count=len(x))
        for x in parts
    )


def calibration_error(p: Floats, positive: Bits) -> float | None:
    """Expected calibration error over bins of equal count (Nixon et al. 2019); None for nothing."""
    bins = reliability(p, positive)
    if not bins:
        return None
    gaps: npt.NDArray[np.float64] = np.array([abs(x.probability - x.frequency) * x.count for x in bins])
    return float(gaps.sum() / len(p))
