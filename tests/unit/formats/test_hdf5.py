"""HDF5: sets of many records, signals with attributes, and what must never be followed."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, UnreadableFile, UnsafeReference
from exchangeai.formats import ReadOptions, ReadResult, read_records
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "hdf5"
STATED = ReadOptions(sampling_rate_hz=400, unit="mV", leads=STANDARD_12)
ECG = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)


def h5(fill: Callable[[Any], object]) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        fill(file)
    return out.getvalue()


def results(data: bytes, options: ReadOptions = STATED) -> list[ReadResult]:
    return read_records({"a": data}, options)


def tracings(file: Any) -> None:
    padded = np.zeros((3, 512, 12), np.float32)
    padded[:, 100:400] = ECG.T
    padded[1] *= 2
    file["tracings"] = padded
    file["exam_id"] = np.array([11, 12, 13])
    file["patient_id"] = np.array([1, 1, 2])
    file["age"] = np.array([50, 91, 33])


def test_a_set_of_many_records() -> None:
    found = results(h5(tracings))
    assert [x.identifiers.record_id for x in found] == ["11", "12", "13"]
    assert [x.identifiers.patient_id for x in found] == ["1", "1", "2"]
    assert [x.recording.patient.age_years for x in found] == [50, 90, 33]
    assert found[1].recording.signal("V6")[100:400] == pytest.approx(2 * ECG[11])
    assert found[0].recording.signal("I").size == 512
    assert "100 samples before and 112 after" in found[0].recording.warnings[0]


def test_nothing_of_such_a_set_is_assumed() -> None:
    with pytest.raises(MissingMetadata, match=r"`sampling_rate_hz`.*`unit`.*`leads`.*400 Hz.*1e-4 V"):
        results(h5(tracings), ReadOptions())
    tenth = ReadOptions(sampling_rate_hz=400, unit="mV", unit_multiple=0.1, leads=STANDARD_12)
    assert results(h5(tracings), tenth)[0].recording.signal("I")[100:400] == pytest.approx(ECG[0] / 10)


def test_groups_with_attributes() -> None:
    def fill(file: Any) -> None:
        file.attrs["fs"] = 500
        for name in ("first", "second"):
            group = file.create_group(name)
            group.attrs["patient_id"] = f"p-{name}"
            group.attrs["sex"] = "F"
            data = group.create_dataset("ecg", data=ECG.T, compression="gzip", shuffle=True)
            data.attrs["units"] = "uV"
            data.attrs["lead_names"] = list(STANDARD_12)

    found = results(h5(fill), ReadOptions())
    assert [x.identifiers.record_id for x in found] == ["first", "second"]
    assert [x.identifiers.patient_id for x in found] == ["p-first", "p-second"]
    assert found[0].recording.signal("V1") == pytest.approx(ECG[6] / 1000)
    assert found[0].recording.sampling_rate_hz("V1") == 500


def test_facts_as_data_sets() -> None:
    def fill(file: Any) -> None:
        file["signal"] = ECG
        file["fs"] = 500.0
        file["unit"] = "mV"
        file["leads"] = np.array([x.encode() for x in STANDARD_12])

    assert results(h5(fill), ReadOptions())[0].recording.lead_names == STANDARD_12


def test_one_data_set_a_lead_with_its_own_unit() -> None:
    def fill(file: Any) -> None:
        file.attrs["sampling_rate"] = 250.0
        for name, unit in (("I", "uV"), ("ABP", "mmHg")):
            file.create_dataset(name, data=ECG[0]).attrs["unit"] = unit

    recording = results(h5(fill), ReadOptions())[0].recording
    assert {x.name: x.unit for x in recording.leads} == {"I": "mV", "ABP": "mmHg"}
    assert recording.signal("I") == pytest.approx(ECG[0] / 1000)


def test_a_gain_or_an_unread_kind_is_said() -> None:
    def fill(file: Any) -> None:
        file["ecg"] = ECG
        file["gain"] = 200.0
        ragged = file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.float32))
        ragged[0] = [1, 2, 3]

    warnings = results(h5(fill))[0].recording.warnings
    assert any("gain" in x for x in warnings)
    assert any("variable length" in x for x in warnings)


def _external_link(file: Any) -> None:
    file["ecg"] = ECG
    file["other"] = h5py.ExternalLink("/etc/passwd", "/x")


def _external_storage(file: Any) -> None:
    file.create_dataset("ecg", (12, 300), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((12, 300), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "ecg", shape=(12, 300))
    file.create_virtual_dataset("ecg", layout)


@pytest.mark.parametrize("fill", [_external_link, _external_storage, _virtual])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_nothing_outside_the_file_is_opened(fill: Callable[[Any], object], libver: str) -> None:
    out = io.BytesIO()
    with h5py.File(out, "w", libver=libver) as file:
        fill(file)
    with pytest.raises(UnsafeReference, match="nothing was opened"):
        results(out.getvalue())


def test_links_within_the_file_end() -> None:
    def fill(file: Any) -> None:
        file["ecg"] = ECG
        file["again"] = file["ecg"]
        file["soft"] = h5py.SoftLink("/ecg")
        file.create_group("loop")["root"] = file["/"]

    found = results(h5(fill))
    assert len(found) == 1
    assert any("links" in x for x in found[0].recording.warnings)


def _unallocated(file: Any) -> None:
    file.create_dataset("ecg", (12, 2_000_000_000), "f8", chunks=(1, 1000))


def _chunk_bomb(file: Any) -> None:
    data = file.create_dataset("ecg", (12, 300), "f4", chunks=(12, 300), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(300_000_000), 9))


def _unknown_filter(file: Any) -> None:
    file.create_dataset(
        "ecg", (12, 300), "f4", chunks=(12, 300), compression=32001, allow_unknown_filter=True
    )


@pytest.mark.parametrize("fill", [_unallocated, _chunk_bomb, _unknown_filter])
def test_bounds_come_before_reading(fill: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidHeader):
        results(h5(fill))


def test_a_heap_that_the_library_would_walk_forever() -> None:
    data = bytearray(
        h5(lambda f: f.create_dataset("ecg", data=ECG).attrs.update({"leads": list(STANDARD_12)}))
    )
    heap = data.index(b"GCOL")
    # The first object becomes free space without a size.
    data[heap + 16 : heap + 18] = bytes(2)
    data[heap + 24 : heap + 32] = bytes(8)
    with pytest.raises(InvalidHeader, match="heap"):
        results(bytes(data))


def test_files_without_samples_or_cut() -> None:
    with pytest.raises(EmptyFile):
        results(h5(lambda f: f.attrs.update({"fs": 500})))
    whole = (GOLDEN / "leads_first_attrs.h5").read_bytes()
    for size in (600, 5_000, len(whole) // 2, len(whole) - 10):
        with pytest.raises(UnreadableFile):
            results(whole[:size], ReadOptions())
