"""MATLAB files: levels 4, 5 and 7.3, against scipy where it reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from exchangeai.errors import InvalidHeader, MissingMetadata, Truncated, UnreadableFile
from exchangeai.formats import ReadOptions, ReadResult, read_records
from exchangeai.formats._matlab_v5 import parse_v5
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
STATED = ReadOptions(sampling_rate_hz=500, unit="uV", leads=STANDARD_12)
STRICT = ReadOptions(sampling_rate_hz=500, unit="uV", leads=STANDARD_12, strict=True)
ECG = np.random.default_rng(0).integers(-2000, 2000, (12, 300)).astype(np.int16)


def mat(values: dict[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, values, **options)
    return out.getvalue()


def results(data: bytes, options: ReadOptions = STATED) -> list[ReadResult]:
    return read_records({"a": data}, options)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
@pytest.mark.parametrize("table", [ECG, ECG.T, ECG.astype(np.float64), ECG.astype(np.int32)])
def test_a_plain_matrix(options: dict[str, Any], table: Any) -> None:
    recording = results(mat({"val": table}, **options))[0].recording
    assert recording.format == "matlab"
    assert recording.lead_names == STANDARD_12
    assert recording.signal("V6") == pytest.approx(ECG[11] / 1000, rel=1e-6)


def test_physionet_without_its_header() -> None:
    data = (GOLDEN / "wfdb/E07500.mat").read_bytes()
    assert results(data)[0].recording.signal("I")[:3] == pytest.approx([-0.068] * 3)
    with pytest.raises(MissingMetadata, match=r"`sampling_rate_hz`.*`unit`.*uV.*`leads`.*I, II"):
        results(data, ReadOptions())


def test_a_struct_with_the_patient() -> None:
    said = {"sex": "Female", "age": 33, "data": ECG, "fs": 500.0, "leads": np.array(STANDARD_12, object)}
    recording = results(mat({"ECG": said | {"unit": "uV"}}), ReadOptions())[0].recording
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 33)
    assert recording.lead_names == STANDARD_12
    assert recording.signal("II") == pytest.approx(ECG[1] / 1000)


def test_an_array_of_structs_is_several_records() -> None:
    records = np.array([(ECG, "a"), (2 * ECG, "b")], dtype=[("data", "O"), ("record_id", "O")])
    found = results(mat({"records": records}))
    assert [x.identifiers.record_id for x in found] == ["a", "b"]
    assert found[1].recording.signal("I") == pytest.approx(2 * ECG[0] / 1000)


@pytest.mark.parametrize(
    "names", [np.array(STANDARD_12), np.array(STANDARD_12, object), ",".join(STANDARD_12)]
)
def test_names_as_text_cells_or_matrix(names: Any) -> None:
    data = mat({"signal": ECG.T, "Fs": 250.0, "lead_names": names})
    assert results(data, ReadOptions(unit="mV"))[0].recording.lead_names == STANDARD_12


def test_times_give_the_rate() -> None:
    data = mat({"tm": np.arange(300) / 360, "I": ECG[0], "II": ECG[1]})
    recording = results(data, ReadOptions(unit="uV"))[0].recording
    assert recording.lead_names == ("I", "II")
    assert recording.sampling_rate_hz("I") == 360


def test_values_agree_with_scipy() -> None:
    values: dict[str, Any] = {
        "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "b": np.array([[1.5, np.nan], [3, 4]]),
        "c": np.array([[2**40]], np.int64),
        "d": "größer",
        "e": {"f": ECG, "g": {"h": "x"}},
        "i": np.array([["ab"], ["c "]], object),
    }
    for compressed in (False, True):
        data = mat(values, do_compression=compressed)
        ours, oracle = parse_v5(data)[0], scipy.io.loadmat(io.BytesIO(data), simplify_cells=True)
        np.testing.assert_array_equal(ours["b"], oracle["b"])
        assert int(ours["c"][0, 0]) == oracle["c"] == 2**40
        assert ours["a"].tolist() == oracle["a"].tolist()
        assert ours["d"] == oracle["d"]
        assert ours["e"]["f"].tolist() == oracle["e"]["f"].tolist()
        assert ours["e"]["g"]["h"] == "x"
        assert ours["i"] == ["ab", "c"]


def test_objects_sparse_and_complex_are_left_out() -> None:
    data = mat({"s": scipy.sparse.eye(5).tocsc(), "z": ECG + 1j, "val": ECG})
    recording = results(data)[0].recording
    assert recording.lead_names == STANDARD_12
    assert sum("left out" in x for x in recording.warnings) == 2
    with pytest.raises(InvalidHeader, match="never read"):
        results(data, STRICT)
    with pytest.raises(InvalidHeader, match="complex"):
        results(mat({"z": ECG + 1j}))


def test_functions_are_refused() -> None:
    # The flags of the array say class 16, a function handle.
    data = bytearray(mat({"val": ECG}))
    data[144] = 16
    with pytest.raises(InvalidHeader, match="function"):
        results(bytes(data))


def test_bombs_are_refused() -> None:
    data = mat({"val": np.zeros((12, 2_000_000))}, do_compression=True)
    assert len(data) < 1_000_000
    with pytest.raises(InvalidHeader, match="unpacks"):
        results(data)


def test_files_that_end_early() -> None:
    v4 = mat({"val": ECG}, format="4")
    recording = results(v4[: len(v4) * 3 // 4])[0].recording
    assert any("truncated" in x for x in recording.warnings)
    assert recording.signal("V6").size == pytest.approx(225, abs=2)
    for data, options in ((v4[: len(v4) * 3 // 4], STRICT), (v4[: len(v4) // 3], STATED)):
        with pytest.raises(Truncated):
            results(data, options)
    for compressed in (False, True):
        v5 = mat({"val": ECG}, do_compression=compressed)
        with pytest.raises(Truncated):
            results(v5[: len(v5) * 3 // 4])


def v73(fill: Any) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=512) as file:
        fill(file)
    data = bytearray(out.getvalue())
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    data[: len(text)] = text
    return bytes(data)


def test_level_7_3_has_reversed_axes_and_references() -> None:
    def fill(file: Any) -> None:
        file["val"] = ECG.T
        file["fs"] = np.array([[500.0]])
        cells = file.create_dataset("leads", (12, 1), h5py.ref_dtype)
        for i, name in enumerate(STANDARD_12):
            item = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(x)] for x in name], np.uint16))
            item.attrs["MATLAB_class"] = np.bytes_("char")
            cells[i, 0] = item.ref
        unit = file.create_dataset("unit", data=np.array([[ord(x)] for x in "uV"], np.uint16))
        unit.attrs["MATLAB_class"] = np.bytes_("char")

    recording = results(v73(fill), ReadOptions())[0].recording
    assert recording.format == "matlab"
    assert recording.lead_names == STANDARD_12
    assert recording.signal("V6") == pytest.approx(ECG[11] / 1000)


def test_damaged_tags_are_refused() -> None:
    whole = mat({"val": ECG})
    for at in range(128, 200):
        for value in (0xFF, 0x80, 0x01):
            data = bytearray(whole)
            data[at] ^= value
            try:
                results(bytes(data))
            except UnreadableFile:
                continue
