"""WFDB: header and 16-bit signal file, one rate per lead, missing samples kept.

A sample differs by at most half a step; files whose samples came from an ADC lose nothing (see `_quantise`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import wfdb  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.recording import Recording
from exchangeai.writers._quantise import MISSING, Quantised, quantise
from exchangeai.writers._rates import frame_rate
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name, unique

_writer: Any = wfdb
"""The library has no types."""


def write(recording: Recording, name: str) -> Written:
    """`<name>.hea` and `<name>.dat`. Raises InvalidArgument when the rates have no common frame."""
    leads, plain = leads_to_write(recording), plain_name(name)
    frames_per_s, per_frame = frame_rate(leads)
    frames = max(-(-x.samples.size // n) for x, n in zip(leads, per_frame, strict=True))
    stored = [quantise(x.samples) for x in leads]
    with tempfile.TemporaryDirectory(prefix="wfdb-") as folder:
        _writer.wrsamp(
            plain,
            fs=frames_per_s,
            units=[x.unit.replace(" ", "") or "NU" for x in leads],
            sig_name=unique([x.name for x in leads]),
            e_d_signal=[_padded(x.values, frames * n) for x, n in zip(stored, per_frame, strict=True)],
            samps_per_frame=per_frame,
            fmt=["16"] * len(leads),
            adc_gain=[1 / x.step for x in stored],
            baseline=[_baseline(x) for x in stored],
            comments=_comments(recording),
            write_dir=folder,
        )
        files = {x.name: x.read_bytes() for x in sorted(Path(folder).iterdir())}
    return Written(files=files, notes=not_kept(recording))


def _padded(values: Any, size: int) -> Any:
    return np.concatenate([values, np.full(size - values.size, MISSING, np.int16)])


def _baseline(stored: Quantised) -> int:
    """WFDB: physical = (stored - baseline) / gain."""
    return -round(stored.offset / stored.step)


def _comments(recording: Recording) -> list[str]:
    patient = recording.patient
    age = [] if patient.age_years is None else [f"Age: {patient.age_years}"]
    sex = [] if patient.sex is None else [f"Sex: {'Female' if patient.sex == 'F' else 'Male'}"]
    return age + sex
