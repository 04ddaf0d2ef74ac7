"""The development sets that the quality of a signal is measured on, from the folder `EXCHANGEAI_DATA`."""

from __future__ import annotations

import csv
import lzma
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12, derive_limb_leads
from exchangeai.recording import Lead, Recording

DATA = Path(os.environ.get("EXCHANGEAI_DATA", "data"))


def load_signals(path: Path) -> npt.NDArray[np.float32]:
    """[records, leads, samples] in mV, from first differences in steps of 5 µV."""
    with lzma.open(path) as f:
        differences = np.load(f)
    return np.cumsum(differences, axis=-1, dtype=np.int16) * np.float32(0.005)


def to_12_leads(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[records, 12, samples] from [records, (I, II, V1-V6), samples]."""
    stored: dict[str, npt.NDArray[np.float32]] = {"I": x[:, 0], "II": x[:, 1]}
    limb = {**stored, **derive_limb_leads(stored)}
    return np.concatenate([np.stack(list(limb.values()), axis=1), x[:, 2:]], axis=1)


def read_rows(dataset: str) -> list[dict[str, str]]:
    """The lines of a set's `records.csv`."""
    with (DATA / dataset / "records.csv").open(encoding="utf-8") as f:
        return list(csv.DictReader(f))


def recordings(signals: npt.NDArray[np.float32], rate_hz: float) -> list[Recording]:
    """Twelve stored leads each, from [records, 12, samples]."""
    return [
        Recording(
            format="benchmark",
            leads=tuple(
                Lead(name=name, samples=row, sampling_rate_hz=rate_hz)
                for name, row in zip(STANDARD_12, x, strict=True)
            ),
        )
        for x in signals
    ]
