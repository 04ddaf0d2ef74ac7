"""NumPy archive: `signal` float32 [leads, samples], `fs`, `leads`, `units`; one file for each rate."""

from __future__ import annotations

import io

import numpy as np

from exchangeai.recording import Recording
from exchangeai.writers._rates import by_rate
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name, unique


def write(recording: Recording, name: str) -> Written:
    """`<name>.npz`, or `<name>_<rate>Hz.npz` for each rate. Samples are exact."""
    groups = by_rate(leads_to_write(recording))
    files: dict[str, bytes] = {}
    for rate_hz, leads in groups.items():
        signal = np.full((len(leads), max(x.samples.size for x in leads)), np.nan, np.float32)
        for row, lead in zip(signal, leads, strict=True):
            row[: lead.samples.size] = lead.samples
        out = io.BytesIO()
        np.savez_compressed(
            out,
            signal=signal,
            fs=np.float64(rate_hz),
            leads=np.array(unique([x.name for x in leads])),
            units=np.array([x.unit for x in leads]),
        )
        suffix = "" if len(groups) == 1 else f"_{rate_hz:g}Hz"
        files[f"{plain_name(name)}{suffix}.npz"] = out.getvalue()
    return Written(files=files, notes=not_kept(recording))
