"""How likely people would accept a recording for diagnosis, from four figures that say how bad its worst is.

A logistic regression on the PhysioNet/CinC Challenge 2011 (Silva, Moody and Celi, Computing in Cardiology 38,
2011), whose records annotators had graded. `benchmarks/accuracy_quality.py` fits it and says how well it does
on records that it has not seen; docs/quality.md has the figures.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from exchangeai.signal.lead_seconds import LeadSeconds

FEATURES = ("constant_lead", "drift", "noise", "unseen_beats")
COEFFICIENTS = (3.58, 1.31, 0.89, 11.34)
"""Of `features`, in their order: each makes acceptance less likely."""
INTERCEPT = -3.28
GRADED_S = 10
"""Length of the graded records."""
CONSTANT_SHARE = 0.2
"""A lead that stands still for a fifth of the time counts as absent: loose for 2 s of 10."""
WHOLE_SECOND = 0.9
"""Not 1: the ends of a run of equal samples fall within blocks."""
DRIFT_MV = 0.3
NOISE_MV = 0.2
"""Where drift and noise begin to count: about the ST shift and the P wave that must remain readable. The
logarithm log(1 + x / this) keeps an amplifier at its limit (80 mV) from outweighing all else."""
VISIBLE = 0.5
"""Beats show in a second of a lead when it agrees this much with the other leads."""


def features(seconds: LeadSeconds) -> tuple[float, ...]:
    """Those of `FEATURES`, each 0 when there is nothing to object to; `seconds` are those of I, II and V1-V6.

    `constant_lead`: 1 when a lead stands still for a fifth of the time or is missing. `drift`: log steps of
    the baseline, averaged over time, of the worst lead. `noise`: log roughness of the worst second of all
    leads. `unseen_beats`: how far agreement falls below 0.5, mean over the leads, in the worst two seconds on
    end, as in any two there is a beat from 30 a minute on.
    """
    return (
        float(_most((seconds.constant > WHOLE_SECOND).astype(np.float32)) >= CONSTANT_SHARE),
        _most(np.log1p(seconds.step_mv / np.float32(DRIFT_MV))),
        math.log1p(float(seconds.roughness_mv.max()) / NOISE_MV),
        _worst_two_seconds(np.maximum(VISIBLE - seconds.agreement, 0)),
    )


def _most(values: npt.NDArray[np.float32]) -> float:
    """Mean over the seconds of the worst lead."""
    return float(np.add.reduce(values, axis=-1).max()) / values.shape[-1]


def _worst_two_seconds(values: npt.NDArray[np.float32]) -> float:
    """Mean over the leads; of a single second itself."""
    of_leads = np.add.reduce(values, axis=0) / len(values)
    return float(((of_leads[1:] + of_leads[:-1]) / 2).max() if of_leads.size > 1 else of_leads.max())


def acceptable_probability(seconds: LeadSeconds) -> float:
    """Probability (0 to 1) that annotators would call the recording acceptable; `seconds` as for `features`.

    They saw 10 s. Of longer recordings it is the mean over parts of about that length, because the worst
    second of a day is always bad.
    """
    parts = max(1, seconds.figures.shape[2] // GRADED_S)
    split = [seconds.figures] if parts == 1 else np.array_split(seconds.figures, parts, axis=2)
    return sum(map(_of_part, split)) / parts


def _of_part(figures: npt.NDArray[np.float32]) -> float:
    objections = zip(COEFFICIENTS, features(LeadSeconds(figures=figures)), strict=True)
    score = INTERCEPT + sum(c * x for c, x in objections)
    return 1 / (1 + math.exp(min(score, 700.0)))
