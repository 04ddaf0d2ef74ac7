"""HL7 aECG: the guide's own example by hand, and what other writers do with the standard's freedoms."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from exchangeai.errors import (
    EmptyFile,
    ExchangeaiError,
    InvalidHeader,
    MissingMetadata,
    Truncated,
)
from exchangeai.formats import ReadOptions, ReadResult, aecg
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
ABSOLUTE = (
    '<value xsi:type="GLIST_TS"><head value="20021122091000"/><increment value="0.002" unit="s"/></value>'
)


def read_bytes(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return aecg.read({"a.xml": data}, options or ReadOptions())[0]


def golden(name: str) -> ReadResult:
    return read_bytes((GOLDEN / "aecg" / name).read_bytes())


def lead(code: str, digits: str | None = "1 2 3 4", *, scale: str = "2.5", unit: str = "uV") -> str:
    listed = "" if digits is None else f"<digits>{digits}</digits>"
    return (
        f'<component><sequence><code code="{code}"/><value xsi:type="SLIST_PQ">'
        f'<origin value="0" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>{listed}'
        "</value></sequence></component>"
    )


def sequence_set(*leads: str, axis: str = ABSOLUTE, code: str = "TIME_ABSOLUTE") -> str:
    times = f'<component><sequence><code code="{code}"/>{axis}</sequence></component>' if axis else ""
    return f"<component><sequenceSet>{times}{''.join(leads)}</sequenceSet></component>"


def series(*sets: str, code: str = "RHYTHM", after: str = "") -> str:
    return f'<component><series><code code="{code}"/>{"".join(sets)}{after}</series></component>'


def file(*components: str, head: str = "", namespace: str = 'xmlns="urn:hl7-org:v3"') -> bytes:
    return (
        f'<AnnotatedECG {namespace} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{head}'
        f"{''.join(components)}</AnnotatedECG>"
    ).encode()


def read(*components: str, head: str = "") -> Recording:
    return read_bytes(file(*components, head=head)).recording


def test_the_guides_example() -> None:
    result = golden("hl7_example.xml")
    recording = result.recording
    assert recording.lead_names == tuple("I II V1 V2 V3 V4 V5 V6 III aVR aVL aVF".split())  # noqa: SIM905
    assert {x.samples.size for x in recording.leads} == {5000}
    assert {x.sampling_rate_hz for x in recording.leads} == {500.0}
    assert recording.signal("I")[[0, 1250, 4999]] == pytest.approx([-0.005, 0.08, -0.0325])
    assert recording.patient.sex == "M"
    assert recording.patient.age_years == 49  # born 8 May 1953, recorded 22 November 2002
    assert recording.acquisition_year == 2002
    assert recording.device_model == "ELI250"
    assert (recording.filters.lowpass_hz, recording.filters.notch_hz) == (150.0, 60.0)
    assert recording.filters.highpass_hz is None  # the file describes that filter without a frequency
    assert result.identifiers.patient_id == "SBJ-123"
    (median,) = recording.other_series
    assert (median.kind, len(median.leads), median.leads[0].samples.size) == ("median", 12, 599)
    assert recording.warnings == ()


def test_the_guides_annotations() -> None:
    recording = golden("hl7_example.xml").recording
    assert {
        key: recording.device_measurements[key]
        for key in ("p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "p_axis_deg", "qrs_axis_deg", "t_axis_deg")
    } == {
        "p_ms": 102, "pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "qtc_ms": 443,
        "p_axis_deg": 44, "qrs_axis_deg": -61, "t_axis_deg": 86,
    }  # fmt: skip
    assert recording.device_measurements["qrs_onset_ms"] == 434  # on the representative beat's own axis
    rhythm, p_wave, qrs, *_ = recording.annotations
    assert (rhythm.label, rhythm.onset_s, rhythm.duration_s) == ("MDC_ECG_RHY_SINUS_RHY", 0.0, 10.0)
    assert (p_wave.label, p_wave.onset_s, p_wave.duration_s) == ("MDC_ECG_WAVC_PWAVE", 0.122, 0.102)
    assert (qrs.onset_s, qrs.detail) == (0.27, "MDC_ECG_BEAT_NORMAL")
    ends = [x for x in recording.annotations if x.detail.endswith("offset")]
    assert (ends[0].label, ends[0].onset_s) == ("MDC_ECG_WAVC_TWAVE", 0.69)


def test_the_export_of_another_vendor() -> None:
    recording = golden("philips_ad4d3d80_converted.xml").recording
    assert recording.lead_names[3:6] == ("aVR", "aVL", "aVF")
    assert {x.samples.size for x in recording.leads} == {5500}
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 32)
    assert recording.device_model == "PageWriter Touch"
    assert recording.device_measurements["ventricular_rate"] == 41
    assert recording.device_measurements["qtc_bazett_ms"] == 466
    assert recording.device_statements[0].startswith("(SB) SINUS BRADYCARDIA")
    assert recording.filters.highpass_hz == 0.05


@pytest.mark.parametrize(
    "name", ["minimum_aecg", "minimum_aecg_effectiveTime_high", "minimum_aecg_effectiveTime_interval"]
)
def test_small_files_in_each_form_of_time(name: str) -> None:
    recording = golden(f"{name}.xml").recording
    assert recording.signal("II")[[0, 4, 12]] == pytest.approx([-0.005, -0.0075, -0.0225])
    assert recording.acquisition_year == 2002


@pytest.mark.parametrize(
    ("increment", "unit", "rate_hz"),
    [("2", "ms", 500.0), ("1667", "us", 1e6 / 1667), ("0.00390625", "s", 256.0), ("4e-3", "s", 250.0)],
)
def test_the_rate_is_exact_in_any_unit_of_time(increment: str, unit: str, rate_hz: float) -> None:
    axis = f'<value><head value="0" unit="s"/><increment value="{increment}" unit="{unit}"/></value>'
    recording = read(series(sequence_set(lead("MDC_ECG_LEAD_I"), axis=axis, code="TIME_RELATIVE")))
    assert recording.leads[0].sampling_rate_hz == rate_hz


@pytest.mark.parametrize(
    ("scale", "unit", "first_mv"),
    [("2.5", "uV", 0.0025), ("0.005", "mV", 0.005), ("1e-6", "V", 0.001), ("100", "nV", 0.0001),
     ("1", "cV", 10.0), ("3", "10*-6.V", 0.003), ("2", "UV", 0.002)],
)  # fmt: skip
def test_any_unit_of_voltage(scale: str, unit: str, first_mv: float) -> None:
    recording = read(series(sequence_set(lead("MDC_ECG_LEAD_I", scale=scale, unit=unit))))
    assert recording.unit("I") == "mV"
    assert recording.signal("I")[0] == pytest.approx(first_mv)


def test_origin_in_another_unit_than_scale() -> None:
    one = lead("MDC_ECG_LEAD_I").replace('<origin value="0" unit="uV"/>', '<origin value="0.5" unit="mV"/>')
    assert read(series(sequence_set(one))).signal("I")[:2] == pytest.approx([0.5025, 0.505])


def test_other_quantities_keep_their_unit() -> None:
    recording = read(series(sequence_set(lead("MDC_ECG_LEAD_I"), lead("MDC_PRESS_BLD", unit="mm[Hg]"))))
    assert recording.unit("MDC_PRESS_BLD") == "mm[Hg]"
    assert recording.signal("MDC_PRESS_BLD")[0] == 2.5


def test_leads_by_code_number_and_label() -> None:
    numbered = lead("62").replace("<code ", '<code displayName="Lead aVR" ')
    named = lead("").replace("<code ", '<code displayName="aVF" ')
    recording = read(
        series(sequence_set(lead("MDC_ECG_LEAD_V3R"), numbered, named, lead("MDC_ECG_LEAD_AVL")))
    )
    assert recording.lead_names == ("V3R", "aVR", "aVF", "aVL")


def test_missing_values_and_missing_leads_are_not_zero() -> None:
    recording = read(
        series(sequence_set(lead("MDC_ECG_LEAD_I", "1 NI -3.5 4"), lead("MDC_ECG_LEAD_II", None)))
    )
    first = recording.signal("I")
    assert np.isnan(first[1])
    assert first[[0, 2, 3]] == pytest.approx([0.0025, -0.00875, 0.01])
    assert np.isnan(recording.signal("II")).all()
    assert recording.signal("II").size == 4
    assert any("missing" in x for x in recording.warnings)


def test_further_rhythms_and_beats_are_other_series() -> None:
    later = ABSOLUTE.replace("091000", "091002.5")
    derived = (
        '<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>'
        f"{sequence_set(lead('MDC_ECG_LEAD_I', '7 8'))}</derivedSeries></derivation>"
    )
    recording = read(
        series(sequence_set(lead("MDC_ECG_LEAD_I")), after=derived),
        series(sequence_set(lead("MDC_ECG_LEAD_I", "9"), axis=later)),
    )
    assert recording.leads[0].samples.size == 4
    assert [(x.kind, x.start_s, x.leads[0].samples.size) for x in recording.other_series] == [
        ("rhythm", 2.5, 1),
        ("median", None, 2),
    ]


def test_leads_recorded_in_turns_keep_their_place_in_time() -> None:
    later = ABSOLUTE.replace("091000", "091000.004")
    recording = read(
        series(sequence_set(lead("MDC_ECG_LEAD_I")), sequence_set(lead("MDC_ECG_LEAD_V1"), axis=later))
    )
    assert recording.lead_names == ("I", "V1")
    shifted = recording.signal("V1")
    assert np.isnan(shifted[:2]).all()
    assert shifted[2:] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])


def test_measurements_of_one_lead_are_not_those_of_the_ecg() -> None:
    def measured(value: int, region: str) -> str:
        return (
            '<component><annotation><code code="MDC_ECG_TIME_PD_QT"/>'
            f'<value xsi:type="PQ" value="{value}" unit="s"/>{region}</annotation></component>'
        )

    region = (
        "<support><supportingROI><component><boundary>"
        '<code code="MDC_ECG_LEAD_II"/></boundary></component></supportingROI></support>'
    )
    after = f"<subjectOf><annotationSet>{measured(2, region)}{measured(1, '')}</annotationSet></subjectOf>"
    recording = read(series(sequence_set(lead("MDC_ECG_LEAD_I")), after=after))
    assert recording.device_measurements == {"qt_ms": 1000.0}


def test_only_a_year_of_birth() -> None:
    subject = (
        '<effectiveTime><center value="2010"/></effectiveTime><trialSubject><subjectDemographicPerson>'
        '<administrativeGenderCode code="UN"/><birthTime value="1910"/></subjectDemographicPerson>'
        "</trialSubject>"
    )
    recording = read(series(sequence_set(lead("MDC_ECG_LEAD_I"))), head=subject)
    assert recording.patient.sex is None
    assert recording.patient.age_years == 90  # pooled
    assert any("years" in x for x in recording.warnings)


def test_the_reported_age_counts_without_a_birthday() -> None:
    age = (
        '<controlVariable><relatedObservation><code code="21612-7"/><value value="18" unit="mo"/>'
        "</relatedObservation></controlVariable>"
    )
    assert read(series(sequence_set(lead("MDC_ECG_LEAD_I"))), head=age).patient.age_years == 1


def test_it_is_found_by_its_root_not_by_what_stands_before_or_around_it() -> None:
    data = file(series(sequence_set(lead("MDC_ECG_LEAD_I"))))
    assert aecg.sniff({"x": b"<!-- AnnotatedECG? -->\n" + data})
    assert aecg.sniff({"x": b"\xef\xbb\xbf" + data})
    assert not aecg.sniff({"x": b"<!-- AnnotatedECG --><RestingECG/>"})
    plain = file(series(sequence_set(lead("MDC_ECG_LEAD_I"))), namespace="")
    assert read_bytes(plain).recording.lead_names == ("I",)
    utf16 = data.decode().encode("utf-16")
    assert aecg.sniff({"x": utf16})
    assert read_bytes(utf16).recording.lead_names == ("I",)


def test_nothing_but_the_allowed_facts_leaves_the_file() -> None:
    text = repr(golden("hl7_example.xml").recording)
    for marker in ("Clark", "SBJ-123", "John Smith", "JMK", "dizzy", "River City", "61d1a24f", "19530508"):
        assert marker not in text


def test_what_the_file_does_not_say_is_asked() -> None:
    no_axis = file(series(sequence_set(lead("MDC_ECG_LEAD_I"), axis="")))
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read_bytes(no_axis)
    stated = read_bytes(no_axis, ReadOptions(sampling_rate_hz=250)).recording
    assert stated.leads[0].sampling_rate_hz == 250
    counts = file(series(sequence_set(lead("MDC_ECG_LEAD_I", unit=""))))
    with pytest.raises(MissingMetadata, match="unit"):
        read_bytes(counts)
    in_uv = read_bytes(counts, ReadOptions(unit="uV")).recording
    assert in_uv.signal("I")[0] == pytest.approx(0.0025)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ((GOLDEN / "bad/aecg_empty.xml").read_bytes(), EmptyFile),
        ((GOLDEN / "bad/trunc_aecg.xml").read_bytes(), Truncated),
        ((GOLDEN / "bad/entity_bomb_aecg.xml").read_bytes(), InvalidHeader),
        ((GOLDEN / "bad/xxe_aecg.xml").read_bytes(), InvalidHeader),
        (file(series(sequence_set(lead("MDC_ECG_LEAD_I")), code="REPRESENTATIVE_BEAT")), EmptyFile),
        (file(series(sequence_set(lead("MDC_ECG_LEAD_I", "1 two 3")))), InvalidHeader),
        (file(series(sequence_set(lead("MDC_ECG_LEAD_I", scale="0")))), InvalidHeader),
        (file(series(sequence_set(lead("MDC_ECG_LEAD_I", scale="nan")))), InvalidHeader),
        (
            file(series(sequence_set(lead("MDC_ECG_LEAD_I"), axis=ABSOLUTE.replace("0.002", "0")))),
            InvalidHeader,
        ),
        (
            file(
                series(sequence_set(lead("MDC_ECG_LEAD_I"), axis=ABSOLUTE.replace("0.002", "1e-999999999")))
            ),
            InvalidHeader,
        ),
        (file(series(sequence_set(*[lead("MDC_ECG_LEAD_I")] * 1025))), InvalidHeader),
        (file(series(sequence_set(lead("MDC_ECG_LEAD_I"), *[lead("x", None)] * 900))), InvalidHeader),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_bad_files_are_refused_fast(data: bytes, error: type[ExchangeaiError], *, strict: bool) -> None:
    begin = time.monotonic()
    with pytest.raises(error):
        read_bytes(data, ReadOptions(strict=strict))
    assert time.monotonic() - begin < 2


def test_a_late_sequence_set_does_not_fill_the_memory() -> None:
    later = ABSOLUTE.replace("20021122091000", "20991122091000")
    recording = read(
        series(sequence_set(lead("MDC_ECG_LEAD_I")), sequence_set(lead("MDC_ECG_LEAD_V1"), axis=later))
    )
    assert recording.lead_names == ("I",)
    assert recording.other_series[0].kind == "rhythm"


@pytest.mark.parametrize(("share", "beats"), [(0.7, 0), (0.99, 1)])
def test_a_file_that_is_cut_after_its_rhythm_is_read_with_a_warning(share: float, beats: int) -> None:
    data = (GOLDEN / "aecg/hl7_example.xml").read_bytes()
    cut = data[: int(share * len(data))]
    recording = read_bytes(cut).recording
    assert len(recording.leads) == 12
    assert {x.samples.size for x in recording.leads} == {5000}
    assert len(recording.other_series) == beats
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        read_bytes(cut, ReadOptions(strict=True))
