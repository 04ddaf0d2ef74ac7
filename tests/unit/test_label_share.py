"""Shares of the training patients: nested, by patient, stratified, and gone through often enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.dataset import Part, PartManifest, open_part
from exchangeai.dataset.part import WindowArray
from exchangeai.facts import Task
from exchangeai.testing.datasets import write_dataset
from services.trainer import label_share
from services.trainer.batches import Order


def part(patients: int = 1000, task: Task = Task.MULTI_LABEL) -> Part:
    """Two windows a patient; class 0 in half of them, class 1 in a tenth, class 2 in a fiftieth."""
    random = np.random.default_rng(1)
    drawn = random.uniform(size=(patients, 3)) < (0.5, 0.1, 0.02)
    labels: Any = drawn.astype(np.uint8)
    if task is Task.REGRESSION:
        labels = random.normal(size=(patients, 1)).astype(np.float32)
        labels[::7] = np.nan
    windows = 2 * patients
    return Part(
        values=WindowArray([]),
        uv_per_lsb=np.ones(windows, np.float32),
        valid_samples=np.full(windows, 5000, np.int32),
        labels=np.repeat(labels, 2, axis=0),
        recording_ids=[f"r{i // 2}" for i in range(windows)],
        patient_keys=[f"p{i // 2}" for i in range(windows)],
        sex=[None] * windows,
        age_years=[None] * windows,
        device_model=[None] * windows,
    )


@pytest.mark.parametrize("task", list(Task))
def test_shares_are_nested_and_whole_patients(task: Task) -> None:
    data = part(task=task)
    before: set[int] = set()
    for share, patients in ((0.01, 10), (0.1, 100), (0.5, 500), (1.0, 1000)):
        rows = label_share.rows(data, task, share, seed=3)
        assert (np.diff(rows) > 0).all()
        assert before < set(rows.tolist())
        assert len({data.patient_keys[i] for i in rows}) == patients
        assert len(rows) == 2 * patients
        before = set(rows.tolist())
    again = label_share.rows(data, task, 0.1, seed=3)
    np.testing.assert_array_equal(again, label_share.rows(data, task, 0.1, seed=3))
    assert not np.array_equal(again, label_share.rows(data, task, 0.1, seed=4))


def test_shares_keep_the_classes_shares() -> None:
    data = part()
    whole = np.asarray(data.labels).mean(axis=0)
    for seed in range(20):
        drawn = np.asarray(data.labels)[label_share.rows(data, Task.MULTI_LABEL, 0.1, seed)].mean(axis=0)
        # The rarest class is a stratum: of its 20 or so patients two or three come, never none.
        assert drawn[2] == pytest.approx(whole[2], abs=0.011)
        assert drawn[1] == pytest.approx(whole[1], abs=0.021)
        assert drawn[0] == pytest.approx(whole[0], abs=0.1)


def test_numbers_keep_their_spread() -> None:
    data = part(task=Task.REGRESSION)
    whole = np.nanstd(data.labels)
    for seed in range(20):
        drawn = np.asarray(data.labels)[label_share.rows(data, Task.REGRESSION, 0.1, seed)]
        assert np.nanstd(drawn) == pytest.approx(whole, rel=0.2)


def test_the_manifest_says_what_was_learned_from(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, "d" * 64)
    train = open_part(tmp_path, manifest, "train")
    whole = manifest.parts["train"]
    rows = label_share.rows(train, manifest.task, 1.0, 0)
    told = label_share.training_data("d" * 64, whole, train, rows)
    assert (told.recordings, told.patients, told.positives) == (48, 24, whole.positives)
    rows = label_share.rows(train, manifest.task, 0.25, 0)
    told = label_share.training_data("d" * 64, PartManifest(), train, rows)
    assert (told.recordings, told.patients) == (12, 6)
    assert told.positives == tuple((train.labels[rows] > 0).sum(axis=0).tolist())


def test_few_windows_are_seen_several_times_an_epoch() -> None:
    whole = Order([500, 500], 10, 1, seed=0)
    same = Order([500, 500], 10, 1, seed=0, rows=np.arange(1000))
    assert whole.steps == same.steps == 100
    np.testing.assert_array_equal(whole.at(2, 7, 0), same.at(2, 7, 0))
    chosen = np.arange(0, 1000, 100)
    few = Order([500, 500], 5, 1, seed=0, rows=chosen)
    assert few.steps == 20  # ten windows, ten times, five a step
    seen = np.concatenate([few.at(1, step, 0) for step in range(few.steps)])
    assert np.unique(seen, return_counts=True)[1].tolist() == [10] * 10
    assert set(seen.tolist()) == set(chosen.tolist())
