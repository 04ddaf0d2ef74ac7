"""Leaderboards: ranked on validation, means over seeds, paired differences over patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from exchangeai.comparisons import PlannedRun
from exchangeai.errors import ContractViolation
from exchangeai.facts import Epoch, RunFact, RunState, Task, TrainingOptions
from services.trainer.architectures import Architecture
from services.trainer.evaluation.intervals import paired_difference
from services.trainer.evaluation.metrics import macro_auroc
from services.trainer.evaluation.predictions import Scores
from services.trainer.leaderboard import Entry, leaderboard, score_name
from services.trainer.scores import RunScores, drawn, read_scores, write_scores

DRAWS = 200
T = TypeVar("T")
KNOWN = {
    name: Architecture(name=name, summary="", parameters=count, gflops=count / 1e6, learning_rate=1e-3)
    for name, count in (("good", 5), ("bad", 7))
}


def there(value: T | None) -> T:
    assert value is not None
    return value


def scores(noise: float, seed: int, task: Task = Task.MULTI_LABEL, prefix: str = "v") -> Scores:
    """60 recordings of 30 patients, equally labelled for all; the noise blurs what is said of them."""
    shared, own = np.random.default_rng(5), np.random.default_rng(seed)
    patients = [f"{prefix}{i // 2}" for i in range(60)]
    recordings = [f"{prefix}-{i}" for i in range(60)]
    if task is Task.REGRESSION:
        truth = shared.normal(size=(60, 2))
        said = truth + noise * own.normal(size=(60, 2))
        return Scores(
            probabilities=said, labels=truth.astype(np.float32), patients=patients, recordings=recordings
        )
    held = shared.uniform(size=(60, 3)) < 0.4
    blurred = 2 * held - 1 + noise * own.normal(size=(60, 3))
    return Scores(
        probabilities=1 / (1 + np.exp(-blurred)), labels=held, patients=patients, recordings=recordings
    )


def entry(
    architecture: str,
    seed: int,
    noise: float,
    *,
    share: float = 1.0,
    task: Task = Task.MULTI_LABEL,
    error: str = "",
) -> Entry:
    run = RunFact(
        run_id=f"{architecture}-{seed}-{share}",
        model_name="m",
        dataset_id="d",
        architecture=architecture,
        state=RunState.FAILED if error else RunState.SUCCEEDED,
        options=TrainingOptions(seed=seed, label_share=share),
        error=error or None,
        inference_ms=2.0 + seed,
        epochs=tuple(
            Epoch(epoch=i, train_loss=0, validation_loss=0, validation_macro_auroc=0, seconds=3)
            for i in (1, 2)
        ),
    )
    held = RunScores(
        validation=drawn(scores(noise, seed, task), task, DRAWS),
        test=drawn(scores(noise, seed + 50, task, "t"), task, DRAWS),
        thresholds=() if task is Task.REGRESSION else (0.5, 0.5, 0.5),
        recordings=round(1000 * share),
        patients=round(500 * share),
    )
    planned = PlannedRun(run_id=run.run_id, architecture=architecture, seed=seed, label_share=share)
    return Entry(planned=planned, run=run, scores=None if error else held)


def test_the_better_comes_first_with_means_over_seeds() -> None:
    entries = [entry("bad", s, 3.0) for s in (0, 1)] + [entry("good", s, 1.0) for s in (0, 1)]
    rows = leaderboard(entries, Task.MULTI_LABEL, KNOWN)
    assert [(x.rank, x.architecture) for x in rows] == [(1, "good"), (2, "bad")]
    good, bad = rows
    first, second, tested = there(good.validation), there(bad.validation), there(good.test)
    each = [
        macro_auroc(x.probabilities, x.labels)
        for x in (there(e.scores).validation.scores for e in entries[2:])
    ]
    assert first.score.value == pytest.approx(np.mean(np.array(each, float)))
    assert first.seed_deviation == pytest.approx(np.std(np.array(each, float), ddof=1))
    assert (first.difference.value, first.difference.high) == (0, 0)
    assert first.indistinguishable
    assert there(second.difference.high) < 0
    assert not second.indistinguishable
    assert (first.recordings, first.patients) == (60, 30)
    assert None not in (
        tested.macro_auprc,
        tested.macro_f1,
        tested.brier,
        tested.calibration_error,
    )
    assert (good.parameters, good.gflops) == (5, 5e-6)
    assert (good.inference_ms, good.training_s, good.succeeded, good.failed) == (2.5, 6.0, 2, 0)
    assert good.label_efficiency == ()


def test_with_one_seed_the_difference_is_the_paired_one() -> None:
    a, b = entry("good", 0, 1.0), entry("bad", 0, 1.3)
    rows = leaderboard([a, b], Task.MULTI_LABEL, KNOWN)
    second = there(rows[1].validation)
    by_name = {"good": a, "bad": b}
    best, other = (there(by_name[x.architecture].scores).validation.scores for x in rows)
    paired = paired_difference(other, best, Task.MULTI_LABEL, draws=DRAWS)
    assert second.difference == paired
    assert second.seed_deviation is None


def test_the_test_part_has_no_say_in_the_ranking() -> None:
    a, b = entry("good", 0, 0.5), entry("bad", 0, 3.0)
    mine, theirs = there(a.scores), there(b.scores)
    swapped = [
        replace(a, scores=replace(mine, test=theirs.test)),
        replace(b, scores=replace(theirs, test=mine.test)),
    ]
    rows = leaderboard(swapped, Task.MULTI_LABEL, KNOWN)
    assert [x.architecture for x in rows] == ["good", "bad"]
    assert there(there(rows[1].test).difference.value) > 0


def test_failed_runs_show_and_the_others_stand() -> None:
    entries = [
        entry("good", 0, 1.0),
        entry("good", 1, 1.0, error="disk full"),
        entry("bad", 0, 1.0, error="the loss is no longer a number"),
    ]
    good, bad = leaderboard(entries, Task.MULTI_LABEL, KNOWN)
    assert (good.rank, good.succeeded, good.failed, good.error) == (1, 1, 1, "disk full")
    assert (bad.rank, bad.succeeded, bad.failed, bad.validation) == (0, 0, 1, None)
    assert bad.error == "the loss is no longer a number"
    lost = leaderboard(entries[2:], Task.MULTI_LABEL, {})
    assert [x.rank for x in lost] == [0]


def test_label_efficiency_ascends_and_does_not_rank() -> None:
    entries = [
        entry("good", 0, 4.0, share=0.1),
        entry("good", 0, 1.0),
        entry("bad", 0, 0.5, share=0.1),
        entry("bad", 0, 3.0),
    ]
    rows = leaderboard(entries, Task.MULTI_LABEL, KNOWN)
    assert rows[0].architecture == "good"
    points = rows[0].label_efficiency
    assert [(x.label_share, x.recordings, x.patients, x.succeeded) for x in points] == [
        (0.1, 100, 50, 1),
        (1.0, 1000, 500, 1),
    ]
    assert points[1].validation == there(rows[0].validation).score
    assert there(points[0].validation.value) < there(points[1].validation.value)
    assert points[0].test is not None


def test_of_numbers_less_error_is_better() -> None:
    entries = [entry("bad", 0, 2.0, task=Task.REGRESSION), entry("good", 0, 0.5, task=Task.REGRESSION)]
    rows = leaderboard(entries, Task.REGRESSION, KNOWN)
    assert score_name(Task.REGRESSION) == "error"
    assert [x.architecture for x in rows] == ["good", "bad"]
    second = there(rows[1].validation)
    assert there(second.difference.low) > 0
    assert second.macro_auprc is None


def test_runs_of_other_recordings_are_not_compared() -> None:
    a, b = entry("good", 0, 1.0), entry("bad", 0, 1.0)
    other = replace(
        b,
        scores=replace(
            there(b.scores), validation=drawn(scores(1.0, 0, prefix="x"), Task.MULTI_LABEL, DRAWS)
        ),
    )
    with pytest.raises(ContractViolation, match="different recordings"):
        leaderboard([a, other], Task.MULTI_LABEL, KNOWN)


@pytest.mark.parametrize("tested", [True, False])
def test_scores_come_back_as_they_were_written(tmp_path: Path, tested: bool) -> None:
    written = there(entry("good", 0, 1.0).scores)
    written = written if tested else replace(written, test=None)
    write_scores(tmp_path, written)
    data = (tmp_path / "scores.npz").read_bytes()
    read = read_scores(data)
    assert (read.thresholds, read.recordings, read.patients) == ((0.5, 0.5, 0.5), 1000, 500)
    assert (read.test is not None) == tested
    np.testing.assert_array_equal(read.validation.draws, written.validation.draws)
    back, kept = read.validation.scores, written.validation.scores
    np.testing.assert_array_equal(back.probabilities, kept.probabilities)
    np.testing.assert_array_equal(back.labels, kept.labels)
    assert (back.recordings, back.patients) == (kept.recordings, kept.patients)
    for broken in (b"", data[:200], data[:-300]):
        with pytest.raises(ContractViolation, match="damaged"):
            read_scores(broken)
