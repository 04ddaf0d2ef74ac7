"""Our EDF reader against edfio and pyedflib, sample by sample and annotation by annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pyedflib
import pytest

from exchangeai import read_ecg
from exchangeai.formats._units import mv_per
from exchangeai.recording import Lead

FOLDER = Path(__file__).parents[2] / "golden" / "formats" / "edf"
FILES = sorted(x.name for x in FOLDER.iterdir() if "discontinuous" not in x.name)
NOT_OF_PYEDFLIB = ("E07500_unknown_records.edf",)
"""It refuses a record count of -1."""


@pytest.mark.parametrize("name", FILES)
def test_every_sample_equals_edfio(name: str) -> None:
    path = FOLDER / name
    oracle: Any = edfio.read_bdf(path) if name.endswith(".bdf") else edfio.read_edf(path)
    ours = read_ecg(path)[0]
    assert len(ours.leads) == len(oracle.signals)
    for lead, signal in zip(ours.leads, oracle.signals, strict=True):
        assert lead.sampling_rate_hz == pytest.approx(signal.sampling_frequency, rel=1e-12)
        digits = signal.digital_range.max - signal.digital_range.min
        step = abs(signal.physical_range.max - signal.physical_range.min) / digits
        same(lead, signal.data, signal.physical_dimension, step)
    theirs = [(x.onset, x.duration, x.text) for x in oracle.annotations]
    assert len(theirs) == len(ours.annotations)
    for mine, (onset_s, duration_s, text) in zip(ours.annotations, theirs, strict=True):
        assert (mine.onset_s, mine.duration_s, mine.label) == (pytest.approx(onset_s), duration_s, text)


@pytest.mark.parametrize("name", [x for x in FILES if x not in NOT_OF_PYEDFLIB])
def test_every_sample_equals_pyedflib(name: str) -> None:
    ours = read_ecg(FOLDER / name)[0]
    with pyedflib.EdfReader(str(FOLDER / name)) as oracle:
        assert oracle.signals_in_file == len(ours.leads)
        for i, lead in enumerate(ours.leads):
            digits = oracle.getDigitalMaximum(i) - oracle.getDigitalMinimum(i)
            step = abs(oracle.getPhysicalMaximum(i) - oracle.getPhysicalMinimum(i)) / digits
            same(lead, oracle.readSignal(i), oracle.getPhysicalDimension(i), float(step))


def same(lead: Lead, theirs: Any, unit: str, step: float) -> None:
    scale = mv_per(unit) or 1.0
    assert lead.unit == ("mV" if mv_per(unit) else unit)
    assert lead.samples.size == len(theirs)
    np.testing.assert_allclose(lead.samples, theirs * scale, rtol=2e-7, atol=step * scale * 1e-3)
