"""Philips XML: real files and other readers' values, an encoder of our own, the pulse, damaged files."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import (
    InvalidHeader,
    MissingMetadata,
    Truncated,
)
from exchangeai.formats import ReadOptions, ReadResult, philips
from exchangeai.formats._philips_pulse import end_of_ecg
from exchangeai.formats._philips_xli import unpacked
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Recording
from tests.unit.formats import device_xml
from tests.unit.formats.device_xml import parsed, plain, xli, xli_chunk
from tests.unit.formats.ge_xml import e07500

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "philips"
PULSE = "a calibration pulse of 1 mV at the end was cut"
STRICT = ReadOptions(strict=True)


def read(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return philips.read({"a.xml": data}, options or ReadOptions())[0]


def record(name: str) -> Recording:
    return read((GOLDEN / name).read_bytes()).recording


@pytest.fixture(scope="module")
def counts() -> dict[str, npt.NDArray[np.int16]]:
    return e07500(5)


@pytest.mark.parametrize(
    ("name", "last", "first_mv", "at_1375_mv"),
    [
        ("129DYPRG.XML", 5263, 0.24, 0.165),
        ("repbeats_example.xml", 5263, 0.24, 0.165),
        ("ad4d3d80-d165_1-04_orig.xml", 5299, 0.05, 0.095),
    ],
)
def test_real_files_end_where_the_ecg_does(name: str, last: int, first_mv: float, at_1375_mv: float) -> None:
    recording = record(name)
    assert recording.lead_names == STANDARD_12
    assert {x.samples.size for x in recording.leads} == {last + 1}
    assert {x.sampling_rate_hz for x in recording.leads} == {500.0}
    assert recording.signal("I")[0] == pytest.approx(first_mv)
    assert recording.signal("II")[1375] == pytest.approx(at_1375_mv)
    assert recording.warnings[0] == PULSE
    assert any(x.samples[-1] != 0 for x in recording.leads)


def test_a_real_file_of_1_03() -> None:
    result = read((GOLDEN / "129DYPRG.XML").read_bytes())
    recording = result.recording
    assert (recording.patient.sex, recording.patient.age_years) == ("M", 50)
    assert (recording.acquisition_year, recording.device_model) == (2011, "HeartstartMRx")
    assert (recording.filters.highpass_hz, recording.filters.lowpass_hz) == (0.05, 150)
    assert recording.device_measurements == {
        "ventricular_rate": 41, "atrial_rate": 41, "rr_ms": 1464, "pr_ms": 151, "qrs_ms": 135, "qt_ms": 476,
        "qtc_ms": 393, "p_axis_deg": 66, "qrs_axis_deg": -21, "t_axis_deg": 59,
    }  # fmt: skip
    assert recording.device_statements[:2] == ("Sinus bradycardia", "rate< 50")
    assert recording.device_statements[-1] == "ABNORMAL ECG"
    assert result.identifiers.patient_id == "1112010721168bdc"
    assert recording.other_series == ()


def test_a_real_file_of_1_04_in_utf_16() -> None:
    recording = record("ad4d3d80-d165_1-04_orig.xml")
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 32)
    assert recording.signal("V3")[0] == pytest.approx(-17.225)
    measured = recording.device_measurements
    assert (measured["qt_ms"], measured["qtc_bazett_ms"], measured["qtc_fridericia_ms"]) == (564, 466, 497)
    assert recording.device_statements == (
        "SINUS BRADYCARDIA",
        "V-rate<60",
        "NO PREVIOUS TRACING AVAILABLE FOR COMPARISON",
        "OTHERWISE NORMAL ECG",
    )
    (beats,) = recording.other_series
    assert (beats.kind, len(beats.leads), beats.leads[0].samples.size) == ("median", 12, 1200)
    assert beats.leads[0].sampling_rate_hz == 500
    assert beats.leads[0].samples[:3] == pytest.approx([0.005, 0.005, 0.0075])
    assert np.isfinite(beats.leads[0].samples[:600]).all()
    assert np.isnan(beats.leads[0].samples[600:]).all()
    assert any("32767" in x for x in recording.warnings)
    assert "Masoudi" not in repr(recording)


def test_beats_of_1_03_stand_in_the_element_itself() -> None:
    (beats,) = record("repbeats_example.xml").other_series
    assert [x.name for x in beats.leads] == list(STANDARD_12)
    assert (beats.leads[0].samples.size, beats.leads[0].sampling_rate_hz) == (1200, 1000)
    assert beats.leads[0].samples[:3] == pytest.approx([-0.002, -0.002, -0.001])


def test_both_ecgs_of_a_case_archive() -> None:
    expected = json.loads((GOLDEN.parent / "expected.json").read_text("utf-8"))
    facts: dict[str, Any] = expected.get("archives/B9A3EKRG-129EFIRG.TGZ", {})
    with tarfile.open(GOLDEN.parent / "archives" / "B9A3EKRG-129EFIRG.TGZ") as archive:
        members = {x.name: archive.extractfile(x) for x in archive if x.name.endswith(".XML") and x.isfile()}
        data = {name: x.read() for name, x in members.items() if x is not None}
    read_members = {name: x for name, x in data.items() if philips.sniff({"a": x})}
    assert sorted(read_members) == ["B9A3EKRG.MRX/12LEADS/129DYNRG.XML", "B9A3EKRG.MRX/12LEADS/129DYPRG.XML"]
    for name, x in read_members.items():
        recording = read(x).recording
        assert {lead.samples.size for lead in recording.leads} == {5264}
        for entry in (y for y in facts.get("records", []) if y["member"] == name):
            for lead, values in entry["values"].items():
                for index, value in values.items():
                    if int(index) < 5264:
                        assert recording.signal(lead)[int(index)] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("version", "encoding"), [("1.04", "utf-16"), ("1.04.01", "utf-8"), ("1.04.02", "utf-8")]
)
def test_xli_of_our_own_encoder_comes_back(
    counts: dict[str, npt.NDArray[np.int16]], version: str, encoding: str
) -> None:
    data = device_xml.philips(parsed(xli(counts), seconds=10), version=version, encoding=encoding)
    result = read(data)
    recording = result.recording
    assert recording.lead_names == STANDARD_12
    for name, x in counts.items():
        assert recording.signal(name) == pytest.approx(x * 0.005, abs=1e-6)
    assert recording.warnings == ()
    assert (recording.patient.age_years, recording.acquisition_year) == (68, 2020)
    assert (recording.filters.notch_hz, recording.device_model) == (60, "PageWriter TC")
    assert result.identifiers.patient_id == "TEST-0042"
    assert "Nobody" not in repr(recording)
    assert "TEST-0042" not in repr(recording)


def test_sums_wrap_at_16_bits() -> None:
    rng = np.random.default_rng(0)
    wild = rng.integers(-32768, 32767, 3000).astype(np.int16)
    assert unpacked(xli_chunk(wild), wild.size)[0].tolist() == wild.tolist()


@pytest.mark.parametrize("size", [3, 4, 5, 2000])
def test_constant_leads_come_back(size: int) -> None:
    # Runs of one byte use a code before its entry is complete.
    flat = np.full(size, -7, np.int16)
    assert unpacked(xli_chunk(flat), size)[0].tolist() == flat.tolist()


@pytest.mark.parametrize("start", [4000, 5350, 6000])
@pytest.mark.parametrize("length", [50, 100])
def test_the_pulse_is_found_wherever_it_is(
    counts: dict[str, npt.NDArray[np.int16]], start: int, length: int
) -> None:
    ecg = {name: np.concatenate([x[:3000], np.zeros(4000, np.int16)]) for name, x in counts.items()}
    for x in ecg.values():
        x[2999] = 3
        x[start : start + length] = 200
    recording = read(device_xml.philips(parsed(xli(ecg), seconds=14))).recording
    assert {x.samples.size for x in recording.leads} == {3000}
    assert recording.warnings == (PULSE,)


def test_a_chunk_that_is_cut(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    chunk = xli_chunk(counts["II"])
    (cut,) = unpacked(chunk[:-200], 5000)
    assert 3000 < cut.size < 5000
    assert cut.tolist() == counts["II"][: cut.size].tolist()
    # Without a declared length nothing tells where its lower halves begin.
    assert unpacked(chunk[:-200], None)[0].size == 0


def test_what_only_looks_like_a_pulse_stays(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    leads = [np.concatenate([x[:1000], np.zeros(200, np.int16)]) for x in counts.values()]
    for x in leads[1:]:
        x[1050:1150] = 200
    assert end_of_ecg(leads, 200) is None  # not in every lead
    leads[0][1050:1150] = 200
    assert end_of_ecg(leads, 200) is not None
    leads[0][1100] = 150
    assert end_of_ecg(leads, 200) is None  # not rectangular
    leads[0][1050:1150] = 200
    leads[0][1160] = 1
    assert end_of_ecg(leads, 200) is None  # something behind it
    assert end_of_ecg([np.full(500, 200, np.int16)], 200) is None
    assert end_of_ecg([np.zeros(500, np.int16)], 200) is None
    assert end_of_ecg([], 200) is None


def test_uncompressed_leads_are_whole(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    for waveforms in (
        parsed(plain(counts), seconds=10, compression=""),
        parsed(
            " ".join(str(x) for lead in counts.values() for x in lead),
            seconds=10,
            compression="",
            dataencoding="Plain",
        ),
    ):
        recording = read(device_xml.philips(waveforms)).recording
        for name, x in counts.items():
            assert recording.signal(name) == pytest.approx(x * 0.005, abs=1e-6)
        assert recording.warnings == ()


def test_offset_resolution_and_rate_are_the_waveforms_own(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    waveforms = parsed(
        plain(counts),
        seconds=5,
        compression="",
        signaloffset="100",
        resolution="2.5",
        samplespersecond="1000",
    )
    recording = read(device_xml.philips(waveforms)).recording
    assert recording.signal("V2")[:50] == pytest.approx((counts["V2"][:50] - 100.0) * 0.0025, abs=1e-6)
    assert recording.sampling_rate_hz("V2") == 1000


def test_single_leads_begin_at_their_times(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    children = "".join(
        f'<leadwaveform leadname="{name}" starttime="{at}" duration="2500">'
        f"{plain({name: counts[name][:1250]})}</leadwaveform>"
        for name, at in (("I", 0), ("aVR", 2500))
    )
    stated = 'dataencoding="Base64" samplespersecond="500" resolution="5"'
    waveforms = f"<leadwaveforms {stated}>{children}</leadwaveforms>"
    recording = read(device_xml.philips(waveforms)).recording
    assert recording.lead_names == ("I", "aVR")
    assert [x.samples.size for x in recording.leads] == [1250, 2500]
    assert np.isnan(recording.signal("aVR")[:1250]).all()
    assert recording.signal("aVR")[1250:] == pytest.approx(counts["aVR"][:1250] * 0.005, abs=1e-6)
    late = device_xml.philips(waveforms.replace('starttime="2500"', 'starttime="1e9"'))
    with pytest.raises(InvalidHeader, match="long after"):
        read(late)


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("<years>95</years>", 90),
        ("<months>30</months>", 2),
        ("<days>20</days>", 0),
        ("<dateofbirth>1951-05-18</dateofbirth>", 69),
        ("", None),
    ],
)
def test_ages(counts: dict[str, npt.NDArray[np.int16]], age: str, years: int | None) -> None:
    waveforms = parsed(plain(counts), seconds=10, compression="")
    assert read(device_xml.philips(waveforms, age=age)).recording.patient.age_years == years


def test_annotations_and_the_latest_interpretation(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    more = """<interpretations>
<interpretation date="2020-05-19" time="10:00:00"><globalmeasurements><heartrate>60</heartrate>
<qtco name="x">410</qtco><tfrontaxis>Indeterminate</tfrontaxis></globalmeasurements>
<mdsignatureline>Confirmed by: Nora Nobody</mdsignatureline>
<statement><leftstatement>Sinus  rhythm</leftstatement><rightstatement/></statement></interpretation>
<interpretation date="2020-05-18" time="15:48:11"><globalmeasurements><heartrate>99</heartrate>
</globalmeasurements></interpretation></interpretations>"""
    waveforms = parsed(plain(counts), seconds=10, compression="") + (
        "<annotations><annotation><leadname>II</leadname><time>500</time><label>P</label></annotation>"
        "<annotation><time>250.5</time><label>R</label></annotation></annotations>"
    )
    recording = read(device_xml.philips(waveforms, more=more)).recording
    assert recording.device_measurements == {"ventricular_rate": 60}
    assert recording.device_statements == ("Sinus rhythm",)
    assert [(x.onset_s, x.label, x.lead) for x in recording.annotations] == [
        (0.2505, "R", None),
        (0.5, "P", "II"),
    ]
    assert "Nora" not in repr(recording)


def test_beats_that_cannot_be_read_are_left_out(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    waveforms = parsed(plain(counts), seconds=10, compression="")
    beat = plain({"I": counts["I"][:600]})
    for stated, inner in (
        ('samplespersec="500"', f'<repbeat leadname="I" duration="1200">{beat}</repbeat>'),
        ('resolution="2.5" compression="Huffman"', f'<repbeat leadname="I">{beat}</repbeat>'),
        ('resolution="2.5"', f'<repbeat leadname="I">{beat}</repbeat>'),
        ('resolution="2.5" samplespersec="1e9"', f'<repbeat leadname="I">{beat}</repbeat>'),
        ('resolution="2.5" samplespersec="500"', '<repbeat leadname="I"/>'),
    ):
        more = f'<repbeats dataencoding="Base64" {stated}>{inner}</repbeats>'
        recording = read(device_xml.philips(waveforms + more)).recording
        assert recording.other_series == ()
        assert any("left out" in x for x in recording.warnings)
    # 1.03 need not state the rate: samples and their duration do.
    more = f'<repbeats resolution="2.5"><repbeat leadname="I" duration="1200">{beat}</repbeat></repbeats>'
    (beats,) = read(device_xml.philips(waveforms + more)).recording.other_series
    assert beats.leads[0].sampling_rate_hz == 500


def test_what_is_not_stated_is_asked_for(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    bare = parsed(
        plain(counts),
        seconds=0,
        compression="",
        samplespersecond="",
        resolution="",
        leadlabels="",
        durationperchannel="",
    )
    data = device_xml.philips(bare, signal="")
    with pytest.raises(MissingMetadata, match="unit"):
        read(data)
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(data, ReadOptions(unit="uV", unit_multiple=5))
    with pytest.raises(MissingMetadata, match="leads"):
        read(data, ReadOptions(unit="uV", unit_multiple=5, sampling_rate_hz=500))
    stated = ReadOptions(unit="uV", unit_multiple=5, sampling_rate_hz=500, leads=STANDARD_12)
    assert read(data, stated).recording.signal("V6") == pytest.approx(counts["V6"] * 0.005, abs=1e-6)


def test_a_lead_that_ends_early(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    part = {name: x[:4000] for name, x in counts.items()}
    data = device_xml.philips(parsed(xli(part), seconds=10))
    recording = read(data).recording
    assert recording.leads[0].samples.size == 4000
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        read(data, STRICT)
    with pytest.raises(Truncated):
        read(device_xml.philips(parsed(xli({n: x[:2000] for n, x in counts.items()}), seconds=10)))
    with pytest.raises(Truncated):
        read(device_xml.philips(parsed(plain({"I": counts["I"]}), seconds=10, compression="")))
