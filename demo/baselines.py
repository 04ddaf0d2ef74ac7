"""What a model must beat: the class frequencies, and a plain logistic regression on simple features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from demo.records import CLASSES, SAMPLING_RATE_HZ, Record

Floats = npt.NDArray[np.float64]
BANDS_HZ = ((0.5, 4.0), (4.0, 12.0), (12.0, 25.0), (25.0, 45.0))
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Inverse strengths of the ridge penalty; validation chooses one for each class."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a classifier says: probabilities [recordings, classes]."""

    validation: Floats
    test: Floats


def labels_of(records: list[Record]) -> npt.NDArray[np.uint8]:
    """[recordings, classes], 1 where the class holds."""
    return np.array([[name in r.labels for name in CLASSES] for r in records], np.uint8)


def features(signal_mv: npt.NDArray[np.float32]) -> Floats:
    """For each lead mean, deviation, extremes, 1st and 99th percentile, log band powers: [120]."""
    x = signal_mv.astype(np.float64)
    low, high = np.percentile(x, (1, 99), axis=1)
    power = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)) ** 2 / x.shape[1]
    frequency_hz = np.fft.rfftfreq(x.shape[1], 1 / SAMPLING_RATE_HZ)
    bands = [power[:, (a <= frequency_hz) & (frequency_hz < b)].sum(axis=1) for a, b in BANDS_HZ]
    columns = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1), low, high]
    return np.concatenate([*columns, *(np.log(b + 1e-6) for b in bands)])


def class_frequencies(train: list[Record], validation: list[Record], test: list[Record]) -> Scores:
    """Every recording gets the share of each class among the training recordings."""
    share = labels_of(train).mean(axis=0, dtype=np.float64)
    return Scores(validation=np.tile(share, (len(validation), 1)), test=np.tile(share, (len(test), 1)))


def logistic_regression(train: list[Record], validation: list[Record], test: list[Record]) -> Scores:
    """One logistic regression for each class; validation log-loss chooses its penalty."""
    x_train, x_validation, x_test = (
        np.stack([features(r.signal_mv) for r in part]) for part in (train, validation, test)
    )
    y_train, y_validation = labels_of(train), labels_of(validation)
    columns: list[tuple[Floats, Floats]] = []
    for c in range(len(CLASSES)):
        fitted = [_fit(x_train, y_train[:, c], strength) for strength in STRENGTHS]
        best = min(fitted, key=lambda m: _log_loss(m.predict_proba(x_validation)[:, 1], y_validation[:, c]))
        columns.append((best.predict_proba(x_validation)[:, 1], best.predict_proba(x_test)[:, 1]))
    return Scores(
        validation=np.stack([v for v, _ in columns], axis=1), test=np.stack([t for _, t in columns], axis=1)
    )


def _fit(x: Floats, y: npt.NDArray[np.uint8], strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(x, y)


def _log_loss(p: Floats, y: npt.NDArray[np.uint8]) -> float:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))))
