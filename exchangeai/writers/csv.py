"""CSV: a time column and a column a lead with its unit in the header; one file for each rate."""

from __future__ import annotations

import io

import numpy as np

from exchangeai.recording import Recording
from exchangeai.writers._rates import by_rate
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name, unique


def write(recording: Recording, name: str) -> Written:
    """`<name>.csv`, or `<name>_<rate>Hz.csv` for each rate; in nine digits, so that samples are exact."""
    groups = by_rate(leads_to_write(recording))
    files: dict[str, bytes] = {}
    for rate_hz, leads in groups.items():
        columns = [
            f"{n} ({x.unit or 'no unit'})"
            for n, x in zip(unique([y.name for y in leads]), leads, strict=True)
        ]
        size = max(x.samples.size for x in leads)
        table = np.full((size, 1 + len(leads)), np.nan)
        table[:, 0] = np.arange(size) / rate_hz
        for i, lead in enumerate(leads, 1):
            table[: lead.samples.size, i] = lead.samples
        out = io.StringIO()
        out.write(f"# sampling rate: {rate_hz!r} Hz\n")
        out.write(",".join(["time (s)", *columns]) + "\n")
        np.savetxt(out, table, fmt=["%.9f"] + ["%.9g"] * len(leads), delimiter=",")
        suffix = "" if len(groups) == 1 else f"_{rate_hz:g}Hz"
        files[f"{plain_name(name)}{suffix}.csv"] = out.getvalue().replace("nan", "").encode()
    return Written(files=files, notes=not_kept(recording))
