"""A model's contract of use says what it has learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exchangeai.dataset import DatasetManifest, Part, PartManifest, Row, open_part, shard_key, write_shard
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from services.trainer.scope import scope

DATASET = "7a" * 32


def _part(folder: Path, ages: list[int | None], *, without: dict[int, int], valid: list[int]) -> Part:
    """One window for each age; `without` says of how many of the first rows a lead is zero."""
    rows: list[Row] = []
    for i, age in enumerate(ages):
        window = np.ones((12, 5000), np.int16)
        for lead, count in without.items():
            window[lead] *= i >= count
        rows.append(
            Row(
                recording_id=f"r{i}",
                patient_key=f"p{i}",
                window=window,
                uv_per_lsb=1.0,
                valid_samples=valid[i % len(valid)],
                label=np.zeros(1, np.uint8),
                age_years=age,
            )
        )
    key = shard_key(DATASET, "train", 0)
    shard = write_shard(folder / key.rpartition("/")[2], rows, 1, key)
    manifest = DatasetManifest(
        dataset_id=DATASET,
        name="ages",
        task=Task.MULTI_LABEL,
        classes=("A",),
        parts={"train": PartManifest(shards=(shard,)), "validation": PartManifest(), "test": PartManifest()},
        preprocessing_version="1",
        code_version="1",
        seed=0,
    )
    return open_part(folder, manifest, "train")


def _everything(part: Part) -> np.ndarray:
    return np.arange(len(part), dtype=np.int64)


def test_the_range_of_ages_leaves_out_single_ones_and_pools_the_oldest(tmp_path: Path) -> None:
    ages: list[int | None] = [2, *[20 + i % 50 for i in range(500)], None, None]
    part = _part(tmp_path, ages, without={}, valid=[5000])
    rows = _everything(part)
    found = scope(part, rows, rows, lead_loss=True, crop_s=2.5)
    assert (found.min_age_years, found.max_age_years) == (20, 69)
    assert found.min_duration_s == 2.5
    old = _part(tmp_path, [*[90] * 20, *range(40, 80)], without={}, valid=[5000])
    found = scope(old, _everything(old), _everything(old), lead_loss=True, crop_s=10)
    assert (found.min_age_years, found.max_age_years) == (40, None)
    assert found.min_duration_s == 5.0  # never more is asked for


def test_few_known_ages_make_no_range(tmp_path: Path) -> None:
    part = _part(tmp_path, [50] * 19 + [None] * 30, without={}, valid=[5000])
    found = scope(part, _everything(part), _everything(part), lead_loss=False, crop_s=2.5)
    assert (found.min_age_years, found.max_age_years) == (None, None)


@pytest.mark.parametrize("lead_loss", [True, False])
def test_leads_are_needed_that_training_never_missed(tmp_path: Path, lead_loss: bool) -> None:
    part = _part(tmp_path, [None] * 200, without={5: 1, 11: 40}, valid=[5000, 1000, 5000])
    found = scope(part, _everything(part), _everything(part), lead_loss=lead_loss, crop_s=10)
    if lead_loss:
        # Each lead is taken from one window in twenty: three at once from one in fifty, four from one in 450.
        assert (found.leads, found.max_missing_leads) == ((), 3)
    else:
        assert found.leads == STANDARD_12[:11]  # aVF was missing once in 200, V6 in a fifth
        assert found.max_missing_leads is None
    assert found.min_duration_s == 2.0
