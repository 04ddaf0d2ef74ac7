"""Fits what tells recordings unlike the training data: centre and axes on training, limit on validation.

Shapes: W windows, E features, k axes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exchangeai.novelty import MAX_AXES, Detector, Scorer, pack, rooted
from services.trainer.evaluation.metrics import Floats

LIMIT_PERCENTILE = 99.5
"""Of validation windows that stay within the limit: one in 200 of their like is called unlike them."""
PERCENTILES = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 100.0)
WINDOWS_PER_AXIS = 10
"""The deviation along an axis of fewer windows is a guess."""
LEAST_WINDOWS = 20
LEAST_VARIANCE = 1e-6
"""Of the mean variance of a feature: one that never moved in training would let anything count as unlike."""


def fit(training_WE: Floats, validation_WE: Floats) -> Detector | None:
    """The detector; None when either part has fewer than 20 windows.

    With fewer than 200 validation windows the limit is the greatest of their scores.
    """
    count, size = training_WE.shape
    if min(count, len(validation_WE)) < LEAST_WINDOWS:
        return None
    rooted_WE = rooted(training_WE)
    centre = rooted_WE.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rooted_WE, rowvar=False).reshape(size, size))
    floor = LEAST_VARIANCE * max(float(values.mean()), np.finfo(np.float32).tiny)
    kept = min(MAX_AXES, size, count // WINDOWS_PER_AXIS)
    axes_kE = vectors[:, ::-1][:, :kept].T
    along = np.maximum(values[::-1][:kept], floor)
    left = values[::-1][kept:]
    remainder = float(np.sqrt(max(float(left.mean()), floor))) if len(left) else 0.0
    bare = Detector(
        features=size,
        centre=pack(centre),
        axes=pack(axes_kE),
        deviations=tuple(np.sqrt(along).tolist()),
        remainder_deviation=remainder,
        percentiles=(100.0,),
        scores=(0.0,),
        limit=0.0,
        limit_percentile=LIMIT_PERCENTILE,
        fitted_windows=count,
        validated_windows=len(validation_WE),
    )
    able = Scorer(bare)
    scores = np.sort([able.score(x) for x in validation_WE])
    # As for conformal bounds: the smallest score that covers, the greatest where there are too few.
    rank = min(len(scores), int(np.ceil(LIMIT_PERCENTILE / 100 * (len(scores) + 1))))
    return replace(
        bare,
        percentiles=PERCENTILES,
        scores=tuple(np.percentile(scores, PERCENTILES).tolist()),
        limit=float(scores[rank - 1]),
    )
