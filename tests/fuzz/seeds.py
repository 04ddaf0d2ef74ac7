"""The good files that mutants are made of, by the format that reads them, the smallest first."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from exchangeai.archives import groups_of
from exchangeai.errors import ExchangeaiError
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Lead, Recording, source_digest
from exchangeai.writers import writers
from tests.fuzz.mutants import Files

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
_STATED = (
    ReadOptions(),
    ReadOptions(sampling_rate_hz=500, unit="mV", leads=STANDARD_12),
    ReadOptions(sampling_rate_hz=500, unit="mV"),
    ReadOptions(sampling_rate_hz=500, unit="mV", leads=("I",)),
)
_LARGEST_BYTES = 400_000
_KEPT = 6


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One readable record."""

    name: str
    files: Files
    options: ReadOptions


def seeds() -> dict[str, list[Seed]]:
    """Up to six records of each format, of the golden samples, of EXCHANGEAI_SAMPLES, and made here."""
    found: dict[str, dict[str, Seed]] = {}
    for files in [*_golden(), *_made()]:
        if _size(files) > _LARGEST_BYTES:
            continue
        kind, seed = _read(files)
        if seed is not None:
            found.setdefault(kind, {}).setdefault(source_digest(files), seed)
    return {
        kind: sorted(x.values(), key=lambda y: (_size(y.files), y.name))[:_KEPT]
        for kind, x in sorted(found.items())
    }


def _size(files: Files) -> int:
    return sum(len(x) for x in files.values())


def _read(files: Files) -> tuple[str, Seed | None]:
    for options in _STATED:
        try:
            kind = read_records(files, options)[0].recording.format
        except ExchangeaiError:
            continue
        return kind, Seed(name="+".join(sorted(files)), files=files, options=options)
    return "", None


def _golden() -> Iterator[Files]:
    folders = [GOLDEN, *(Path(x) for x in [os.environ.get("EXCHANGEAI_SAMPLES")] if x)]
    for folder in folders:
        names = sorted(x for x in folder.rglob("*") if x.is_file() and "bad" not in x.parts)
        for group in groups_of({str(x.relative_to(folder)): x.read_bytes() for x in names}):
            if group.files:
                yield dict(group.files)


def _made() -> Iterator[Files]:
    """A short 12-lead record in every format that we write, and in those that libraries write."""
    signal = np.cumsum(np.random.default_rng(1).normal(0, 0.01, (12, 250)), axis=1).astype(np.float32)
    leads = tuple(
        Lead(name=name, samples=x, sampling_rate_hz=250.0)
        for name, x in zip(STANDARD_12, signal, strict=True)
    )
    recording = Recording(format="made", leads=leads)
    for writer in writers().values():
        yield dict(writer.write(recording, "made").files)
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["signal"] = signal
    yield {"made.h5": out.getvalue()}
    for compressed in (False, True):
        out = io.BytesIO()
        scipy.io.savemat(out, {"val": (signal * 1000).astype(np.int16)}, do_compression=compressed)
        yield {"made.mat": out.getvalue()}
    out = io.BytesIO()
    np.save(out, signal)
    yield {"made.npy": out.getvalue()}
