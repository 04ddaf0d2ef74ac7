"""GE MUSE XML: waveforms by type, scale, checksums, derived limb leads, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, ReadResult, muse
from exchangeai.leads import STANDARD_12
from tests.unit.formats import ge_xml
from tests.unit.formats.ge_xml import EIGHT, lead_data, waveform

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
COUNTS = {x: np.arange(i * 10, i * 10 + 200, dtype=np.int16) for i, x in enumerate(STANDARD_12)}
STRICT = ReadOptions(strict=True)


def rhythm(*names: str, base: str = "500", exponent: str = "0") -> str:
    leads = "".join(lead_data(x, COUNTS.get(x, COUNTS["I"])) for x in names or EIGHT)
    return waveform("Rhythm", leads, base=base, exponent=exponent)


def read(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return muse.read({"a.xml": data}, options or ReadOptions())[0]


def test_the_golden_file_holds_the_record_it_was_made_from() -> None:
    result = read((GOLDEN / "muse/E07500_median_first.xml").read_bytes())
    recording = result.recording
    counts = ge_xml.e07500(4.88)
    assert recording.lead_names == STANDARD_12
    assert recording.derived_leads == ("III", "aVR", "aVL", "aVF")
    for name in EIGHT:
        assert recording.signal(name) == pytest.approx(counts[name] * 0.00488, abs=1e-6)
    assert recording.signal("aVF") == pytest.approx(
        recording.signal("II") - recording.signal("I") / 2, abs=1e-6
    )
    (median,) = recording.other_series
    assert (median.kind, len(median.leads), median.leads[0].samples.size) == ("median", 12, 600)
    assert (recording.filters.highpass_hz, recording.filters.lowpass_hz) == (0.05, 150)
    assert recording.filters.notch_hz == 50
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 90)  # 93, pooled
    assert (recording.acquisition_year, recording.device_model) == (2023, "MAC55")
    assert result.identifiers.patient_id == "TEST-0042"
    assert recording.device_statements == ("Sinus rhythm", "Otherwise normal ECG")
    measured = recording.device_measurements
    assert (measured["ventricular_rate"], measured["atrial_rate"]) == (61, 62)
    assert (measured["qrs_axis_deg"], measured["qtc_fridericia_ms"], measured["rr_ms"]) == (-20, 402, 984)
    assert (measured["qrs_onset_ms"], measured["t_offset_ms"]) == (432, 884)  # samples 216 and 442
    assert [(x.onset_s, x.label, x.detail) for x in recording.annotations] == [
        (0.614, "QRS", "type 0"),
        (1.914, "QRS", "type 1"),
    ]
    assert recording.warnings == ()
    assert "Nobody" not in repr(recording)
    assert "TEST-0042" not in repr(recording)


def test_waveforms_are_told_by_their_type_not_their_order() -> None:
    median = waveform("Median", lead_data("I", COUNTS["V6"][:60]))
    for data in (ge_xml.muse(rhythm(), median), ge_xml.muse(median, rhythm())):
        recording = read(data).recording
        assert recording.leads[0].samples.size == 200
        assert [x.kind for x in recording.other_series] == ["median"]
    assert read(ge_xml.muse(rhythm())).recording.other_series == ()


def test_rates_and_units_are_those_of_the_file() -> None:
    recording = read(ge_xml.muse(rhythm(base="25", exponent="1"))).recording
    assert recording.leads[0].sampling_rate_hz == 250
    millivolts = lead_data(
        "V1", COUNTS["V1"], LeadAmplitudeUnitsPerBit="0.005", LeadAmplitudeUnits="MILLIVOLTS"
    )
    found = read(ge_xml.muse(waveform("Rhythm", millivolts))).recording
    assert found.signal("V1")[:2] == pytest.approx([0.3, 0.305])
    assert found.lead_names == ("V1",)


def test_stored_limb_leads_are_never_replaced() -> None:
    recording = read(ge_xml.muse(rhythm(*reversed(STANDARD_12)))).recording
    assert recording.lead_names == STANDARD_12
    assert recording.derived_leads == ()
    assert recording.signal("III") == pytest.approx(COUNTS["III"] * 0.00488)


def test_right_sided_and_posterior_leads_keep_their_names() -> None:
    recording = read(ge_xml.muse(rhythm(*EIGHT, "V3R", "V7", "A9"))).recording
    assert recording.lead_names == (*STANDARD_12, "V3R", "V7", "A9")
    few = read(ge_xml.muse(rhythm("V3R", "II", "I"))).recording
    assert few.lead_names == ("V3R", "II", "I", "III", "aVR", "aVL", "aVF")


def test_a_wrong_checksum_is_told_and_refused_when_strict() -> None:
    data = ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], crc=12345)))
    assert any("CRC" in x for x in read(data).recording.warnings)
    with pytest.raises(InvalidHeader, match="CRC"):
        read(data, STRICT)
    unsaid = ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], crc=0)))
    assert read(unsaid, STRICT).recording.warnings == ()


def test_what_the_device_says_of_an_electrode_is_told() -> None:
    data = ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], LeadOff="TRUE")))
    assert any("electrode was off" in x for x in read(data, STRICT).recording.warnings)


@pytest.mark.parametrize(("declared", "accepted"), [(250, True), (400, True), (401, False)])
def test_a_file_that_ends_early(declared: int, *, accepted: bool) -> None:
    data = ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], LeadSampleCountTotal=str(declared))))
    if accepted:
        assert any("truncated" in x for x in read(data).recording.warnings)
    else:
        with pytest.raises(Truncated):
            read(data)
    with pytest.raises(Truncated):
        read(data, STRICT)


@pytest.mark.parametrize(("share", "accepted"), [(0.5, False), (0.92, False), (0.97, True)])
def test_a_file_that_is_cut_counts_when_every_lead_has_half(share: float, *, accepted: bool) -> None:
    data = (GOLDEN / "muse/E07500_median_first.xml").read_bytes()
    cut = data[: int(share * len(data))]
    if not accepted:
        with pytest.raises(Truncated):
            read(cut)
        return
    recording = read(cut).recording
    assert recording.lead("V6") is not None
    assert 2500 <= recording.signal("V6").size < 5000
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        read(cut, STRICT)


def test_damaged_base64_is_read_as_far_as_it_goes() -> None:
    whole = lead_data("I", COUNTS["I"], crc=0)
    cut = (
        whole.replace("\n</WaveFormData>", "").replace("</LeadData>", "")[:-31] + "</WaveFormData></LeadData>"
    )
    data = ge_xml.muse(waveform("Rhythm", cut))
    recording = read(data).recording
    assert recording.leads[0].samples.size < 200
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(ExchangeaiError):
        read(data, STRICT)


def test_ages_in_other_units_and_from_dates() -> None:
    def aged(head: str) -> int | None:
        return read(ge_xml.muse(rhythm(), head=head)).recording.patient.age_years

    person = "<PatientDemographics>{}</PatientDemographics>"
    tested = "<TestDemographics><AcquisitionDate>03-01-2020</AcquisitionDate></TestDemographics>"
    assert aged(person.format("<PatientAge>30</PatientAge><AgeUnits>MONTHS</AgeUnits>")) == 2
    assert aged(person.format("<DateofBirth>03-02-1980</DateofBirth>") + tested) == 39
    assert aged(person.format("")) is None


def test_what_the_file_does_not_say_is_asked() -> None:
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(ge_xml.muse(rhythm(base="")))
    silent = ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], LeadAmplitudeUnitsPerBit="")))
    with pytest.raises(MissingMetadata, match=r"4\.88"):
        read(silent)
    stated = read(silent, ReadOptions(unit="uV", unit_multiple=4.88)).recording
    assert stated.signal("I")[100] == pytest.approx(0.488)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (ge_xml.muse(), EmptyFile),
        (ge_xml.muse(waveform("Median", lead_data("I", COUNTS["I"]))), EmptyFile),
        ((GOLDEN / "bad/entity_bomb_muse.xml").read_bytes(), InvalidHeader),
        ((GOLDEN / "bad/xxe_muse.xml").read_bytes(), InvalidHeader),
        (ge_xml.muse(rhythm())[:-900], Truncated),
        (ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], LeadSampleSize="3"))), InvalidHeader),
        (
            ge_xml.muse(waveform("Rhythm", lead_data("I", COUNTS["I"], LeadAmplitudeUnits="OHM"))),
            InvalidHeader,
        ),
        (ge_xml.muse(rhythm(base="0")), InvalidHeader),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_bad_files_are_refused(data: bytes, error: type[ExchangeaiError], *, strict: bool) -> None:
    with pytest.raises(error):
        read(data, ReadOptions(strict=strict))


def test_it_is_found_by_its_root() -> None:
    assert muse.sniff({"x": ge_xml.muse(rhythm())})
    assert not muse.sniff({"x": b"<RestingECGMeasurements/>"})


def test_the_golden_files_are_what_the_builder_writes() -> None:
    for name, data in ge_xml.golden().items():
        assert (GOLDEN / name).read_bytes() == data
