"""What is written is read back by independent readers, and by ours, within half a step."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import numpy.typing as npt
import pydicom
import pyedflib
import pytest
import wfdb
from pyarrow import parquet

from exchangeai.errors import InvalidArgument
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Annotation, Filters, Lead, Patient, Recording, Series
from exchangeai.writers import Written, writers
from exchangeai.writers._quantise import MISSING, quantise

RATE_HZ = 500.0
MARKER = "Zzyzx"
Values = dict[str, npt.NDArray[Any]]


def recording(**changes: Any) -> Recording:
    """Twelve leads on a grid of 4.88 uV, as an ADC gives them."""
    steps = np.random.default_rng(0).integers(-800, 800, (12, 5000))
    leads = tuple(
        Lead(name=name, samples=(row * 0.00488).astype(np.float32), sampling_rate_hz=RATE_HZ)
        for name, row in zip(STANDARD_12, steps, strict=True)
    )
    values: dict[str, Any] = {
        "format": "test",
        "leads": leads,
        "patient": Patient(sex="F", age_years=56),
        "acquisition_year": 2019,
        "device_model": "MAC 5500",
        "filters": Filters(highpass_hz=0.05, lowpass_hz=150),
        "source_digest": "ab" * 32,
    }
    return Recording(**{**values, **changes})


def by_wfdb(written: Written, folder: Path) -> Values:
    for name, data in written.files.items():
        (folder / name).write_bytes(data)
    record: Any = wfdb.rdrecord(str(folder / "ecg"), smooth_frames=False)
    return dict(zip(record.sig_name, record.e_p_signal, strict=True))


def by_edfio(written: Written, _: Path) -> Values:
    file = edfio.read_edf(io.BytesIO(written.files["ecg.edf"]))
    return {x.label: x.data / 1000 for x in file.signals}


def by_pyedflib(written: Written, folder: Path) -> Values:
    (folder / "ecg.edf").write_bytes(written.files["ecg.edf"])
    with pyedflib.EdfReader(str(folder / "ecg.edf")) as file:
        labels = file.getSignalLabels()
        return {x: file.readSignal(i) / 1000 for i, x in enumerate(labels)}


def by_pydicom(written: Written, _: Path) -> Values:
    dataset = pydicom.dcmread(io.BytesIO(written.files["ecg.dcm"]))
    values = dataset.waveform_array(0) / 1000
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    return {x.ChannelLabel: values[:, i] for i, x in enumerate(channels)}


def by_numpy(written: Written, _: Path) -> Values:
    with np.load(io.BytesIO(written.files["ecg.npz"]), allow_pickle=False) as arrays:
        return dict(zip(arrays["leads"].tolist(), arrays["signal"], strict=True))


def by_loadtxt(written: Written, _: Path) -> Values:
    text = io.BytesIO(written.files["ecg.csv"])
    table = np.genfromtxt(text, delimiter=",", skip_header=2)
    assert table[:, 0] == pytest.approx(np.arange(5000) / RATE_HZ)
    return dict(zip(STANDARD_12, table.T[1:], strict=True))


def by_pyarrow(written: Written, _: Path) -> Values:
    table = parquet.read_table(io.BytesIO(written.files["ecg.parquet"]))
    assert table.schema.metadata[b"fs"] == b"500.0"
    return {name: table[name].to_numpy() for name in table.column_names}


ORACLES: list[tuple[str, Callable[[Written, Path], Values], float]] = [
    ("wfdb", by_wfdb, 1e-6),
    ("edf", by_edfio, 0.0005),
    ("edf", by_pyedflib, 0.0005),
    ("dicom", by_pydicom, 1e-6),
    ("npz", by_numpy, 0.0),
    ("csv", by_loadtxt, 1e-8),
    ("parquet", by_pyarrow, 0.0),
]


def test_every_writer_has_an_oracle() -> None:
    assert {name for name, _, _ in ORACLES} == set(writers())


@pytest.mark.parametrize(("name", "oracle", "tolerance_mv"), ORACLES)
def test_an_independent_reader_finds_the_same(
    name: str, oracle: Callable[[Written, Path], Values], tolerance_mv: float, tmp_path: Path
) -> None:
    ecg = recording()
    found = oracle(writers()[name].write(ecg, "ecg"), tmp_path)
    assert list(found) == list(STANDARD_12)
    for lead in ecg.leads:
        assert np.abs(found[lead.name] - lead.samples).max() <= tolerance_mv


@pytest.mark.parametrize("name", sorted(writers()))
def test_our_readers_find_the_same(name: str) -> None:
    ecg = recording()
    written: Written = writers()[name].write(ecg, "ecg")
    [result] = read_records(written.files, ReadOptions())
    assert result.recording.lead_names == ecg.lead_names
    for ours, lead in zip(result.recording.leads, ecg.leads, strict=True):
        assert (ours.unit, ours.sampling_rate_hz) == ("mV", pytest.approx(RATE_HZ))
        assert np.abs(ours.samples - lead.samples).max() <= 0.00244
    if name in ("wfdb", "dicom", "edf"):
        assert result.recording.patient.sex == "F"
    if name in ("wfdb", "dicom"):
        assert result.recording.patient.age_years == 56
    if name == "dicom":
        assert (result.recording.acquisition_year, result.recording.device_model) == (2019, "MAC 5500")


@pytest.mark.parametrize("name", sorted(writers()))
def test_the_same_recording_becomes_the_same_bytes(name: str) -> None:
    first, second = (writers()[name].write(recording(), "ecg").files for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["wfdb", "dicom", "npz", "csv", "parquet"])
def test_missing_samples_stay_missing(name: str) -> None:
    ecg = recording()
    holed = ecg.leads[3].samples.copy()
    holed[100:200] = np.nan
    lead = Lead(name="aVR", samples=holed, sampling_rate_hz=RATE_HZ)
    ecg = recording(leads=(*ecg.leads[:3], lead, *ecg.leads[4:]))
    [result] = read_records(writers()[name].write(ecg, "ecg").files)
    found = result.recording.signal("aVR")
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(100, 200))


def test_edf_refuses_missing_samples() -> None:
    lead = Lead(name="I", samples=np.array([1, np.nan], np.float32), sampling_rate_hz=RATE_HZ)
    with pytest.raises(InvalidArgument, match="missing"):
        writers()["edf"].write(recording(leads=(lead,)), "ecg")


@pytest.mark.parametrize("name", ["wfdb", "edf", "npz", "csv", "parquet"])
def test_each_lead_keeps_its_rate_and_unit(name: str) -> None:
    slow = Lead(name="ABP", samples=np.arange(1250, dtype=np.float32), sampling_rate_hz=125.0, unit="mmHg")
    ecg = recording(leads=(*recording().leads, slow))
    written: Written = writers()[name].write(ecg, "ecg")
    sets = [written.files] if name in ("wfdb", "edf") else [{k: v} for k, v in written.files.items()]
    leads = [x for files in sets for r in read_records(files) for x in r.recording.leads]
    found = next(x for x in leads if x.name == "ABP")
    assert (found.sampling_rate_hz, found.unit) == (125.0, "mmHg")
    assert found.samples == pytest.approx(slow.samples, abs=0.02)


def test_dicom_leaves_out_what_is_no_ecg_and_says_so() -> None:
    slow = Lead(name="ABP", samples=np.ones(1250, np.float32), sampling_rate_hz=125.0, unit="mmHg")
    median = Series(kind="median", leads=recording().leads)
    marks = (Annotation(onset_s=1.0, label="N"),)
    ecg = recording(leads=(*recording().leads, slow), other_series=(median,), annotations=marks)
    written: Written = writers()["dicom"].write(ecg, "ecg")
    assert len(written.notes) == 2
    dataset = pydicom.dcmread(io.BytesIO(written.files["ecg.dcm"]))
    assert [x.MultiplexGroupLabel for x in dataset.WaveformSequence] == ["RHYTHM", "MEDIAN BEAT"]
    assert dataset.SOPClassUID.name == "12-lead ECG Waveform Storage"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_dicom_chooses_its_class() -> None:
    long = Lead(name="MLII", samples=np.zeros(60_000, np.float32), sampling_rate_hz=128.0)
    written = writers()["dicom"].write(recording(leads=(long,)), "ecg")
    dataset = pydicom.dcmread(io.BytesIO(written.files["ecg.dcm"]))
    assert dataset.SOPClassUID.name == "Ambulatory ECG Waveform Storage"
    fast = Lead(name="I", samples=np.zeros(10, np.float32), sampling_rate_hz=2000.0)
    with pytest.raises(InvalidArgument, match="1000 Hz"):
        writers()["dicom"].write(recording(leads=(fast,)), "ecg")


def test_edf_keeps_annotations_and_an_odd_rate() -> None:
    lead = Lead(name="I", samples=(np.arange(6000) / 1000).astype(np.float32), sampling_rate_hz=1e6 / 1667)
    ecg = recording(leads=(lead,), annotations=(Annotation(onset_s=1.5, label="R peak"),))
    [result] = read_records(writers()["edf"].write(ecg, "ecg").files)
    assert [(x.onset_s, x.label) for x in result.recording.annotations] == [(1.5, "R peak")]
    assert result.recording.leads[0].sampling_rate_hz == pytest.approx(lead.sampling_rate_hz)


@pytest.mark.parametrize("name", sorted(writers()))
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    for file in writers()[name].write(recording(), "../../etc/pass wd").files:
        assert "/" not in file
        assert ".." not in file


@pytest.mark.parametrize("scale", [1.0, 1e-4, 300.0, 1e6])
def test_any_samples_are_within_half_a_step(scale: float) -> None:
    samples = (np.random.default_rng(1).normal(3, 1, 4000) * scale).astype(np.float32)
    samples[7] = np.nan
    stored = quantise(samples)
    back = stored.values * stored.step + stored.offset
    assert stored.values[7] == MISSING
    known = np.isfinite(samples)
    assert np.abs(back[known] - samples[known]).max() <= stored.step * 0.501
    assert stored.step <= 16 * scale / 65_000


@pytest.mark.parametrize("samples", [[0.0, 0.0], [5.0, 5.0], [np.nan, np.nan], [-3.0, np.nan]])
def test_constant_and_missing_leads(samples: list[float]) -> None:
    stored = quantise(np.array(samples, np.float32))
    back = np.where(stored.values == MISSING, np.nan, stored.values * stored.step + stored.offset)
    assert back == pytest.approx(np.array(samples), nan_ok=True, abs=1e-3)
