"""What a report says beyond its metrics: thresholds, calibration, sets, groups, numbers, card and figures."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
)

from exchangeai.dataset import DatasetManifest, PartManifest
from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.metrics import TestReport
from exchangeai.model_file import Manifest, ModelClass, TrainingData
from services.trainer.evaluation import calibration, conformal, metrics
from services.trainer.evaluation.card import card
from services.trainer.evaluation.figures import figures
from services.trainer.evaluation.intervals import paired_difference
from services.trainer.evaluation.predictions import Predictions, Scores
from services.trainer.evaluation.report import Fixed, fix, report

DRAWS = 200


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def predictions(random: np.random.Generator, count: int, classes: int, task: Task) -> Predictions:
    """Logits that know something of the labels, one window a recording, two recordings a patient."""
    if task is Task.REGRESSION:
        truth = random.normal(60, 10, (count, classes)).astype(np.float32)
        logits = truth + random.normal(0, 4, truth.shape)
        truth[::7, 0] = np.nan
        labels = truth
    else:
        logits = random.normal(0, 1.5, (count, classes))
        if task is Task.MULTI_LABEL:
            labels = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
        else:
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            labels = np.eye(classes, dtype=bool)[[random.choice(classes, p=row) for row in p]]
    return Predictions(
        logits=logits,
        labels=labels,
        recordings=[str(i) for i in range(count)],
        patients=[str(i // 2) for i in range(count)],
        sex=["F" if i % 3 else "M" for i in range(count)],
        age_years=[30 + i % 50 for i in range(count)],
        device_model=["Cart 1" if i % 2 else None for i in range(count)],
    )


def scores_of(p: Predictions) -> Scores:
    return Scores(probabilities=1 / (1 + np.exp(-p.logits)), labels=p.labels, patients=p.patients)


def test_average_precision_is_sklearns_with_ties_and_weights(random: np.random.Generator) -> None:
    scores = random.integers(0, 9, 250) / 9.0
    positive = random.random(250) < 0.2
    weights = random.integers(0, 4, (4, 250)).astype(float)
    ours = metrics.average_precision(scores, positive, weights)
    theirs = [average_precision_score(positive, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert np.isnan(metrics.average_precision(scores, np.zeros(250, bool), weights)).all()


def test_thresholds_of_a_share_give_that_share_and_no_less_would(random: np.random.Generator) -> None:
    scores, positive = random.random(400), random.random(400) < 0.3
    sensitive = metrics.threshold_of_sensitivity(scores, positive, 0.9)
    assert (scores[positive] >= sensitive).mean() >= 0.9
    assert (scores[positive] > sensitive).mean() < 0.9
    specific = metrics.threshold_of_specificity(scores, positive, 0.9)
    assert (scores[~positive] < specific).mean() >= 0.9
    assert (scores[~positive] < np.nextafter(specific, 0) - 1e-9).mean() < 0.9


def test_brier_is_sklearns_and_calibration_error_knows_the_calibrated(random: np.random.Generator) -> None:
    p = random.random(20_000)
    positive = random.random(20_000) < p
    assert calibration.brier(p, positive) == pytest.approx(brier_score_loss(positive, p))
    assert (calibration.calibration_error(p, positive) or 0) < 0.02
    assert (calibration.calibration_error(p**3, positive) or 0) > 0.1
    bins = calibration.reliability(p, positive)
    assert sum(x.count for x in bins) == 20_000
    assert [x.probability for x in bins] == sorted(x.probability for x in bins)
    assert calibration.brier(p[:0], positive[:0]) is None


@pytest.mark.parametrize("task", list(Task))
def test_conformal_sets_cover_as_often_as_they_were_to(task: Task, random: np.random.Generator) -> None:
    fixed = fix(predictions(random, 1500, 3, task), task)
    fresh = predictions(random, 1500, 3, task)
    told = report(by_probability(fresh, fixed, task), ("a", "b", "c"), fixed, task, draws=DRAWS)
    assert told.coverage.value == pytest.approx(conformal.COVERAGE, abs=0.03)


def by_probability(p: Predictions, fixed: Fixed, task: Task) -> Scores:
    from services.trainer.evaluation.predictions import by_recording

    return by_recording(p, task, fixed.temperature)


def test_single_label_has_the_confusion_of_sklearn(random: np.random.Generator) -> None:
    validation, test = (predictions(random, 300, 3, Task.SINGLE_LABEL) for _ in range(2))
    fixed = fix(validation, Task.SINGLE_LABEL)
    scores = by_probability(test, fixed, Task.SINGLE_LABEL)
    told = report(scores, ("a", "b", "c"), fixed, Task.SINGLE_LABEL, draws=DRAWS)
    theirs = confusion_matrix(test.labels.argmax(axis=1), test.logits.argmax(axis=1))
    assert told.confusion == tuple(theirs.ravel())
    assert sum(c.true_positives + c.false_negatives for c in told.classes) == 300


def test_numbers_have_the_errors_of_sklearn_over_those_that_have_a_value(random: np.random.Generator) -> None:
    test = predictions(random, 200, 2, Task.REGRESSION)
    fixed = fix(predictions(random, 200, 2, Task.REGRESSION), Task.REGRESSION)
    told = report(by_probability(test, fixed, Task.REGRESSION), ("age", "qtc"), fixed, Task.REGRESSION)
    known = ~np.isnan(test.labels[:, 0])
    age = told.targets[0]
    assert age.recordings == known.sum() < 200
    truth, said = test.labels[known, 0], test.logits[known, 0]
    assert age.mean_absolute_error.value == pytest.approx(mean_absolute_error(truth, said), rel=1e-6)
    assert age.r2.value == pytest.approx(r2_score(truth, said), rel=1e-5)
    assert (age.agreement_low or 0) < (age.bias.value or 0) < (age.agreement_high or 0)
    assert told.macro_auroc.value is None
    assert 0 < (told.error.value or 0) < 1


def test_recordings_of_no_class_are_kept_or_dropped_and_counted(random: np.random.Generator) -> None:
    scores = scores_of(predictions(random, 200, 2, Task.MULTI_LABEL))
    scores.labels[:30] = False
    fixed = Fixed(thresholds=(0.5, 0.5))
    bare = int((~scores.labels.any(axis=1)).sum())
    kept = report(scores, ("a", "b"), fixed, Task.MULTI_LABEL, draws=DRAWS)
    dropped = report(scores, ("a", "b"), fixed, Task.MULTI_LABEL, draws=DRAWS, drop_unlabelled=True)
    assert (kept.recordings, kept.unlabelled, kept.unlabelled_dropped) == (200, bare, False)
    assert (dropped.recordings, dropped.unlabelled, dropped.unlabelled_dropped) == (200 - bare, bare, True)
    assert kept.macro_auroc != dropped.macro_auroc
    assert kept.coverage.value is None  # nothing was fixed


def test_subgroups_are_told_by_sex_age_and_device_when_they_are_large_enough(
    random: np.random.Generator,
) -> None:
    p = predictions(random, 240, 2, Task.MULTI_LABEL)
    scores = by_probability(p, Fixed(thresholds=(0.5, 0.5)), Task.MULTI_LABEL)
    told = report(scores, ("a", "b"), Fixed(thresholds=(0.5, 0.5)), Task.MULTI_LABEL, draws=DRAWS)
    groups = {(x.kind, x.name): x.recordings for x in told.subgroups}
    assert groups[("device", "Cart 1")] == 120
    assert groups[("sex", "female")] + groups[("sex", "male")] == 240
    assert ("age", "80 and over") not in groups
    few = scores.of(np.arange(240) < 30)
    assert (
        report(few, ("a", "b"), Fixed(thresholds=(0.5, 0.5)), Task.MULTI_LABEL, draws=DRAWS).subgroups == ()
    )


def test_paired_difference_is_surer_than_two_intervals_and_wants_the_same_recordings(
    random: np.random.Generator,
) -> None:
    p = predictions(random, 300, 2, Task.MULTI_LABEL)
    a = by_probability(p, Fixed(), Task.MULTI_LABEL)
    b = replace(a, probabilities=np.clip(a.probabilities + random.normal(0, 0.02, a.labels.shape), 0, 1))
    gap = paired_difference(a, b, Task.MULTI_LABEL, draws=DRAWS)
    assert gap.value is not None
    assert gap.low is not None
    assert gap.high is not None
    whole = report(a, ("a", "b"), Fixed(thresholds=(0.5, 0.5)), Task.MULTI_LABEL, draws=DRAWS).macro_auroc
    assert gap.high - gap.low < ((whole.high or 0) - (whole.low or 0)) / 3
    with pytest.raises(ContractViolation, match="same recordings"):
        paired_difference(a, b.of(np.arange(300) < 299), Task.MULTI_LABEL)


def described(test: TestReport, task: Task, names: tuple[str, ...]) -> tuple[Manifest, DatasetManifest]:
    model = Manifest(
        name="m",
        architecture="tiny_cnn",
        task=task,
        classes=tuple(ModelClass(name=n, threshold=0.5) for n in names),
        training=TrainingData(dataset_id="ab" * 32, recordings=9, patients=8, positives=(3,) * len(names)),
        test=test,
    )
    part = PartManifest(shards=(), recordings=9, patients=8, positives=(3,) * len(names))
    data = DatasetManifest(
        dataset_id="ab" * 32,
        name="our labels",
        task=task,
        classes=names,
        parts={"train": part, "validation": part, "test": part},
        preprocessing_version="3",
        code_version="0",
        seed=0,
    )
    return model, data


@pytest.mark.parametrize("task", list(Task))
def test_card_and_figures_tell_every_task(task: Task, random: np.random.Generator) -> None:
    validation, test = (predictions(random, 200, 3, task) for _ in range(2))
    fixed = fix(validation, task)
    names = ("NORM", "MI", "HYP")
    told = report(by_probability(test, fixed, task), names, fixed, task, draws=DRAWS)
    drawn = figures(told)
    assert drawn == figures(told)
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    expected = {"subgroups"} if task is Task.REGRESSION else {"subgroups", "classes", "reliability"}
    assert set(drawn) == expected | ({"confusion"} if task is Task.SINGLE_LABEL else set())
    model, data = described(told, task, names)
    text = card(model, "cd" * 32, data, images={x: f"{x}.svg" for x in drawn})
    assert text.startswith("---\nlicense:")
    assert all(f"({x}.svg)" in text for x in drawn)
    for section in ("Intended use", "Training data", "Evaluation", "Subgroups", "Calibration", "Limits"):
        assert f"## {section}" in text
    value = told.error.value if task is Task.REGRESSION else told.macro_auroc.value
    assert f"value: {value:.4f}" in text
