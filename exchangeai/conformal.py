"""What a conformal set says: the one rule for a model's test and for its answers.

Shapes: N recordings, C classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.facts import Task
from exchangeai.findings import ConformalVerdict
from exchangeai.model_file import Conformal

Bits = npt.NDArray[np.bool_]


def sets(scores: npt.NDArray[np.float64], fitted: Conformal, task: Task) -> tuple[Bits, Bits]:
    """(class may hold, class may not hold), each bool [..., C], of probabilities [..., C].

    Equal where undecided: both, or neither. Multi-label: Vovk et al. 2005, class by class; single-label:
    Sadinle et al. 2019. Not for regression.
    """
    may = scores >= np.array(fitted.low)
    if task is Task.SINGLE_LABEL:
        return may, ~may
    return may, scores <= np.array(fitted.high)


def verdicts(
    probabilities_C: npt.NDArray[np.float64], fitted: Conformal, task: Task
) -> tuple[ConformalVerdict, ...]:
    """What is said of each class of one recording."""
    may, may_not = sets(probabilities_C, fitted, task)
    if task is Task.SINGLE_LABEL:
        return tuple(ConformalVerdict.IN_SET if x else ConformalVerdict.NOT_IN_SET for x in may)
    return tuple(
        ConformalVerdict.UNDECIDED
        if x == y
        else ConformalVerdict.HOLDS
        if x
        else ConformalVerdict.DOES_NOT_HOLD
        for x, y in zip(may, may_not, strict=True)
    )
