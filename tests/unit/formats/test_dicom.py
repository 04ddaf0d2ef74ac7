"""DICOM waveforms: units, groups, annotations and syntaxes that the samples lack, made with pydicom."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from exchangeai.errors import ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, read_records
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


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_cut_files_are_our_error(share: float) -> None:
    data = (GOLDEN / "waveform_ecg.dcm").read_bytes()
    with suppress(ExchangeaiError):
        read(data[: int(share * len(data))])
