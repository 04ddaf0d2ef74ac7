"""WFDB records (PhysioNet): a text header and its signal files, decoded by the `wfdb` library.

The library opens files by the names in the header and allocates by its numbers. So we parse and bound the
header ourselves, then hand it a header of our own making and the signals under neutral names, in a private
folder that is in memory where the system offers that.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import wfdb  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import MissingMetadata
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import pooled_age, sex_of, year_of
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.formats._wfdb_header import Header, Signal, looks_like_header, parse_header
from exchangeai.leads import canonical_lead
from exchangeai.recording import Identifiers, Lead, Patient, Recording

RANK = 40
_MEMORY_FOLDER = Path("/dev/shm")
_MISSING = {
    16: -(1 << 15), 24: -(1 << 23), 32: -(1 << 31), 61: -(1 << 15), 80: -(1 << 7),
    160: -(1 << 15), 212: -(1 << 11), 310: -(1 << 9), 311: -(1 << 9),
    508: -(1 << 7), 516: -(1 << 15), 524: -(1 << 23),
}  # fmt: skip
"""The value that stands for "no sample" (the library gives NaN); format 8 has none."""


def sniff(files: Mapping[str, bytes]) -> bool:
    """A record line followed by a signal line."""
    return any(looks_like_header(x) for x in files.values())


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read a single-segment record; each lead at its own rate, never averaged to the frame rate."""
    header = parse_header(files)
    digital = _decode(header, files)
    leads: list[Lead] = []
    other, wrong = list[int](), list[int]()
    for i, (signal, samples) in enumerate(zip(header.signals, digital, strict=True)):
        scale = mv_per(signal.unit)
        if scale is None:
            other.append(i + 1)
            continue
        if not _matches_checksum(signal, samples):
            wrong.append(i + 1)
        leads.append(
            Lead(
                name=canonical_lead(signal.name) or f"channel {i + 1}",
                samples=((samples - signal.baseline) * (scale / signal.gain)).astype(np.float32),
                sampling_rate_hz=header.rate_hz * signal.samples_per_frame,
            )
        )
    if not leads:
        raise MissingMetadata("no channel of the WFDB record has a unit of voltage (V, mV or uV)")
    comments = "\n".join(header.comments)
    recording = Recording(
        format="wfdb",
        leads=tuple(leads),
        patient=_patient(comments),
        acquisition_year=year_of(header.date),
        warnings=(
            *in_words(other, "not a voltage and left out"),
            *in_words(wrong, "at odds with the checksum in the header"),
        ),
    )
    return [ReadResult(recording=recording, identifiers=Identifiers())]


def _decode(header: Header, files: Mapping[str, bytes]) -> list[npt.NDArray[np.float64]]:
    """Stored integers of each signal as float64, NaN where there is no sample."""
    names = {x: f"s{i}.dat" for i, x in enumerate(dict.fromkeys(s.file for s in header.signals))}
    lines = [f"r {len(header.signals)} {header.rate_hz!r} {header.samples}"]
    for i, s in enumerate(header.signals):
        skew = f":{s.skew}" if s.skew else ""
        frame = f"x{s.samples_per_frame}" if s.samples_per_frame > 1 else ""
        offset = f"+{s.offset}" if s.offset else ""
        # The first value is needed by format 8 (differences); gain and name stay with us.
        lines.append(
            f"{names[s.file]} {s.format}{frame}{skew}{offset} 1(0)/mV {s.bits} {s.zero} {s.first} 0 0 c{i}"
        )
    with _private_folder() as folder:
        (folder / "r.hea").write_text("\n".join(lines) + "\n", "ascii")
        for original, safe in names.items():
            (folder / safe).write_bytes(files[original])
        record = cast(
            Any,
            wfdb.rdrecord(  # pyright: ignore[reportUnknownMemberType]
                str(folder / "r"), smooth_frames=False
            ),
        )
    return [np.asarray(x, np.float64) for x in record.e_p_signal]


@contextmanager
def _private_folder() -> Generator[Path]:
    inside = _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="ecg-", dir=inside) as folder:
        yield Path(folder)


def _matches_checksum(signal: Signal, digital: npt.NDArray[np.float64]) -> bool:
    if signal.checksum is None or signal.skew:
        return True
    stored = np.where(np.isnan(digital), float(_MISSING.get(signal.format, 0)), digital)
    return (int(stored.astype(np.int64).sum()) - signal.checksum) % 65536 == 0


def _patient(comments: str) -> Patient:
    age = re.search(r"\bage\b>?\s*[:=]\s*(\d{1,3}(?:\.\d+)?)\b", comments, re.IGNORECASE)
    sex = re.search(r"\b(?:sex|gender)\b>?\s*[:=]\s*([A-Za-z]+)", comments, re.IGNORECASE)
    # MIT-BIH headers begin with "69 M 1085 1629 x1".
    brief = re.search(r"^(\d{1,3})\s+([MF])\b", comments, re.MULTILINE)
    years = age[1] if age else brief[1] if brief else None
    word = sex[1] if sex else brief[2] if brief else ""
    return Patient(sex=sex_of(word), age_years=pooled_age(float(years)) if years else None)
