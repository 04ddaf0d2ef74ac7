"""EDF and BDF as devices write them: odd headers, cut files, gaps, annotations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exchangeai import errors, read_ecg
from exchangeai.formats import read_records
from exchangeai.recording import Recording

WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
SIGNAL = ("I", "", "mV", "-32.768", "32.767", "-32768", "32767", "", "100", "")
LISTS = ("EDF Annotations", "", "", "-1", "1", "-32768", "32767", "", "40", "")


def signal(**changed: Any) -> tuple[str, ...]:
    names = ("label", "kind", "unit", "low", "high", "first", "last", "prefilter", "count", "reserved")
    return tuple(str(changed.get(n, x)) for n, x in zip(names, SIGNAL, strict=True))


def edf(
    signals: list[tuple[str, ...]],
    records: list[bytes],
    *,
    count: int | None = None,
    record_s: str = "1",
    reserved: str = "",
    patient: str = "X X X X",
    recording: str = "Startdate 02-MAR-2002 X X X",
) -> bytes:
    fixed = (
        ("0", 8), (patient, 80), (recording, 80), ("02.03.02", 8), ("10.00.00", 8),
        (256 * (len(signals) + 1), 8), (reserved, 44), (len(records) if count is None else count, 8),
        (record_s, 8), (len(signals), 4),
    )  # fmt: skip
    head = b"".join(str(x).ljust(n).encode("latin-1") for x, n in fixed)
    for i, width in enumerate(WIDTHS):
        head += b"".join(x[i].ljust(width).encode("latin-1") for x in signals)
    return head + b"".join(records)


def ramp(start: int, size: int = 100) -> bytes:
    return np.arange(start, start + size, dtype="<i2").tobytes()


def lists(text: bytes, size: int = 80) -> bytes:
    return text.ljust(size, b"\0")


def one(data: bytes, **options: Any) -> Recording:
    return read_ecg(data, **options)[0]


TWO = edf([SIGNAL], [ramp(0), ramp(100)])


def test_values_are_exact_to_the_rounding_of_float32() -> None:
    lead = one(TWO).leads[0]
    assert (lead.name, lead.unit, lead.sampling_rate_hz) == ("I", "mV", 100)
    np.testing.assert_allclose(lead.samples, np.arange(200) / 1000, rtol=2e-7, atol=1e-9)


def test_an_offset_far_from_zero_keeps_its_digits() -> None:
    warm = signal(label="Temp", unit="DegC", low="34", high="40", first="-2849", last="2731")
    lead = one(edf([warm], [ramp(0)])).leads[0]
    assert (lead.name, lead.unit) == ("Temp", "DegC")
    wanted = ((np.arange(100) + 2849) * 6 / 5580 + 34).astype(np.float32)
    np.testing.assert_array_equal(lead.samples, wanted)


def test_channels_without_a_unit_are_kept_without_one_and_can_be_stated() -> None:
    data = edf([signal(unit=""), signal(label="Event marker", unit="")], [ramp(0) * 2])
    plain, stated = one(data), one(data, unit="uV")
    assert [x.unit for x in plain.leads] == ["", ""]
    assert any("no unit is stated" in x for x in plain.warnings)
    assert [x.unit for x in stated.leads] == ["mV", ""]
    assert stated.signal("I")[50] == pytest.approx(50e-6)


def test_rising_polarity_may_be_inverted() -> None:
    lead = one(edf([signal(low="32.767", high="-32.768")], [ramp(0)])).leads[0]
    assert lead.samples[10] == pytest.approx(-0.011, rel=1e-6)


def test_swapped_digital_limits_are_told() -> None:
    data = edf([signal(first="32767", last="-32768")], [ramp(0)])
    assert one(data).signal("I")[10] == pytest.approx(-0.011, rel=1e-6)
    assert any("polarity" in x for x in one(data).warnings)
    with pytest.raises(errors.InvalidHeader):
        one(data, strict=True)


@pytest.mark.parametrize(
    "changed", [{"low": "5", "high": "5"}, {"first": "7", "last": "7"}, {"low": "none"}, {"last": ""}]
)
def test_a_channel_without_a_range_is_missing_not_guessed(changed: dict[str, str]) -> None:
    data = edf([signal(**changed), signal(label="II")], [ramp(0) * 2])
    found = one(data)
    assert found.lead_names == ("I", "II")
    assert np.isnan(found.signal("I")).all()
    assert np.isfinite(found.signal("II")).all()
    assert any("empty range" in x for x in found.warnings)
    with pytest.raises(errors.InvalidHeader):
        one(data, strict=True)
    with pytest.raises(errors.InvalidHeader):
        one(edf([signal(**changed)], [ramp(0)]))


def test_mixed_and_fractional_rates_stay_as_they_are() -> None:
    parts = [signal(count=1000), signal(label="II", count=128), signal(label="Resp", unit="Ohm", count=10)]
    found = one(edf(parts, [ramp(0, 1138)], record_s="10"))
    assert [x.sampling_rate_hz for x in found.leads] == [100, 12.8, 1]
    assert [x.samples.size for x in found.leads] == [1000, 128, 10]
    assert found.unit("Resp") == "Ohm"


@pytest.mark.parametrize(("count", "record_s", "rate_hz"), [(33, "0.033", 1000), (1, "0.00125", 800)])
def test_rates_are_exact(count: int, record_s: str, rate_hz: float) -> None:
    data = edf([signal(count=count)], [ramp(0, count)], record_s=record_s)
    assert one(data).sampling_rate_hz("I") == rate_hz


@pytest.mark.parametrize("unit", ["\xb5V", "\xc2\xb5V", "uV", "UV"])
def test_micro_in_any_coding(unit: str) -> None:
    assert one(edf([signal(unit=unit)], [ramp(0)])).signal("I")[20] == pytest.approx(20e-6, rel=1e-6)


@pytest.mark.parametrize("record_s", ["0", "-1", "1e-9", "nan", ""])
def test_a_duration_that_gives_no_rate_is_refused(record_s: str) -> None:
    with pytest.raises(errors.InvalidHeader):
        one(edf([SIGNAL], [ramp(0)], record_s=record_s))


def test_a_decimal_comma_is_a_decimal_point() -> None:
    data = edf([signal(low="-32,768", high="32,767")], [ramp(0)], record_s="0,5")
    assert one(data).sampling_rate_hz("I") == 200
    assert one(data).signal("I")[99] == pytest.approx(0.099)


def test_duplicate_labels_are_both_kept() -> None:
    found = one(edf([SIGNAL, SIGNAL], [ramp(0) + ramp(50)]))
    assert found.lead_names == ("I", "I")
    assert [x.samples[0] for x in found.leads] == pytest.approx([0.0, 0.05])


class TestLength:
    def test_longer_than_declared(self) -> None:
        assert one(TWO + b"more").leads[0].samples.size == 200
        with pytest.raises(errors.InvalidHeader):
            one(TWO + b"more", strict=True)

    def test_shorter_than_declared(self) -> None:
        cut = edf([SIGNAL], [ramp(0), ramp(100), ramp(200)], count=4)
        found = one(cut)
        assert found.leads[0].samples.size == 300
        assert any("truncated" in x for x in found.warnings)
        with pytest.raises(errors.Truncated):
            one(cut, strict=True)

    def test_less_than_half_is_refused(self) -> None:
        with pytest.raises(errors.Truncated):
            one(edf([SIGNAL], [ramp(0)], count=3))

    @pytest.mark.parametrize("count", [-1, 0])
    def test_unknown_count(self, count: int) -> None:
        data = edf([SIGNAL], [ramp(0), ramp(100)], count=count)
        assert one(data).leads[0].samples.size == 200
        cut = one(data[:-7])
        assert cut.leads[0].samples.size == 100
        assert any("truncated" in x for x in cut.warnings)
        with pytest.raises(errors.Truncated):
            one(data[:-7], strict=True)

    def test_no_records(self) -> None:
        with pytest.raises(errors.EmptyFile):
            one(edf([SIGNAL], []))


class TestAnnotations:
    def test_onsets_count_from_the_first_record(self) -> None:
        data = edf(
            [SIGNAL, LISTS],
            [
                ramp(0) + lists(b"+0.25\x14\x14begin\x14\0+1.5\x150.5\x14\xe4\xb8\xad\x14second\x14\0"),
                ramp(100) + lists(b"+1.25\x14\x14\0+1.25\x14third\x14\0"),
            ],
            reserved="EDF+C",
        )
        found = [(x.onset_s, x.duration_s, x.label) for x in one(data).annotations]
        assert found == [
            (0.0, None, "begin"),
            (1.0, None, "third"),
            (1.25, 0.5, "\u4e2d"),
            (1.25, 0.5, "second"),
        ]

    def test_negative_onsets_and_malformed_entries(self) -> None:
        data = edf([LISTS], [lists(b"+0\x14\x14\0-2.5\x14before\x14\0junk\0+\x14no\x14\0")], reserved="EDF+C")
        found = one(data)
        assert found.leads == ()
        assert [(x.onset_s, x.label) for x in found.annotations] == [(-2.5, "before")]
        assert any("2 entries" in x for x in found.warnings)

    def test_a_list_that_fills_its_record_ends_there(self) -> None:
        full = b"+0\x14\x14\0+1\x14".ljust(79, b"a") + b"\x14"
        found = one(edf([LISTS], [full, lists(b"+1\x14\x14\0")], reserved="EDF+C", record_s="0"))
        assert [x.label for x in found.annotations] == ["a" * 71]

    def test_nothing_but_stamps_is_empty(self) -> None:
        with pytest.raises(errors.EmptyFile):
            one(edf([LISTS], [lists(b"+0\x14\x14\0")], reserved="EDF+C", record_s="0"))


class TestGaps:
    slow = signal(label="Resp", unit="Ohm", count=10)

    def gappy(self, *onsets: bytes) -> bytes:
        records = [ramp(i * 100) + ramp(i * 10, 10) + lists(x + b"\x14\x14\0") for i, x in enumerate(onsets)]
        return edf([SIGNAL, self.slow, LISTS], records, reserved="EDF+D")

    def test_leads_of_each_rate_keep_the_true_times(self) -> None:
        found = one(self.gappy(b"+0.5", b"+1.5", b"+5"))
        fast, slow = found.signal("I"), found.signal("Resp")
        assert (fast.size, slow.size) == (550, 55)
        assert np.flatnonzero(np.isnan(fast)).tolist() == list(range(200, 450))
        assert np.flatnonzero(np.isnan(slow)).tolist() == list(range(20, 45))
        assert fast[450] == pytest.approx(0.2)
        assert slow[45] == pytest.approx(0.02)
        assert any("gaps" in x for x in found.warnings)

    def test_rounded_stamps_are_no_gaps(self) -> None:
        found = one(self.gappy(b"+0", b"+1.0004", b"+1.9998"))
        assert found.signal("I").size == 300
        assert not any("gap" in x for x in found.warnings)

    def test_hardly_anything_but_gaps_becomes_series(self) -> None:
        found = one(self.gappy(b"+0", b"+1", b"+864000"))
        assert found.signal("I").size == 200
        (late,) = found.other_series
        assert (late.kind, late.start_s, late.leads[0].samples.size) == ("rhythm", 864000, 100)

    def test_gaps_that_the_header_denies_are_told(self) -> None:
        data = self.gappy(b"+0", b"+1", b"+7").replace(b"EDF+D", b"EDF+C")
        assert one(data).signal("I").size == 300
        assert any("tell of gaps" in x for x in one(data).warnings)

    def test_stamps_that_contradict_are_refused(self) -> None:
        with pytest.raises(errors.InvalidHeader):
            one(self.gappy(b"+0", b"+0.5"))
        with pytest.raises(errors.InvalidHeader):
            one(self.gappy(b"+0", b"junk"))
        with pytest.raises(errors.InvalidHeader):
            one(edf([SIGNAL], [ramp(0)], reserved="EDF+D"))


def test_bdf_has_24_bits() -> None:
    part = signal(unit="nV", low="-8388608", high="8388607", first="-8388608", last="8388607", count="3")
    data = b"\xffBIOSEMI" + edf([part], [b"\x00\x00\x80\xff\xff\x7f\xff\xff\xff"])[8:]
    assert one(data).signal("I").tolist() == pytest.approx([-8.388608, 8.388607, -1e-6])


def test_filters_are_those_all_ecg_channels_agree_on() -> None:
    parts = [
        signal(prefilter="HP:0.1Hz LP:75Hz N:50Hz"),
        signal(label="II", prefilter="HP: 0,1 Hz LP:100Hz Notch=50Hz"),
        signal(label="EEG C3", prefilter="HP:1Hz"),
    ]
    found = one(edf(parts, [ramp(0) * 3])).filters
    assert (found.highpass_hz, found.lowpass_hz, found.notch_hz) == (0.1, None, 50)


class TestPerson:
    def test_edf_plus_fields(self) -> None:
        found = one(
            edf(
                [SIGNAL],
                [ramp(0)],
                patient="MRN-1 F 02-AUG-1951 Jane_Doe",
                recording="Startdate 02-MAR-2002 PSG-1 NN Telemetry03_SN:12345",
                reserved="EDF+C",
            )
        )
        assert (found.patient.sex, found.patient.age_years) == ("F", 50)
        assert (found.acquisition_year, found.device_model) == (2002, "Telemetry03")

    def test_a_withheld_date_is_not_the_one_that_stands_in_for_it(self) -> None:
        assert one(edf([SIGNAL], [ramp(0)], recording="Startdate X X X X")).acquisition_year is None
        assert one(edf([SIGNAL], [ramp(0)], recording="anything")).acquisition_year == 2002

    def test_a_template_is_no_identity(self) -> None:
        (result,) = read_records({"a": edf([SIGNAL], [ramp(0)], patient="  dd-MMM-yyyy")})
        assert result.identifiers.patient_id is None
