"""Read the labelled PTB-XL records, the part in this repository or all that a folder holds.

Both are laid out alike: `records.csv` and, for each fold, `foldNN.npy.xz` with first differences of the
leads I, II, V1-V6 in steps of 5 microvolt. Parts follow the folds, which share no patient.

The packed part trains on folds 1-7, validates on 8 and tests on 9. All of PTB-XL trains on folds 1-8; its
fold 9 is halved by patient into validation and test (fold 10, the benchmark's own test, stays untouched).
"""

from __future__ import annotations

import csv
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

PACKED = Path(__file__).parent / "ptbxl"
"""The part of PTB-XL that comes with the repository."""
CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
SAMPLING_RATE_HZ = 100
STEP_MV = 0.005
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One labelled ECG."""

    name: str
    """Name of its files without suffix."""
    patient: str
    age_years: int | None
    sex: str
    """"F" or "M"."""
    labels: tuple[str, ...]
    part: str
    """"train", "validation" or "test"."""
    signal_mv: npt.NDArray[np.float32]
    """[12, 1000], standard lead order, 100 Hz."""


def packed_part(fold: int, patient: str) -> str:
    """The part to which a record of the packed data belongs."""
    del patient
    return {8: "validation", 9: "test"}.get(fold, "train")


def full_part(fold: int, patient: str) -> str:
    """The part to which a record of the whole set belongs."""
    if fold < 9:
        return "train"
    return "test" if zlib.crc32(patient.encode()) % 2 else "validation"


def read_records(folder: Path = PACKED) -> Iterator[Record]:
    """Yield the records that have a diagnostic superclass, fold by fold."""
    part_of = packed_part if folder == PACKED else full_part
    with (folder / "records.csv").open(newline="") as f:
        rows = [row for row in csv.DictReader(f) if row["superclass"]]
    for fold in sorted({int(row["strat_fold"]) for row in rows}):
        signals = to_12_leads(load_steps(folder / f"fold{fold:02d}.npy.xz"))
        for row in rows:
            if int(row["strat_fold"]) == fold:
                yield _record(row, signals[int(row["row"])], part_of(fold, row["patient_id"]))


def load_steps(path: Path) -> npt.NDArray[np.int16]:
    """Unpack one fold: int16 [record, 8, 1000] in steps of 5 microvolt, leads I, II, V1-V6."""
    with lzma.open(path) as f:
        return np.cumsum(np.load(f), axis=-1, dtype=np.int16)


def to_12_leads(steps: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Derive III, aVR, aVL and aVF from I and II; mV, [record, 12, 1000]."""
    x = steps * np.float32(STEP_MV)
    i, ii = x[:, 0], x[:, 1]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], axis=1)
    return np.concatenate([limb, x[:, 2:]], axis=1)


def _record(row: dict[str, str], signal_mv: npt.NDArray[np.float32], part: str) -> Record:
    age = int(row["age"]) if row["age"] else None
    return Record(
        name=f"ptbxl{int(row['ecg_id']):05d}",
        patient=row["patient_id"],
        age_years=None if age is None else min(age, 90),
        sex="F" if row["sex"] == "1" else "M",
        labels=tuple(row["superclass"].split(";")),
        part=part,
        signal_mv=signal_mv,
    )
