"""Every format plug-in has golden samples, reads them exactly, and refuses bad files with a reason, fast."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from exchangeai import errors, read_ecg
from exchangeai.formats import ReadResult, group_files, read_records, readers
from exchangeai.leads import STANDARD_12
from exchangeai.reading import read_each
from exchangeai.recording import Recording, from_bytes, source_digest, to_bytes
from tests.samples import GOLDEN, of_format, stated

ALL = [x for name in readers() for x in of_format(name)]


def read(name: str) -> ReadResult:
    return read_each(GOLDEN / name, stated(name))[0].results[0]


@pytest.mark.parametrize("name", sorted(readers()))
def test_every_format_has_a_golden_sample(name: str) -> None:
    assert of_format(name), f"put a sample into tests/golden/formats/{name}/"


@pytest.mark.parametrize("name", ALL)
def test_every_sample_is_read_by_its_format_and_survives_storage(name: str) -> None:
    recording = read(name).recording
    assert recording.format == name.split("/", maxsplit=1)[0]
    assert recording.leads or recording.annotations
    assert recording.duration_s > 0 or not recording.leads
    assert recording.patient.patient_key is None
    stored = from_bytes(to_bytes(recording))
    assert to_bytes(stored) == to_bytes(recording)
    assert len(recording.source_digest) == 64


def values(recording: Recording, lead: str, *indices: int) -> list[float]:
    found = recording.lead(lead)
    assert found is not None
    return [round(float(found.samples[i]), 6) for i in indices]


def test_ptbxl_record() -> None:
    recording = read("wfdb/00004_hr.hea").recording
    assert tuple(x.name for x in recording.leads) == STANDARD_12
    assert values(recording, "I", 0, 1, 2500, 4999) == [-0.055, -0.055, 0.01, 0.105]
    assert values(recording, "V6", 0, 2500) == [-0.175, -0.295]
    assert recording.warnings == ()


def test_challenge_record_with_a_suffix_in_its_name_and_a_named_month() -> None:
    recording = read("wfdb/E03823.hea").recording
    assert values(recording, "I", 0, 2500, 4999) == [-0.058, -0.034, -0.019]
    assert values(recording, "V6", 0, 2500) == [-0.146, -0.117]
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 53)
    assert recording.acquisition_year == 2020


def test_gap_of_a_discontinuous_file_is_kept() -> None:
    recording = read("edf/E07500_discontinuous.edf").recording
    lead = recording.lead("I")
    assert lead is not None
    assert recording.duration_s == 10
    assert np.flatnonzero(np.isnan(lead.samples)).tolist() == list(range(2000, 2500))
    assert values(recording, "I", 0, 2500, 2501, 2502) == [-0.068, -0.048, -0.043, -0.024]


def test_array_in_big_endian_fortran_order() -> None:
    recording = read("npy/E07500_be_fortran_int16.npy").recording
    first = [round(float(x.samples[0]), 6) for x in recording.leads]
    last = [round(float(x.samples[-1]), 6) for x in recording.leads]
    assert first == [
        -0.068,
        -0.058,
        0.009,
        0.063,
        -0.039,
        -0.024,
        0.156,
        0.097,
        -0.146,
        -0.068,
        -0.048,
        -0.156,
    ]
    assert last == [-0.131, -0.082, 0.048, 0.107, -0.09, -0.017, 0.048, 0.361, -0.278, -0.258, -0.39, 0.039]


def test_people_are_kept_apart() -> None:
    result = read("dicom/waveform_ecg.dcm")
    assert (result.recording.patient.sex, result.recording.patient.age_years) == ("F", 42)
    assert result.recording.acquisition_year == 2013
    assert result.identifiers.patient_id == "642341"
    assert b"642341" not in to_bytes(result.recording)
    assert read("edf/E07500_12lead_edfplus.edf").identifiers.patient_id == "E07500"


def test_zero_as_padding_value_is_kept_and_said() -> None:
    recording = read("dicom/ecgtoolkit_example.dcm").recording
    assert not any(np.isnan(x.samples).any() for x in recording.leads)
    assert any("padding" in x for x in recording.warnings)


@pytest.mark.parametrize("name", ALL)
def test_the_name_decides_nothing(name: str) -> None:
    if name.startswith("wfdb"):
        return
    data = (GOLDEN / name).read_bytes()
    results = [x.recording for x in read_records({"letter.txt": data}, stated(name))]
    assert {x.format for x in results} == {name.split("/", maxsplit=1)[0]}
    if len(results) == 1:
        assert results[0].source_digest == source_digest({name: data})
    assert len({x.source_digest for x in results}) == len(results)


HEADER = b"r 1 500 1000\nr.dat 16 1000/mV 16 0 0 0 0 I\n"
EDF = (GOLDEN / "edf/E07500_12lead_edfplus.edf").read_bytes()
DICOM = (GOLDEN / "dicom/waveform_ecg.dcm").read_bytes()
NPY = (GOLDEN / "npy/E07500_be_fortran_int16.npy").read_bytes()


def wfdb(record: bytes, signal: bytes, size: int = 2000) -> dict[str, bytes]:
    return {"r.hea": record + b"\n" + signal + b"\n", "r.dat": bytes(size)}


BAD: dict[str, tuple[dict[str, bytes], type[errors.ExchangeaiError]]] = {
    "nothing": ({}, errors.EmptyFile),
    "empty upload": ({"a.edf": b""}, errors.EmptyFile),
    "text renamed .dcm": ({"a.dcm": b"Dear colleague,\nthe ECG of today is normal.\n"}, errors.UnknownFormat),
    "random bytes": ({"a.dat": bytes(range(256)) * 8}, errors.UnknownFormat),
    "xml": ({"a.xml": b"<?xml version='1.0'?><ecg/>"}, errors.UnknownFormat),
    "path outside": (wfdb(b"r 1 500 1000", b"../../../../etc/passwd 16 1000/mV"), errors.UnsafeReference),
    "absolute path": (wfdb(b"r 1 500 1000", b"/etc/passwd 8 1000/mV"), errors.UnsafeReference),
    "address": (wfdb(b"r 1 500 1000", b"https://example.org/r.dat 16 1000/mV"), errors.UnsafeReference),
    "stream": (wfdb(b"r 1 500 1000", b"- 16 1000/mV"), errors.UnsafeReference),
    "10^12 samples": (wfdb(b"r 1 500 999999999999", b"r.dat 16 1000/mV"), errors.Truncated),
    "10^12 FLAC samples": (wfdb(b"r 1 500 999999999999", b"r.dat 516 1000/mV"), errors.InvalidHeader),
    "huge number of signals": (
        {"h.hea": (GOLDEN / "bad/hugesig.hea").read_bytes(), "r.dat": b"00"},
        errors.InvalidHeader,
    ),
    "NaN gain": (
        {x: (GOLDEN / "bad" / x).read_bytes() for x in ("nan.hea", "nan.dat")},
        errors.InvalidHeader,
    ),
    "gain 0": (wfdb(b"r 1 500 1000", b"r.dat 16 0/mV"), errors.InvalidHeader),
    "rate 0": (wfdb(b"r 1 0 1000", b"r.dat 16 1000/mV"), errors.InvalidHeader),
    "rate nan": (wfdb(b"r 1 nan 1000", b"r.dat 16 1000/mV"), errors.InvalidHeader),
    "skew beyond the end": (wfdb(b"r 1 500 1000", b"r.dat 16:900000 1000/mV"), errors.InvalidHeader),
    "unknown signal format": (wfdb(b"r 1 500 1000", b"r.dat 17 1000/mV"), errors.InvalidHeader),
    "truncated signal": (wfdb(b"r 1 500 1000", b"r.dat 16 1000/mV", 999), errors.Truncated),
    "header alone": ({"r.hea": HEADER}, errors.MissingFile),
    "multi-segment that names itself": ({"r.hea": b"r/1 1 500 1000\nr 1000\n"}, errors.InvalidHeader),
    "EDF at half": ({"a.edf": EDF[: len(EDF) // 2]}, errors.Truncated),
    "EDF header cut": ({"a.edf": EDF[:300]}, errors.Truncated),
    "EDF with 9999 signals": ({"a.edf": EDF[:252] + b"9999" + EDF[256:]}, errors.InvalidHeader),
    "EDF with 99999999 records": ({"a.edf": EDF[:236] + b"99999999" + EDF[244:]}, errors.Truncated),
    "EDF with duration 0": ({"a.edf": EDF[:244] + b"0       " + EDF[252:]}, errors.InvalidHeader),
    "DICOM mark only": ({"a.dcm": bytes(128) + b"DICM"}, errors.UnreadableFile),
    "DICOM at a third": ({"a.dcm": DICOM[: len(DICOM) // 3]}, errors.Truncated),
    "array at half": ({"a.npy": NPY[: len(NPY) // 2]}, errors.Truncated),
    "array of 10^12": (
        {"a.npy": NPY.replace(b"(5000, 12)", b"(9999999999, 99)")[:200]},
        errors.UnreadableFile,
    ),
    "table without rate": ({"a.csv": b"I,II\n1,2\n3,4\n"}, errors.MissingMetadata),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_refused_fast_and_with_its_reason(case: str) -> None:
    files, expected = BAD[case]
    begin = time.monotonic()
    with pytest.raises(expected) as caught:
        read_records(files)
    assert time.monotonic() - begin < 2
    for name in files:
        assert name not in str(caught.value)


def test_objects_in_arrays_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(errors.InvalidHeader, match="objects"):
        read_ecg(tmp_path / "a.npy")


def test_members_of_a_record_belong_together() -> None:
    files = {
        "a.dat": b"\1\2\3\4",
        "b.csv": b"1,2\n",
        "a.hea": b"a 1 500 2\na.dat 16 1000/mV\n",
        "a.atr": b"\0\1\2\0",
        "c.dat": b"\1\2",
    }
    groups = group_files(list(files), files)
    assert groups == [("a.dat", "a.hea", "a.atr"), ("b.csv",), ("c.dat",)]
