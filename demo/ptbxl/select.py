"""Choose the part of PTB-XL that comes with the repository: `python demo/ptbxl/select.py SOURCE`.

SOURCE holds PTB-XL at 100 Hz as `records.csv` and `foldNN.npy.xz` (see README.md beside this file).
Whole patients are drawn with a fixed seed until each part is full; records without a diagnostic
superclass are left out first.
"""

from __future__ import annotations

import csv
import lzma
import random
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PARTS = {"train": (range(1, 8), 1700), "validation": (range(8, 9), 350), "test": (range(9, 10), 550)}
"""For each part its folds and how many records it gets (the last patient may add a few)."""
SEED = 20
COLUMNS: tuple[str, ...] = ("ecg_id", "row", "patient_id", "age", "sex", "strat_fold", "superclass")


def main(source: Path) -> None:
    """Write records.csv and the folds beside this file."""
    with (source / "records.csv").open(newline="") as f:
        rows = [row for row in csv.DictReader(f) if row["superclass"]]
    draw = random.Random(SEED)
    chosen: dict[int, list[dict[str, str]]] = defaultdict(list)
    for folds, wanted in PARTS.values():
        by_patient: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            if int(row["strat_fold"]) in folds:
                by_patient[row["patient_id"]].append(row)
        patients = sorted(by_patient, key=int)
        draw.shuffle(patients)
        taken = 0
        for patient in patients:
            if taken >= wanted:
                break
            taken += len(by_patient[patient])
            for row in by_patient[patient]:
                chosen[int(row["strat_fold"])].append(row)
    with (HERE / "records.csv").open("w", newline="") as f:
        out = csv.DictWriter(f, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        for fold in sorted(chosen):
            name = f"fold{fold:02d}.npy.xz"
            with lzma.open(source / name) as packed:
                differences = np.load(packed)
            kept = sorted(chosen[fold], key=lambda row: int(row["ecg_id"]))
            with lzma.open(HERE / name, "wb", preset=9) as packed:
                np.save(packed, differences[[int(row["row"]) for row in kept]])
            for index, row in enumerate(kept):
                out.writerow({**row, "row": index})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
