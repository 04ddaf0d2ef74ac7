"""Our EDF reader against edfio, sample by sample."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pytest

from exchangeai import read_ecg
from exchangeai.formats._units import mv_per

FOLDER = Path(__file__).parents[2] / "golden" / "formats" / "edf"
FILES = sorted(x.name for x in FOLDER.iterdir() if "discontinuous" not in x.name)


@pytest.mark.parametrize("name", FILES)
def test_every_sample_equals(name: str) -> None:
    path = FOLDER / name
    oracle = edfio.read_bdf(path) if name.endswith(".bdf") else edfio.read_edf(path)
    signals = [(x, mv_per(x.physical_dimension)) for x in oracle.signals]
    voltages = [(x, scale) for x, scale in signals if scale is not None]
    ours = read_ecg(path)[0]
    assert len(ours.leads) == len(voltages)
    for lead, (signal, scale) in zip(ours.leads, voltages, strict=True):
        assert lead.sampling_rate_hz == pytest.approx(signal.sampling_frequency, rel=1e-12)
        step = abs(signal.physical_range.max - signal.physical_range.min) / 65536 * scale
        np.testing.assert_allclose(lead.samples, signal.data * scale, rtol=2e-7, atol=step * 1e-3)
