"""Fits what tells recordings unlike the training data: measures on training, scales and limit on validation.

Shapes: W windows, E features, k axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from exchangeai.dataset import Part
from exchangeai.leads import STANDARD_12
from exchangeai.novelty import MAX_AXES, MAX_FEATURES, Detector, Scorer, pack, rooted
from services.trainer.evaluation.metrics import Floats

Embed = Callable[[Part, npt.NDArray[np.int64], "npt.NDArray[np.int64] | None"], Floats]
"""Embeddings, float64 [n, E], of windows of a part; with lead orders, int64 [n, 12], of those so changed."""
LEADS = len(STANDARD_12)
MOST_WINDOWS = 4096
"""Of a part: more move centre, axes and quantiles by less than another part of the data would."""
LIMIT_PERCENTILE = 99.5
"""Of validation windows that stay within the limit: one in 200 of their like is called unlike them."""
PERCENTILES = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 100.0)
WINDOWS_PER_AXIS = 10
"""The deviation along an axis of fewer windows is a guess."""
LEAST_WINDOWS = 20
LEAST_VARIANCE = 1e-6
"""Of the mean variance of a feature: one that never moved in training would let anything count as unlike."""
RIDGE = 0.1
"""Share of the mean variance added to each in the discriminant (Friedman 1989), because there may be fewer
windows than features."""
SCALE_QUANTILE = 0.99


def looked_at(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most 4096 of the rows, evenly spaced."""
    step = max(1.0, len(rows) / MOST_WINDOWS)
    return rows[np.arange(0, len(rows), step).astype(np.int64)[:MOST_WINDOWS]]


def detector(training: Part, rows: npt.NDArray[np.int64], validation: Part, embed: Embed) -> Detector | None:
    """That of a model which learned from `rows` of the training part; None as for `fit`."""
    known, others = looked_at(rows), looked_at(np.arange(len(validation), dtype=np.int64))
    return fit(
        embed(training, known, None),
        embed(training, known, lead_orders(known)),
        embed(validation, others, None),
    )


def lead_orders(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Another order of the twelve leads for each window, int64 [n, 12]; always the same for the same rows."""
    orders = [np.random.default_rng((LEADS, row)).permutation(LEADS) for row in rows.tolist()]
    return np.array([np.roll(x, 1) if (x == np.arange(LEADS)).all() else x for x in orders], np.int64)


def fit(training_WE: Floats, exchanged_WE: Floats, validation_WE: Floats) -> Detector | None:
    """The detector of embeddings of training windows, of the same with their leads in the order of
    `lead_orders`, and of validation windows.

    None when training or validation have fewer than 20 windows, more than 4096 features, or features that do
    not move. With fewer than 200 validation windows the limit is the greatest of their scores.
    """
    count, size = training_WE.shape
    if min(count, len(validation_WE)) < LEAST_WINDOWS or size > MAX_FEATURES:
        return None
    rooted_WE = rooted(training_WE)
    centre = rooted_WE.mean(axis=0)
    covariance = np.cov(rooted_WE, rowvar=False).reshape(size, size)
    values, vectors = np.linalg.eigh(covariance)
    floor = LEAST_VARIANCE * max(float(values.mean()), np.finfo(np.float32).tiny)
    kept = min(MAX_AXES, size, count // WINDOWS_PER_AXIS)
    left = values[::-1][kept:]
    bare = Detector(
        features=size,
        centre=pack(centre),
        axes=pack(vectors[:, ::-1][:, :kept].T),
        deviations=tuple(np.sqrt(np.maximum(values[::-1][:kept], floor)).tolist()),
        remainder_deviation=float(np.sqrt(max(float(left.mean()), floor))) if len(left) else 0.0,
        contrast=pack(_discriminant(centre, covariance, rooted(exchanged_WE))),
        percentiles=(100.0,),
        scores=(0.0,),
        limit=0.0,
        limit_percentile=LIMIT_PERCENTILE,
        fitted_windows=count,
        validated_windows=len(validation_WE),
    )
    able = Scorer(bare)
    distances, contrasts = np.array([able.measures(x) for x in validation_WE]).T
    scales = _scale(distances), _scale(contrasts)
    if scales[0][0] >= scales[0][1] or scales[1][0] >= scales[1][1]:
        return None
    scaled = replace(bare, distance_scale=scales[0], contrast_scale=scales[1])
    able = Scorer(scaled)
    scores = np.sort([able.score(x) for x in validation_WE])
    # As for conformal bounds: the smallest score that covers, the greatest where there are too few.
    rank = min(len(scores), int(np.ceil(LIMIT_PERCENTILE / 100 * (len(scores) + 1))))
    return replace(
        scaled,
        percentiles=PERCENTILES,
        scores=tuple(np.percentile(scores, PERCENTILES).tolist()),
        limit=float(scores[rank - 1]),
    )


def _discriminant(centre_E: Floats, covariance_EE: Floats, exchanged_WE: Floats) -> Floats:
    """Fisher's, of unit length; zero where nothing can be told apart."""
    size = len(centre_E)
    within = covariance_EE + np.cov(exchanged_WE, rowvar=False).reshape(size, size)
    ridge = max(RIDGE * float(np.trace(within)) / size, np.finfo(np.float32).tiny)
    found = np.asarray(
        np.linalg.solve(within + ridge * np.eye(size), exchanged_WE.mean(axis=0) - centre_E), np.float64
    )
    return found / max(float(np.linalg.norm(found)), np.finfo(np.float32).tiny)


def _scale(values: Floats) -> tuple[float, float]:
    return float(np.median(values)), float(np.quantile(values, SCALE_QUANTILE))
