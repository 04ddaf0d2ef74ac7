"""Parquet: columns as leads, rows as records, many records one below the other, and damaged footers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as parquet  # pyright: ignore[reportMissingTypeStubs]
import pytest

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, Truncated, UnreadableFile
from exchangeai.formats import ReadOptions, ReadResult, read_records
from exchangeai.formats._parquet_footer import parse_footer
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "parquet"
STATED = ReadOptions(sampling_rate_hz=250, unit="mV")
ECG = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)
WIDE: dict[str, Any] = dict(zip(STANDARD_12, ECG, strict=True))


def file_of(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table if isinstance(table, arrow.Table) else arrow.table(table), out, **options)
    return out.getvalue()


def results(data: bytes, options: ReadOptions = STATED) -> list[ReadResult]:
    return read_records({"a": data}, options)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_a_column_a_lead(compression: str) -> None:
    recording = results(file_of(WIDE, compression=compression))[0].recording
    assert recording.lead_names == STANDARD_12
    assert recording.signal("V6").tolist() == ECG[11].tolist()


@pytest.mark.parametrize(
    "times",
    [
        {"time_ms": np.arange(300) * 2},
        {"time_s": np.arange(300) / 500},
        {"timestamp": arrow.array(np.arange(300) * 2000, arrow.timestamp("us"))},
    ],
)
def test_a_column_of_times(times: dict[str, Any]) -> None:
    recording = results(file_of(times | WIDE), ReadOptions(unit="mV"))[0].recording
    assert recording.lead_names == STANDARD_12
    assert recording.sampling_rate_hz("I") == 500


def test_metadata_of_schema_and_fields() -> None:
    fields = [
        arrow.field("I", arrow.float32(), metadata={"unit": "uV"}),
        arrow.field("ABP", arrow.float32(), metadata={"unit": "mmHg"}),
    ]
    schema = arrow.schema(fields, metadata={"fs": "500", "patient_id": "P1"})
    found = results(file_of(arrow.table([ECG[0], ECG[1]], schema=schema)), ReadOptions())[0]
    assert [(x.name, x.unit) for x in found.recording.leads] == [("I", "mV"), ("ABP", "mmHg")]
    assert found.recording.signal("I") == pytest.approx(ECG[0] / 1000)
    assert found.identifiers.patient_id == "P1"


def test_nulls_are_missing() -> None:
    recording = results(file_of({"I": [1, None, 3], "II": [1.0, 2.0, None]}))[0].recording
    assert np.isnan(recording.signal("I")).tolist() == [False, True, False]
    assert np.isnan(recording.signal("II")).tolist() == [False, False, True]


def test_a_row_a_record() -> None:
    table = {
        "record_id": ["a", "b"],
        "patient_id": [1, 2],
        "fs": [500, 250],
        "unit": ["uV", "mV"],
        "leads": [list(STANDARD_12)] * 2,
        "signal": [ECG.tolist(), ECG[:, :200].tolist()],
        "sex": ["F", "M"],
        "age": [44, 99],
    }
    found = results(file_of(table), ReadOptions())
    assert [x.identifiers.record_id for x in found] == ["a", "b"]
    assert [x.identifiers.patient_id for x in found] == ["1", "2"]
    assert [x.recording.sampling_rate_hz("I") for x in found] == [500, 250]
    assert [(x.recording.patient.sex, x.recording.patient.age_years) for x in found] == [("F", 44), ("M", 90)]
    assert found[0].recording.signal("V6") == pytest.approx(ECG[11] / 1000, rel=1e-5)
    assert found[1].recording.signal("V6") == pytest.approx(ECG[11, :200], rel=1e-6)


def test_a_list_a_lead() -> None:
    table = {"exam_id": [1, 2], "I": [[1.0, 2.0], [3.0, 4.0, None]], "II": [[1.0, 2.0], [3.0, 4.0, 5.0]]}
    found = results(file_of(table))
    assert [x.recording.signal("I").size for x in found] == [2, 3]
    assert np.isnan(found[1].recording.signal("I")[2])


@pytest.mark.parametrize("kind", [arrow.list_(arrow.float32(), 300), arrow.large_list(arrow.float32())])
def test_other_kinds_of_lists(kind: Any) -> None:
    data = file_of({"ecg": arrow.array([ECG[0].tolist(), ECG[1].tolist()], kind)})
    found = results(data, ReadOptions(sampling_rate_hz=250, unit="mV", leads=("II",)))
    assert found[1].recording.signal("II") == pytest.approx(ECG[1])


def test_records_one_below_the_other() -> None:
    ids = arrow.array(["a"] * 100 + ["b"] * 200).dictionary_encode()
    table = {"record_id": ids, "patient_id": ["p"] * 300, "fs": [500.0] * 300, "I": ECG[0], "II": ECG[1]}
    found = results(file_of(table), ReadOptions(unit="mV"))
    assert [x.identifiers.record_id for x in found] == ["a", "b"]
    assert [x.recording.signal("I").size for x in found] == [100, 200]
    assert found[1].recording.signal("II").tolist() == ECG[1, 100:].tolist()
    with pytest.raises(InvalidHeader, match="not together"):
        results(file_of({"record_id": ["a", "b", "a"], "I": [1.0, 2.0, 3.0]}))


def test_what_is_missing_is_asked() -> None:
    with pytest.raises(MissingMetadata, match=r"`sampling_rate_hz`.*`unit`"):
        results(file_of(WIDE), ReadOptions())
    with pytest.raises(MissingMetadata, match="`unit`"):
        results((GOLDEN / "E07500_rows.parquet").read_bytes(), ReadOptions())


@pytest.mark.parametrize(
    "table", [{"file": ["a", "b"], "label": ["x", "y"]}, {"I": arrow.array([], arrow.float32())}]
)
def test_tables_without_samples(table: dict[str, Any]) -> None:
    with pytest.raises(EmptyFile):
        results(file_of(table))


def test_leads_of_different_length_in_one_list() -> None:
    options = ReadOptions(sampling_rate_hz=250, unit="mV", leads=("I", "II"))
    with pytest.raises(InvalidHeader, match="differ in length"):
        results(file_of({"ecg": [[[1.0, 2.0], [3.0]]]}), options)


def test_the_footer_agrees_with_the_library() -> None:
    for data in (file_of(WIDE, row_group_size=70), (GOLDEN / "E07500_rows.parquet").read_bytes()):
        ours, oracle = parse_footer(data), parquet.ParquetFile(io.BytesIO(data)).metadata
        groups = [oracle.row_group(i) for i in range(oracle.num_row_groups)]
        columns = [x.column(i) for x in groups for i in range(x.num_columns)]
        assert (ours.rows, ours.columns) == (oracle.num_rows, oracle.num_columns)
        assert ours.uncompressed_bytes == sum(x.total_uncompressed_size for x in columns)


def test_bombs_are_refused_by_their_footer() -> None:
    flat = file_of({"I": np.zeros(25_000_000, np.float32)}, compression="zstd")
    assert len(flat) < 100_000
    with pytest.raises(InvalidHeader, match="far more"):
        results(flat)


def test_cut_and_encrypted_files() -> None:
    whole = file_of(WIDE)
    for size in (13, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Truncated):
            results(whole[:size])
    with pytest.raises(InvalidHeader, match="encrypted"):
        results(b"PARE" + whole[4:-4] + b"PARE")


def test_damaged_footers_are_refused() -> None:
    whole = file_of({"I": ECG[0], "II": ECG[1]})
    size = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - size, len(whole) - 4, 3):
        for value in (0xFF, 0x10, 0x01):
            data = bytearray(whole)
            data[at] ^= value
            try:
                results(bytes(data))
            except UnreadableFile:
                continue
