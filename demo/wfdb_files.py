"""Write records out as real WFDB files (format 16) with the label table that goes with them.

The formats are those of WFDB's header(5) and signal(5). `wfdb.wrsamp` would write 50 records a second, this
writes some thousands; the platform reads them with the `wfdb` library.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from demo.records import LEADS, SAMPLING_RATE_HZ, Record

ADC_UNITS_PER_MV = 1000
COLUMNS = {"recording": "file", "label": "labels", "patient": "patient", "part": "part"}
"""What the columns of the label table mean."""


def write_wfdb(folder: Path, record: Record) -> list[Path]:
    """Write `<name>.hea` and `<name>.dat`; return both paths."""
    samples = np.clip(np.rint(record.signal_mv * ADC_UNITS_PER_MV), -32767, 32767).astype("<i2").T
    header, data = folder / f"{record.name}.hea", folder / f"{record.name}.dat"
    lines = [f"{record.name} {len(LEADS)} {SAMPLING_RATE_HZ} {len(samples)}"]
    checksums = samples.sum(axis=0, dtype=np.int64).astype(np.int16)
    for lead, first, checksum in zip(LEADS, samples[0], checksums, strict=True):
        lines.append(f"{data.name} 16 {ADC_UNITS_PER_MV}(0)/mV 16 0 {first} {checksum} 0 {lead}")
    lines += [f"# Age: {record.age_years}"] if record.age_years is not None else []
    lines += [f"# Sex: {record.sex}"]
    header.write_text("\n".join(lines) + "\n", encoding="ascii")
    data.write_bytes(samples.tobytes())
    return [header, data]


def write_table(path: Path, records: Iterable[Record]) -> None:
    """Write the label table: file name, labels, patient, part."""
    with path.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(COLUMNS.values())
        for record in records:
            out.writerow([record.name, ";".join(record.labels), record.patient, record.part])
