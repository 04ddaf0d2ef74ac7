"""Metrics against scikit-learn, and the bootstrap's promises."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve, recall_score, roc_auc_score

from exchangeai.facts import Task
from services.trainer.evaluation import metrics
from services.trainer.evaluation.calibration import fit_temperature
from services.trainer.evaluation.predictions import Predictions, Scores, by_recording, probabilities
from services.trainer.evaluation.report import Fixed, report


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_auroc_is_sklearns_with_ties_and_weights(random: np.random.Generator) -> None:
    scores = random.integers(0, 12, 300) / 10.0
    positive = random.random(300) < 0.3
    weights = random.integers(0, 4, (5, 300)).astype(float)
    ours = metrics.auroc(scores, positive, weights)
    theirs = [roc_auc_score(positive, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_binary_metrics_are_sklearns(random: np.random.Generator) -> None:
    positive, decided = random.random((2, 200)) < 0.4
    w = random.integers(0, 3, (1, 200)).astype(float)
    assert metrics.f1(decided, positive, w)[0] == pytest.approx(
        f1_score(positive, decided, sample_weight=w[0])
    )
    assert metrics.sensitivity(decided, positive, w)[0] == pytest.approx(
        recall_score(positive, decided, sample_weight=w[0])
    )
    assert metrics.specificity(decided, positive, w)[0] == pytest.approx(
        recall_score(~positive, ~decided, sample_weight=w[0])
    )


def test_a_metric_is_nan_where_it_is_not_defined() -> None:
    scores, none = np.array([0.1, 0.9]), np.zeros(2, dtype=bool)
    ones = np.ones((1, 2))
    assert np.isnan(metrics.auroc(scores, none, ones))[0]
    assert np.isnan(metrics.sensitivity(none, none, ones))[0]
    assert np.isnan(metrics.f1(none, none, ones))[0]
    assert metrics.macro_auroc(scores[:, None], none[:, None]) is None


def test_best_threshold_gives_sklearns_greatest_f1(random: np.random.Generator) -> None:
    for _ in range(20):
        scores = random.integers(0, 30, 80) / 30.0
        positive = random.random(80) < scores
        precision, recall, _ = precision_recall_curve(positive, scores)
        greatest = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
        decided = scores >= metrics.best_threshold(scores, positive)
        assert f1_score(positive, decided) == pytest.approx(greatest)


def test_threshold_without_positives_is_the_middle() -> None:
    assert metrics.best_threshold(np.array([0.2, 0.4]), np.zeros(2, dtype=bool)) == 0.5


def test_bootstrap_takes_whole_patients_and_repeats() -> None:
    patients = ["a", "b", "a", "c", "b"]
    first = np.concatenate(list(metrics.bootstrap_weights(patients, 300, seed=1)))
    again = np.concatenate(list(metrics.bootstrap_weights(patients, 300, seed=1)))
    other = np.concatenate(list(metrics.bootstrap_weights(patients, 300, seed=2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(first[:, 0], first[:, 2])
    np.testing.assert_array_equal(first[:, 1], first[:, 4])
    assert (first[:, 0] + first[:, 1] + first[:, 3] == 3).all()


def test_temperature_undoes_overconfidence(random: np.random.Generator) -> None:
    honest = random.normal(0, 1.5, (4000, 3))
    multi = random.random(honest.shape) < 1 / (1 + np.exp(-honest))
    assert fit_temperature(honest * 3, multi, Task.MULTI_LABEL) == pytest.approx(3, rel=0.1)
    p = probabilities(honest, Task.SINGLE_LABEL, 1.0)
    drawn = (random.random((4000, 1)) > np.cumsum(p, axis=1)).sum(axis=1).clip(max=2)
    single = np.eye(3, dtype=bool)[drawn]
    assert fit_temperature(honest * 3, single, Task.SINGLE_LABEL) == pytest.approx(3, rel=0.1)


def test_windows_are_averaged_by_recording_in_order_of_appearance() -> None:
    predictions = Predictions(
        logits=np.array([[0.0], [100.0], [-100.0]]),
        labels=np.array([[True], [False], [True]]),
        recordings=["z", "a", "z"],
        patients=["p", "q", "p"],
    )
    scores = by_recording(predictions, Task.MULTI_LABEL, 1.0)
    np.testing.assert_allclose(scores.probabilities[:, 0], [0.25, 1.0], atol=1e-9)
    assert scores.labels[:, 0].tolist() == [True, False]
    assert scores.patients == ["p", "q"]


def test_report_holds_its_estimates_between_bounds_and_repeats(random: np.random.Generator) -> None:
    labels = random.random((150, 2)) < 0.4
    labels[:, 1] = False
    scores = Scores(
        probabilities=np.clip(labels * 0.3 + random.random((150, 2)) * 0.7, 0, 1),
        labels=labels,
        patients=[str(i // 2) for i in range(150)],
    )
    fixed = Fixed(thresholds=(0.5, 0.5))
    told = report(scores, ("A", "B"), fixed, Task.MULTI_LABEL, seed=4)
    assert told == report(scores, ("A", "B"), fixed, Task.MULTI_LABEL, seed=4)
    assert (told.recordings, told.patients, told.bootstrap_draws) == (150, 75, 1000)
    a = told.classes[0].auroc
    assert None not in (a.value, a.low, a.high)
    assert (a.low or 0) < (a.value or 0) < (a.high or 0)
    assert a.value == pytest.approx(roc_auc_score(labels[:, 0], scores.probabilities[:, 0]))
    assert told.classes[1].auroc.value is None
    assert told.macro_auroc.value == a.value


def test_report_of_an_empty_part_has_no_values() -> None:
    empty = Predictions(
        logits=np.zeros((0, 2)), labels=np.zeros((0, 2), dtype=bool), recordings=[], patients=[]
    )
    scores = by_recording(empty, Task.MULTI_LABEL, 1.0)
    told = report(scores, ("A", "B"), Fixed(thresholds=(0.5, 0.5)), Task.MULTI_LABEL)
    assert told.recordings == 0
    assert told.macro_auroc.value is None
