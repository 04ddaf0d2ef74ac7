"""Parquet: a float32 column a lead, rate and unit in the schema's metadata; one file for each rate."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as _pyarrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as _pyarrow_parquet  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.recording import Recording
from exchangeai.writers._rates import by_rate
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name, unique

pa: Any = _pyarrow
pq: Any = _pyarrow_parquet
"""The libraries have no types."""


def write(recording: Recording, name: str) -> Written:
    """`<name>.parquet`, or `<name>_<rate>Hz.parquet` for each rate. Samples are exact; missing is null."""
    groups = by_rate(leads_to_write(recording))
    files: dict[str, bytes] = {}
    for rate_hz, leads in groups.items():
        size = max(x.samples.size for x in leads)
        names = unique([x.name for x in leads])
        columns: list[Any] = []
        for lead in leads:
            padded = np.concatenate([lead.samples, np.full(size - lead.samples.size, np.nan, np.float32)])
            columns.append(pa.array(padded, mask=np.isnan(padded)))
        units = {x.unit for x in leads}
        fields = [
            pa.field(n, pa.float32(), metadata={"unit": x.unit}) for n, x in zip(names, leads, strict=True)
        ]
        about = {"fs": repr(rate_hz), **({"units": units.pop()} if len(units) == 1 else {})}
        table = pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=about))
        out = io.BytesIO()
        pq.write_table(table, out, compression="zstd")
        suffix = "" if len(groups) == 1 else f"_{rate_hz:g}Hz"
        files[f"{plain_name(name)}{suffix}.parquet"] = out.getvalue()
    return Written(files=files, notes=not_kept(recording))
