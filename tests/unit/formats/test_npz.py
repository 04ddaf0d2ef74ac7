"""NumPy arrays and archives: what names say, what the caller states, and bounds."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, Truncated, UnreadableFile
from exchangeai.formats import ReadOptions, ReadResult, read_records
from exchangeai.leads import STANDARD_12

STATED = ReadOptions(sampling_rate_hz=250, unit="mV", leads=STANDARD_12)
ECG = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)


def npz(*, compressed: bool = False, **arrays: Any) -> bytes:
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def results(data: bytes, options: ReadOptions = STATED) -> list[ReadResult]:
    return read_records({"a": data}, options)


@pytest.mark.parametrize("table", [ECG, ECG.T, np.asfortranarray(ECG), ECG.astype(">f8")])
@pytest.mark.parametrize(
    "said",
    [
        {"fs": 500, "leads": np.array(STANDARD_12), "unit": "uV"},
        {"sfreq": np.array([500.0]), "ch_names": np.array([x.encode() for x in STANDARD_12]), "units": "µV"},
        {"Sampling_Rate": "500 Hz", "lead_names": ",".join(STANDARD_12), "unit": np.bytes_("uV")},
    ],
)
def test_what_the_archive_says(table: Any, said: dict[str, Any]) -> None:
    recording = results(npz(signal=table, rpeaks=np.arange(5), **said), ReadOptions())[0].recording
    assert recording.lead_names == STANDARD_12
    assert recording.sampling_rate_hz("V6") == 500
    assert recording.signal("V6") == pytest.approx(ECG[11] / 1000, rel=1e-5)
    assert any("other arrays" in x for x in recording.warnings)


def test_one_array_a_lead_and_one_of_times() -> None:
    data = npz(I=ECG[0], V1=ECG[1], time_ms=np.arange(300) * 4.0)
    recording = results(data, ReadOptions(unit="mV"))[0].recording
    assert recording.lead_names == ("I", "V1")
    assert recording.sampling_rate_hz("I") == 250


def test_a_unit_for_each_lead() -> None:
    data = npz(data=ECG[:2], fs=250, leads=np.array(["II", "ABP"]), units=np.array(["uV", "mmHg"]))
    recording = results(data, ReadOptions())[0].recording
    assert [x.unit for x in recording.leads] == ["mV", "mmHg"]
    assert recording.signal("II") == pytest.approx(ECG[0] / 1000, rel=1e-5)
    assert recording.signal("ABP").tolist() == ECG[1].tolist()


def test_three_axes_are_several_records() -> None:
    data = npz(X=np.stack([ECG.T, 2 * ECG.T]), record_id=np.array([7, 8]), sex=np.array(["F", "M"]))
    found = results(data)
    assert [x.identifiers.record_id for x in found] == ["7", "8"]
    assert [x.recording.patient.sex for x in found] == ["F", "M"]
    assert found[1].recording.signal("II") == pytest.approx(2 * ECG[1])
    assert len({x.recording.source_digest for x in found}) == 2
    assert len(results(npy(np.stack([ECG, ECG, ECG])))) == 3


def test_diagnoses_are_no_lead_names() -> None:
    recording = results(npz(ecg=ECG, labels=np.array(["MI", "AF", "NORM"])))[0].recording
    assert recording.lead_names == STANDARD_12


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (ReadOptions(unit="mV"), "`leads`"),
        (ReadOptions(sampling_rate_hz=250, unit="mV", leads=STANDARD_12), "500 Hz but 250 Hz"),
        (ReadOptions(unit="mV", leads=STANDARD_12[:8]), "8 leads were stated"),
        (ReadOptions(leads=STANDARD_12), "`unit`"),
    ],
)
def test_what_is_missing_or_contradicts(options: ReadOptions, match: str) -> None:
    with pytest.raises(UnreadableFile, match=match):
        results(npz(signal=ECG, fs=500), options)


def test_a_gain_is_not_applied_silently() -> None:
    recording = results(npz(signal=ECG, gain=200.0))[0].recording
    assert any("gain" in x for x in recording.warnings)


def test_objects_are_never_read() -> None:
    pickled = np.array([object], object)
    recording = results(npz(signal=ECG, leads=pickled))[0].recording
    assert any("objects" in x for x in recording.warnings)
    for data in (npz(signal=pickled), npy(pickled)):
        with pytest.raises(InvalidHeader, match="objects"):
            results(data)
    with pytest.raises(InvalidHeader):
        results(npz(signal=ECG, leads=pickled), ReadOptions(**{**_stated(), "strict": True}))


def test_two_tables_need_a_name() -> None:
    with pytest.raises(InvalidHeader, match="2 tables"):
        results(npz(a=ECG, b=ECG))
    assert results(npz(a=ECG * 0, ecg=ECG))[0].recording.signal("I").tolist() == ECG[0].tolist()


def test_bombs_are_refused_before_they_unpack() -> None:
    flat = npz(compressed=True, signal=np.zeros((12, 1_500_000)))
    assert len(flat) < 1_000_000
    with pytest.raises(InvalidHeader, match="unpack"):
        results(flat)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(1100):
            archive.writestr(f"x{i}.npy", b"")
    with pytest.raises(InvalidHeader, match="1024"):
        results(out.getvalue())


def test_an_array_that_ends_early() -> None:
    whole = npy(np.ascontiguousarray(ECG.T))
    recording = results(whole[: len(whole) * 3 // 4])[0].recording
    assert 200 <= recording.signal("V6").size < 300
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        results(whole[: len(whole) // 3])
    with pytest.raises(Truncated):
        results(whole[: len(whole) * 3 // 4], ReadOptions(**{**_stated(), "strict": True}))
    with pytest.raises(Truncated):
        results(npy(ECG)[: len(whole) * 3 // 4])


def test_a_cut_archive_is_refused() -> None:
    data = npz(signal=ECG)
    with pytest.raises(UnreadableFile):
        results(data[: len(data) // 2])
    with pytest.raises(EmptyFile):
        results(npz(fs=500))


def test_rates_and_names_of_nothing() -> None:
    with pytest.raises(MissingMetadata, match="a guess, not applied: I, II"):
        results(npz(arr_0=ECG), ReadOptions(sampling_rate_hz=500, unit="mV"))
    with pytest.raises(InvalidHeader, match="100 000 Hz"):
        results(npz(signal=ECG, fs=-5.0), ReadOptions(unit="mV", leads=STANDARD_12))


def _stated() -> dict[str, Any]:
    return {"sampling_rate_hz": 250, "unit": "mV", "leads": STANDARD_12}
