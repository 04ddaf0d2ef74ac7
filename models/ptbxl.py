"""PTB-XL at 100 Hz as a data set in a folder: the tensor contract, the official folds, one label set.

The folder of the source holds `records.csv` and `foldNN.npy.xz` as `demo.records` reads them. Folds 1-8
train, fold 9 validates, fold 10 tests where it is there, unless told; no two folds share a patient.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.records import LEADS, SAMPLING_RATE_HZ, load_steps, to_12_leads
from exchangeai import __version__
from exchangeai.dataset import (
    MANIFEST_FILE,
    MAX_SHARD_ROWS,
    PARTS,
    DatasetManifest,
    PartManifest,
    Row,
    Shard,
    encode_manifest,
    shard_key,
    write_shard,
)
from exchangeai.facts import Task
from exchangeai.recording import Lead, Recording
from exchangeai.signal import PREPROCESSING_VERSION, standardise

COLUMNS = {"statements": "scp_codes", "superclasses": "superclass"}
"""What recipes call the label columns, and what the source calls them."""
OFFICIAL = {9: "validation", 10: "test"}


@dataclass
class _Part:
    """A part in the making."""

    name: str
    dataset_id: str
    folder: Path
    held: list[Row] = field(default_factory=list[Row])
    shards: list[Shard] = field(default_factory=list[Shard])
    patients: set[str] = field(default_factory=set[str])
    recordings: int = 0

    def add(self, row: Row) -> None:
        self.held.append(row)
        self.patients.add(row.patient_key)
        self.recordings += 1
        if len(self.held) == MAX_SHARD_ROWS:
            self.ship()

    def ship(self) -> None:
        if self.held:
            key = shard_key(self.dataset_id, self.name, len(self.shards))
            path = self.folder / key.rpartition("/")[2]
            self.shards.append(write_shard(path, self.held, len(self.held[0].label), key))
            self.held = []


def build(
    source: Path,
    folder: Path,
    *,
    name: str,
    label: str,
    classes: Sequence[str],
    drop: bool,
    parts: Mapping[int, str] = OFFICIAL,
) -> None:
    """Write shards and manifest.json; `classes` empty takes all found, `drop` leaves out rows without any.

    `parts` names the part of a fold; the folds that it does not name train.
    """
    with (source / "records.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    column = COLUMNS[label]
    found = sorted({x for row in rows for x in row[column].split(";") if x})
    classes = tuple(classes) or tuple(found)
    dataset_id = hashlib.sha256(f"ptbxl:{label}:{PREPROCESSING_VERSION}:{classes}".encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    made = {p: _Part(p, dataset_id, folder) for p in PARTS}
    positives = {p: np.zeros(len(classes), np.int64) for p in PARTS}
    kept = [row for row in rows if not drop or set(row[column].split(";")) & set(classes)]
    for fold in sorted({int(row["strat_fold"]) for row in kept}):
        part = parts.get(fold, "train")
        members = [row for row in kept if int(row["strat_fold"]) == fold]
        for row in _windows(source / f"fold{fold:02d}.npy.xz", members, column, classes):
            made[part].add(row)
            positives[part] += row.label.astype(np.int64)
    for part in made.values():
        part.ship()
    manifest = DatasetManifest(
        dataset_id=dataset_id,
        name=name,
        task=Task.MULTI_LABEL,
        classes=classes,
        parts={
            p: PartManifest(
                shards=tuple(x.shards),
                recordings=x.recordings,
                patients=len(x.patients),
                positives=tuple(int(v) for v in positives[p]),
            )
            for p, x in made.items()
        },
        preprocessing_version=PREPROCESSING_VERSION,
        code_version=__version__,
        seed=0,
    )
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(manifest))


def _windows(
    path: Path, members: Sequence[dict[str, str]], column: str, classes: Sequence[str]
) -> Iterator[Row]:
    signals = to_12_leads(load_steps(path))
    for row in members:
        leads = tuple(
            Lead(name=n, samples=x, sampling_rate_hz=SAMPLING_RATE_HZ)
            for n, x in zip(LEADS, signals[int(row["row"])], strict=True)
        )
        windows = standardise(Recording(format="npy", leads=leads))
        labels = row[column].split(";")
        yield Row(
            recording_id=f"ptbxl-{int(row['ecg_id']):05d}",
            patient_key=row["patient_id"],
            window=windows.values[0],
            uv_per_lsb=windows.uv_per_lsb,
            valid_samples=int(windows.valid_samples[0]),
            label=np.array([x in labels for x in classes], np.uint8),
            sex="F" if row["sex"] == "1" else "M",
            age_years=min(int(float(row["age"])), 90) if row["age"] else None,
        )
