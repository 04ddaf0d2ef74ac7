"""GE CardioSoft XML: strips, medians and the full disclosure, in any order of leads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, ReadResult, cardiosoft
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Recording
from tests.unit.formats import ge_xml
from tests.unit.formats.ge_xml import full_disclosure, strip

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
SHORT = {"I": np.arange(-150, 150, dtype=np.int16), "II": np.arange(300, dtype=np.int16)}


def result(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return cardiosoft.read({"a.xml": data}, options or ReadOptions())[0]


def read(data: bytes, options: ReadOptions | None = None) -> Recording:
    return result(data, options).recording


def test_the_golden_file_holds_the_record_it_was_made_from() -> None:
    found = result((GOLDEN / "cardiosoft/E07500.xml").read_bytes())
    recording = found.recording
    assert recording.lead_names == STANDARD_12
    assert recording.derived_leads == ()
    for name, counts in ge_xml.e07500(5).items():
        assert recording.signal(name) == pytest.approx(counts * 0.005, abs=1e-6)
    assert {x.sampling_rate_hz for x in recording.leads} == {500.0}
    (median,) = recording.other_series
    assert (median.kind, len(median.leads), median.leads[0].samples.size) == ("median", 12, 600)
    filters = recording.filters
    assert (filters.highpass_hz, filters.lowpass_hz, filters.notch_hz) == (0.01, 100, 50)
    assert (recording.patient.sex, recording.patient.age_years) == ("M", 52)  # a day before the birthday
    assert (recording.acquisition_year, recording.device_model) == (2018, "CardioSoft")
    assert recording.device_measurements == {
        "ventricular_rate": 50, "pr_ms": 174, "p_ms": 106, "qrs_axis_deg": 55, "p_onset_ms": 258,
    }  # fmt: skip
    assert recording.device_statements == ("Sinus bradycardia", "Normal ECG")
    assert [(x.onset_s, x.label) for x in recording.annotations] == [(0.8, "dominant"), (2.01, "ventricular")]
    assert found.identifiers.patient_id == "TEST-0043"
    assert "Nobody" not in repr(recording)


def test_leads_keep_the_order_and_the_encoding_its_wrong_name() -> None:
    data = (GOLDEN / "cardiosoft/E07500_reversed_leads.xml").read_bytes()
    assert b"ISO8859-1" in data
    recording = read(data)
    assert recording.lead_names == tuple(reversed(STANDARD_12))
    assert recording.signal("V6") == pytest.approx(ge_xml.e07500(5)["V6"] * 0.005, abs=1e-6)


def test_samples_outside_the_valid_range_are_missing() -> None:
    valid = "<FirstValid units='Sample'>10</FirstValid><LastValid units='Sample'>289</LastValid>"
    recording = read(ge_xml.cardiosoft(strip("StripData", SHORT, extra=valid)))
    assert np.flatnonzero(np.isnan(recording.signal("I"))).tolist() == [*range(10), *range(290, 300)]


def test_empty_fields_are_missing() -> None:
    data = ge_xml.cardiosoft(strip("StripData", SHORT)).replace(b",-148,", b",,")
    first = read(data).signal("I")
    assert np.isnan(first[2])
    assert first.size == 300


def _three(seconds: int) -> dict[str, npt.NDArray[np.int16]]:
    rng = np.random.default_rng(3)
    one, two = rng.integers(-300, 300, (2, seconds * 500)).astype(np.int16)
    return {"I": one, "II": two, "III": two - one}


@pytest.mark.parametrize("blocks", [True, False])
def test_the_full_disclosure_is_read_in_either_order_of_samples(*, blocks: bool) -> None:
    leads = _three(4)
    if blocks:
        lines = [x[i * 500 : (i + 1) * 500] for i in range(4) for x in leads.values()]
    else:
        lines = [np.stack(list(leads.values()), axis=1).ravel()]
    disclosed = full_disclosure(lines, list(leads))
    recording = read(ge_xml.cardiosoft(strip("StripData", SHORT), disclosed))
    assert recording.lead_names == ("I", "II")
    (other,) = recording.other_series
    assert other.kind == "rhythm"
    for lead in other.leads:
        assert lead.samples == pytest.approx(leads[lead.name] * 0.005, abs=1e-6)


def test_an_exercise_test_is_its_full_disclosure() -> None:
    leads = _three(3)
    start = "<StartTime><Minute>1</Minute><Second>2.5</Second></StartTime>"
    events = (
        "<EventList><Event>VES</Event><Time><Minute>1</Minute><Second>4.0</Second></Time></EventList>"
        "</FullDisclosure>"
    )
    lines = [x[i * 500 : (i + 1) * 500] for i in range(3) for x in leads.values()]
    disclosed = full_disclosure(lines, list(leads), extra=start).replace("</FullDisclosure>", events)
    time = "<Time><Minute>1</Minute><Second>3.5</Second></Time>"
    strips = f"<StripData>{strip('Strip', SHORT, extra=time)}</StripData>"
    recording = read(ge_xml.cardiosoft(strips, disclosed))
    assert recording.leads[0].samples.size == 1500
    assert [(x.onset_s, x.label) for x in recording.annotations] == [(1.5, "VES")]
    assert [(x.kind, x.start_s) for x in recording.other_series] == [("rhythm", 1.0)]


def test_a_full_disclosure_in_an_unknown_order_is_left_out_with_a_warning() -> None:
    rng = np.random.default_rng(4)
    noise = [rng.integers(-300, 300, 500).astype(np.int16) for _ in range(3)]
    recording = read(ge_xml.cardiosoft(strip("StripData", SHORT), full_disclosure(noise, ["I", "II", "III"])))
    assert recording.other_series == ()
    assert any("full disclosure" in x for x in recording.warnings)


@pytest.mark.parametrize(("declared", "accepted"), [(400, True), (601, False)])
def test_a_file_with_fewer_samples_than_declared(declared: int, *, accepted: bool) -> None:
    data = ge_xml.cardiosoft(strip("StripData", SHORT)).replace(
        b"Total>300</Channel", b"Total>%d</Channel" % declared
    )
    if accepted:
        assert any("truncated" in x for x in read(data).warnings)
    else:
        with pytest.raises(Truncated):
            read(data)
    with pytest.raises(Truncated):
        read(data, ReadOptions(strict=True))


@pytest.mark.parametrize(("share", "accepted"), [(0.5, False), (0.97, True)])
def test_a_file_that_is_cut_counts_when_every_lead_has_half(share: float, *, accepted: bool) -> None:
    data = (GOLDEN / "cardiosoft/E07500_reversed_leads.xml").read_bytes()
    cut = data[: int(share * len(data))]
    if accepted:
        recording = read(cut)
        assert len(recording.leads) == 12
        assert any("truncated" in x for x in recording.warnings)
    else:
        with pytest.raises(Truncated):
            read(cut)
    with pytest.raises(Truncated):
        read(cut, ReadOptions(strict=True))


def test_what_the_file_does_not_say_is_asked() -> None:
    whole = ge_xml.cardiosoft(strip("StripData", SHORT))
    without_unit = whole.replace(b" units='uVperLsb'", b"")
    with pytest.raises(MissingMetadata, match="unit"):
        read(without_unit)
    assert read(without_unit, ReadOptions(unit="uV")).signal("II")[2] == pytest.approx(0.01)
    without_rate = whole.replace(b"<SampleRate units='Hz'>500</SampleRate>", b"")
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(without_rate)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (ge_xml.cardiosoft(), EmptyFile),
        (ge_xml.cardiosoft(median=strip("MedianSamples", SHORT)), EmptyFile),
        (ge_xml.cardiosoft(strip("StripData", SHORT, resolution="0")), InvalidHeader),
        (ge_xml.cardiosoft(strip("StripData", SHORT)).replace(b",-148,", b",x,"), InvalidHeader),
        (ge_xml.cardiosoft(strip("StripData", SHORT))[:-700], Truncated),
        (
            ge_xml.cardiosoft(strip("StripData", SHORT)).replace(
                b"<CardiologyXML>", b'<!DOCTYPE CardiologyXML [<!ENTITY a "b">]><CardiologyXML>'
            ),
            InvalidHeader,
        ),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_bad_files_are_refused(data: bytes, error: type[ExchangeaiError], *, strict: bool) -> None:
    with pytest.raises(error):
        read(data, ReadOptions(strict=strict))


def test_it_is_found_by_its_root() -> None:
    assert cardiosoft.sniff({"x": ge_xml.cardiosoft()})
    assert not cardiosoft.sniff({"x": b"<Cardiology/>"})
