"""A tiny data set for tests: what the label says is plain to see in the windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exchangeai.dataset import (
    PARTS,
    DatasetManifest,
    PartManifest,
    Row,
    encode_manifest,
    label_dtype,
    manifest_key,
    shard_key,
    write_shard,
)
from exchangeai.facts import Task

CLASSES = ("TALL", "FAST")


def write_dataset(
    folder: Path,
    dataset_id: str,
    *,
    counts: tuple[int, int, int] = (48, 24, 24),
    task: Task = Task.MULTI_LABEL,
    leaked: int = 0,
    uniform: str = "",
) -> DatasetManifest:
    """Write shards and manifest.json: TALL has thrice the amplitude, FAST twice the rate.

    The first `leaked` patients of the test part are those of the training part; in the part `uniform` no
    recording has a class. No data set of ours is so.
    As numbers they are 0 and 1 with a little noise, and TALL is not known of every fifth recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    t_s = np.arange(5000) / 500.0
    parts: dict[str, PartManifest] = {}
    for part, count in zip(PARTS, counts, strict=True):
        rows: list[Row] = []
        for i in range(count):
            if part == uniform:
                label, tall, fast = np.zeros(2, int), 0, 0
            elif task is not Task.SINGLE_LABEL:
                label = random.integers(0, 2, 2)
                tall, fast = label
            else:
                fast = random.integers(0, 2)
                label, tall = np.array([1 - fast, fast]), 0
            phase = random.uniform(0, 1)
            beats = np.maximum(0, np.sin(2 * np.pi * ((1.2 + 1.2 * fast) * t_s + phase))) ** 20
            if task is Task.REGRESSION:
                label = label + random.normal(0, 0.05, 2)
                label[0] = np.nan if i % 5 == 4 else label[0]
            gains_uv = random.uniform(300, 500, (12, 1)) * (1 + 2 * tall)
            patient = i // 2
            home = "train" if part == "test" and patient < leaked else part
            window = gains_uv * beats + random.normal(0, 20, (12, 5000))
            rows.append(
                Row(
                    recording_id=f"{part}-{i}",
                    patient_key=f"{home}-patient-{patient}",
                    window=window.astype(np.int16),
                    uv_per_lsb=1.0,
                    valid_samples=5000,
                    label=label.astype(label_dtype(task)),
                )
            )
        key = shard_key(dataset_id, part, 0)
        shard = write_shard(folder / key.rpartition("/")[2], rows, len(CLASSES), key, task)
        parts[part] = PartManifest(
            shards=(shard,),
            recordings=count,
            patients=(count + 1) // 2,
            positives=tuple(int(v) for v in np.sum([r.label > 0.5 for r in rows], axis=0)),
        )
    manifest = DatasetManifest(
        dataset_id=dataset_id,
        name="tiny",
        task=task,
        classes=CLASSES,
        parts=parts,
        preprocessing_version="test",
        code_version="test",
        seed=7,
    )
    (folder / manifest_key(dataset_id).rpartition("/")[2]).write_bytes(encode_manifest(manifest))
    return manifest
