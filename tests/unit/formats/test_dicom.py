"""DICOM waveforms: units, groups, annotations and syntaxes that the samples lack, made with pydicom."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from exchangeai.errors import InvalidHeader, MissingMetadata, TooLarge, Truncated, UnknownFormat
from exchangeai.formats import ReadOptions, read_records
from exchangeai.formats._dicom_walk import Item, Source, data_set, meta_group
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "dicom"
AMBULATORY = "1.2.840.10008.5.1.4.1.1.9.1.3"
RAW = np.arange(-300, 300, dtype=np.int64).reshape(200, 3)


def code(value: str, scheme: str, meaning: str = "x") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def channel(
    source: list[Dataset], unit: str | None = "uV", sensitivity: str | None = "5", **more: Any
) -> Dataset:
    item = Dataset()
    item.ChannelSourceSequence = source
    if sensitivity is not None:
        item.ChannelSensitivity = sensitivity
    if unit is not None:
        item.ChannelSensitivityUnitsSequence = code(unit, "UCUM")
    for name, value in more.items():
        setattr(item, name, value)
    return item


LEADS = [
    channel(code("2:1", "MDC"), FilterLowFrequency="0.05", FilterHighFrequency="150"),
    channel(
        code("5.6.3-9-11", "SCPECG"),
        "mV",
        "0.005",
        ChannelSensitivityCorrectionFactor="2",
        ChannelBaseline="1",
    ),
    channel(code("109016", "DCM", "Arterial pressure"), "mm[Hg]", "0.5"),
]


def group(
    raw: Any = RAW, kind: str = "SS", bits: int = 16, channels: list[Dataset] | None = None, **more: Any
) -> Dataset:
    item = Dataset()
    item.WaveformOriginality = "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = raw.shape[1], raw.shape[0]
    item.SamplingFrequency = "250"
    item.ChannelDefinitionSequence = channels or LEADS
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = bits, kind
    letter = "u" if kind.startswith("U") else "i"
    item.add_new("WaveformData", "OW" if bits > 8 else "OB", raw.astype(f"<{letter}{bits // 8}").tobytes())
    for name, value in more.items():
        setattr(item, name, value)
    return item


def written(
    groups: list[Dataset],
    annotations: list[Dataset] | None = None,
    syntax: str = ExplicitVRLittleEndian,
    **more: Any,
) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(AMBULATORY), UID("1.2.3")
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID, file.Modality = AMBULATORY, "1.2.3", "ECG"
    if groups:
        file.WaveformSequence = groups
    if annotations:
        file.WaveformAnnotationSequence = annotations
    for name, value in more.items():
        setattr(file, name, value)
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def read(data: bytes, **options: Any) -> Recording:
    return read_records({"a": data}, ReadOptions(**options))[0].recording


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_each_channel_has_its_own_unit(syntax: str) -> None:
    recording = read(written([group()], syntax=syntax))
    assert recording.lead_names == ("I", "V3R", "Arterial pressure")
    assert recording.signal("I") == pytest.approx(RAW[:, 0] * 5e-3)
    assert recording.signal("V3R") == pytest.approx(RAW[:, 1] * 0.01 + 1)
    assert recording.unit("Arterial pressure") == "mmHg"
    assert recording.signal(2) == pytest.approx(RAW[:, 2] * 0.5)
    assert (recording.filters.highpass_hz, recording.filters.lowpass_hz) == (0.05, 150)


@pytest.mark.parametrize(("kind", "bits"), [("SB", 8), ("UB", 8), ("US", 16), ("SL", 32), ("UL", 32)])
def test_sample_types(kind: str, bits: int) -> None:
    raw = np.abs(RAW) % 100
    assert read(written([group(raw, kind, bits)])).signal("I") == pytest.approx(raw[:, 0] * 5e-3)


def test_companded_samples_are_refused_by_name() -> None:
    with pytest.raises(InvalidHeader, match="mu-law"):
        read(written([group(np.abs(RAW) % 100, "MB", 8)]))


def test_groups_beside_the_rhythm() -> None:
    later = group(MultiplexGroupTimeOffset="4000")
    median = group(RAW[:50], MultiplexGroupLabel="MEDIAN BEAT", WaveformOriginality="DERIVED")
    recording = read(written([median, group(np.tile(RAW, (3, 1)), MultiplexGroupTimeOffset="1000"), later]))
    assert recording.signal("I").size == 600
    assert [(x.kind, x.start_s, x.leads[0].samples.size) for x in recording.other_series] == [
        ("median", None, 50),
        ("rhythm", 3.0, 200),
    ]


def test_padding_is_missing_unless_it_is_zero() -> None:
    recording = read(written([group(WaveformPaddingValue=b"\xd4\xfe")]))
    assert np.isnan(recording.signal("I")[0])
    assert np.isfinite(recording.signal("I")[1:]).all()
    assert any("padding" in x for x in recording.warnings)


def annotation(**values: Any) -> Dataset:
    item = Dataset()
    item.ReferencedWaveformChannels = values.pop("channels", [1, 0])
    for name, value in values.items():
        setattr(item, name, value)
    return item


def test_annotations_are_told_apart() -> None:
    recording = read(
        written(
            [group()],
            [
                annotation(
                    ConceptNameCodeSequence=code("2:16160", "MDC", "QT"),
                    NumericValue="0.4",
                    MeasurementUnitsCodeSequence=code("s", "UCUM"),
                ),
                annotation(ConceptNameCodeSequence=code("X1", "99X", "Heart  Rate"), NumericValue="71"),
                annotation(ConceptNameCodeSequence=code("5.10.2.1-5", "SCPECG", "PP"), NumericValue="0"),
                annotation(UnformattedTextValue="Sinus rhythm"),
                annotation(
                    ConceptNameCodeSequence=code("2:1", "MDC", "AF"),
                    TemporalRangeType="SEGMENT",
                    ReferencedSamplePositions=[51, 151],
                ),
                annotation(
                    ConceptNameCodeSequence=code("2:2", "MDC", "R"),
                    TemporalRangeType="MULTIPOINT",
                    ReferencedSamplePositions=[1, 101],
                    channels=[1, 2],
                ),
                annotation(
                    UnformattedTextValue="z", TemporalRangeType="POINT", ReferencedTimeOffsets=["500"]
                ),
                annotation(UnformattedTextValue="y", TemporalRangeType="POINT", channels=[2, 0]),
            ],
        )
    )
    assert recording.device_measurements == {"qt_ms": 400, "ventricular_rate": 71}
    assert recording.device_statements == ("Sinus rhythm",)
    assert [
        (x.onset_s, x.label, x.duration_s and round(x.duration_s, 9), x.lead) for x in recording.annotations
    ] == [
        (0.0, "R", None, "V3R"),
        (0.2, "AF", 0.4, None),
        (0.4, "R", None, "V3R"),
        (0.5, "z", None, None),
    ]
    assert any("other groups" in x for x in recording.warnings)


def test_facts_of_a_real_file() -> None:
    recording = read((GOLDEN / "waveform_ecg.dcm").read_bytes())
    assert recording.device_measurements["qtc_ms"] == 370
    assert "pp_ms" not in recording.device_measurements
    assert recording.device_statements == ("RITMO SINUSALE", "ECG NORMALE")
    assert (recording.filters.highpass_hz, recording.filters.notch_hz) == (0.05, None)
    assert recording.other_series[0].leads[0].samples.size == 1200


@pytest.mark.parametrize(
    ("age", "expected"), [("042Y", 42), ("030M", 2), ("104W", 1), ("400D", 1), ("099Y", 90), ("", None)]
)
def test_ages_and_sexes(age: str, expected: int | None) -> None:
    recording = read(written([group()], PatientAge=age, PatientSex="O"))
    assert (recording.patient.age_years, recording.patient.sex) == (expected, None)


def test_what_is_no_waveform_is_named() -> None:
    pdf = "1.2.840.10008.5.1.4.1.1.104.1"
    with pytest.raises(InvalidHeader, match="Encapsulated PDF"):
        read(written([], SOPClassUID=pdf, Modality="DOC"))


def test_an_ecg_lead_without_a_scale_asks_for_it() -> None:
    lead = [channel(code("2:1", "MDC"), None)]
    with pytest.raises(MissingMetadata, match="`unit`"):
        read(written([group(RAW[:, :1], channels=lead)]))
    assert read(written([group(RAW[:, :1], channels=lead)]), unit="uV").unit("I") == "mV"


def test_half_of_the_samples_is_the_least() -> None:
    data = written([group(NumberOfWaveformSamples=300)])
    assert any("truncated" in x for x in read(data).warnings)
    with pytest.raises(Truncated):
        read(data, strict=True)
    with pytest.raises(Truncated):
        read(written([group(NumberOfWaveformSamples=500)]))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.3, 0.4])
def test_files_without_half_of_the_rhythm_are_refused_as_cut(share: float) -> None:
    data = (GOLDEN / "waveform_ecg.dcm").read_bytes()
    with pytest.raises((Truncated, UnknownFormat)):
        read(data[: int(share * len(data))])


def test_a_cut_file_is_read_and_flagged_unless_strict() -> None:
    data = (GOLDEN / "ecgtoolkit_example.dcm").read_bytes()
    whole, begin = read(data), data.index(b"\x00\x54\x10\x10")
    cut = data[: begin + 12 + 12 * 2 * 4000 + 7]
    recording = read(cut)
    assert recording.signal("V6") == pytest.approx(whole.signal("V6")[:4000])
    assert recording.patient == whole.patient
    assert recording.device_measurements == whole.device_measurements
    assert recording.warnings[0].startswith("the file is truncated")
    assert "the waveform is truncated: 5000 samples are declared and 4000 are there" in recording.warnings
    with pytest.raises(Truncated):
        read(cut, strict=True)


def test_every_cut_is_told_from_the_whole() -> None:
    data = written([group()], [annotation(UnformattedTextValue="Sinus rhythm")])
    whole = read(data)
    for size in range(140, len(data)):
        try:
            recording = read(data[:size])
        except (Truncated, InvalidHeader):
            continue
        assert recording.device_statements == whole.device_statements
        assert recording.leads[0].samples.size >= 100
        assert any("truncated" in x for x in recording.warnings)
        with pytest.raises(Truncated):
            read(data[:size], strict=True)


def test_a_cut_deflated_file_is_read_and_flagged() -> None:
    raw = np.random.default_rng(0).integers(-3000, 3000, (4000, 3))
    data = written([group(raw)], syntax=DeflatedExplicitVRLittleEndian)
    assert read(data).warnings == ()
    recording = read(data[: len(data) * 8 // 10])
    assert recording.signal("I") == pytest.approx(raw[: recording.signal("I").size, 0] * 5e-3)
    assert any("truncated" in x for x in recording.warnings)


def test_annotations_that_contradict_their_lengths_are_left_out_unless_strict() -> None:
    data = written([group()], [annotation(UnformattedTextValue="Sinus rhythm")])
    at = data.index(b"Sinus rhythm") - 2
    damaged = data[:at] + b"\xf0" + data[at + 1 :]
    recording = read(damaged)
    assert recording.signal("I") == pytest.approx(RAW[:, 0] * 5e-3)
    assert recording.device_statements == ()
    assert any("annotations" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        read(damaged, strict=True)


def test_texts_are_in_the_character_set_of_the_file() -> None:
    data = written([group()], SpecificCharacterSet="ISO_IR 192", ManufacturerModelName="Gerät 3")
    assert read(data).device_model == "Gerät 3"
    item = annotation(UnformattedTextValue="\u6d1e\u8abf\u5f8b")
    japanese = written([group()], [item], SpecificCharacterSet=["", "ISO 2022 IR 87"])
    assert read(japanese).device_statements == ("\u6d1e\u8abf\u5f8b",)


@pytest.mark.parametrize("deflated", ["elements", "items"])
def test_bombs_of_tiny_elements_are_refused(deflated: str) -> None:
    tags = np.arange(3 << 20, dtype=np.uint32).astype("<u4")
    elements = np.stack([tags % 0xFF00 << 16 | tags >> 8, np.full_like(tags, 0x5353)], axis=1).tobytes()
    items = struct.pack("<HH2sHI", 0x40, 0xB020, b"SQ", 0, 0xFFFFFFFF) + 3 * (
        b"\xfe\xff\x00\xe0" + bytes(4)
    ) * (1 << 20)
    empty = written([], syntax=DeflatedExplicitVRLittleEndian)
    _, begin = meta_group(empty, 132)
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(elements if deflated == "elements" else items) + packer.flush()
    with pytest.raises(TooLarge):
        read(empty[:begin] + body)


SAMPLES = sorted(
    {
        x.name: x
        for folder in (os.environ.get("EXCHANGEAI_SAMPLES"), GOLDEN.parent)
        if folder
        for x in (Path(folder) / "dicom").glob("*.dcm")
    }.values()
)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("written_as", ["it is", "implicit", "of undefined lengths"])
@pytest.mark.parametrize("path", SAMPLES, ids=lambda x: x.name)
def test_every_element_is_where_pydicom_finds_it(path: Path, written_as: str) -> None:
    theirs = pydicom.dcmread(path)
    if written_as == "of undefined lengths":
        _leave_lengths_open(theirs)
    out = io.BytesIO()
    if written_as == "implicit" and theirs.original_encoding[1]:
        theirs.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        theirs.save_as(out, implicit_vr=True)
    else:
        theirs.save_as(out)
    data = out.getvalue()
    theirs = pydicom.dcmread(io.BytesIO(data))
    _, begin = meta_group(data, 132)
    order = "<" if theirs.original_encoding[1] else ">"
    ours = data_set(Source(data=data, order=order), begin, explicit=not theirs.original_encoding[0])
    assert _compared(ours, theirs) > 300
    assert not ours.source.cut


def _leave_lengths_open(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _leave_lengths_open(item)


def _compared(ours: Item, theirs: Dataset) -> int:
    """How many elements were compared."""
    assert ours.places.keys() | ours.sequences.keys() == set(theirs.keys())
    count = 0
    for tag in theirs:
        element: Any = theirs.get_item(tag.tag)
        if tag.VR == "SQ":
            found = ours.items(int(tag.tag))
            assert len(found) == len(tag.value)
            count += sum(_compared(x, y) for x, y in zip(found, tag.value, strict=True))
        elif isinstance(element, RawDataElement):
            assert (ours.raw(int(tag.tag)) or b"") == (element.value or b"")
        count += 1
    return count
