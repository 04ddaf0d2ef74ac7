"""MFER: definitions of files and channels, byte orders, types, frames, what is missing, what is absurd."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai import errors, read_ecg
from exchangeai.formats import read_records
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
PREAMBLE = b"\x40\x04MFR "
RAMP = np.arange(-10, 10)


def tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 128:
        return bytes([tag, size]) + value
    return bytes([tag, 0x84]) + size.to_bytes(4, "big") + value


def channel(number: int, *values: bytes) -> bytes:
    return bytes([0x3F, number]) + tlv(0, b"".join(values))[1:]


HERTZ = tlv(0x0B, bytes([0, 2]) + struct.pack(">H", 5))
MICROVOLT = tlv(0x0C, bytes([0, 0xFA]) + struct.pack(">H", 1))
TWO = tlv(0x05, b"\x02") + tlv(0x04, b"\x05") + channel(0, tlv(9, b"\0\x01")) + channel(1, tlv(9, b"\0\x02"))


def data(values: Any = RAMP, kind: str = ">i2") -> bytes:
    return tlv(0x1E, np.asarray(values).astype(kind).tobytes())


def one(content: bytes, **options: Any) -> Recording:
    return read_ecg(content, **options)[0]


def test_the_golden_file_holds_its_source() -> None:
    found = one((GOLDEN / "mfer" / "E07500_8lead.mwf").read_bytes())
    source = one((GOLDEN / "edf" / "E07500_12lead_edfplus.edf").read_bytes())
    assert found.lead_names == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    for lead in found.leads:
        assert (lead.sampling_rate_hz, lead.unit) == (500, "mV")
        assert np.abs(lead.samples - source.signal(lead.name)[:1000]).max() < 0.00251
    assert (found.patient.sex, found.acquisition_year, found.device_model) == ("M", 2026, "Acme CardioOne")
    assert [(x.onset_s, x.label) for x in found.annotations] == [(1.5, "marker")]
    assert any("experimentally" in x for x in found.warnings)


def test_blocks_of_channels_follow_each_other_in_sequences() -> None:
    found = one(PREAMBLE + HERTZ + MICROVOLT + TWO + tlv(6, b"\x02") + data())
    assert found.signal("I").tolist() == pytest.approx([x / 1000 for x in (*range(-10, -5), *range(5))])
    assert found.signal("II").tolist() == pytest.approx([x / 1000 for x in (*range(-5, 0), *range(5, 10))])


def test_channels_may_have_their_own_type_rate_and_unit() -> None:
    pressure = (
        tlv(0x0A, b"\x03"), tlv(0x0B, bytes([1, 0xFE]) + b"\x02"), tlv(0x0C, bytes([1, 0, 2])),
        tlv(4, b"\x01"), tlv(9, struct.pack(">H", 143)),
    )  # fmt: skip
    content = PREAMBLE + HERTZ + MICROVOLT + TWO + channel(1, *pressure)
    body = b"".join(np.arange(5, dtype=">i2").tobytes() + bytes([x]) for x in (50, 60))
    found = one(content + tlv(0x1E, body))
    assert [x.sampling_rate_hz for x in found.leads] == [500, 50]
    assert found.unit(1) == "mmHg"
    assert found.signal(1).tolist() == [100, 120]


@pytest.mark.parametrize(
    ("code", "kind"), [(0, "i2"), (1, "u2"), (2, "i4"), (3, "u1"), (5, "i1"), (7, "f4"), (8, "f8")]
)
@pytest.mark.parametrize("order", [">", "<"])
def test_types_and_byte_orders(code: int, kind: str, order: str) -> None:
    little = order == "<"
    rate = tlv(0x0B, bytes([0, 2]) + struct.pack(order + "H", 5))
    step = tlv(0x0C, bytes([0, 0xFA]) + struct.pack(order + "H", 5))
    values = np.arange(1, 9)
    content = tlv(1, bytes([little])) + PREAMBLE + rate + step + tlv(0x0A, bytes([code]))
    found = one(content + tlv(5, b"\x01") + data(values, order + kind))
    assert found.signal(0).tolist() == pytest.approx((values * 0.005).tolist())


def test_null_values_are_missing_and_offsets_added() -> None:
    content = PREAMBLE + HERTZ + MICROVOLT + tlv(0x12, b"\xff\xfe") + tlv(0x0D, b"\x00\x64")
    found = one(content + data([-2, -1, 0]))
    assert found.signal(0).tolist() == pytest.approx([np.nan, 0.099, 0.1], nan_ok=True)
    assert any("offset" in x for x in found.warnings)


def test_rates_stay_exact() -> None:
    seconds = tlv(0x0B, bytes([1, 0xFA]) + struct.pack(">H", 1667))
    assert one(PREAMBLE + seconds + MICROVOLT + data()).sampling_rate_hz(0) == 1_000_000 / 1667


def test_what_is_not_stated_is_asked_for() -> None:
    with pytest.raises(errors.MissingMetadata, match="sampling_rate_hz"):
        one(PREAMBLE + MICROVOLT + data())
    with pytest.raises(errors.MissingMetadata, match="unit"):
        one(PREAMBLE + HERTZ + data())
    found = one(PREAMBLE + data(), sampling_rate_hz=250, unit="mV", unit_multiple=0.5)
    assert (found.sampling_rate_hz(0), found.signal(0)[0]) == (250, -5)


def test_frames_are_joined_and_dominant_beats_kept_apart() -> None:
    content = PREAMBLE + HERTZ + MICROVOLT + tlv(8, b"\0\x01") + data() + data() + tlv(8, b"\0\x09") + data()
    found = one(content)
    assert found.signal(0).size == 40
    assert [(x.kind, x.leads[0].samples.size) for x in found.other_series] == [("median", 20)]


def test_without_a_preamble() -> None:
    assert one(tlv(1, b"\0") + HERTZ + MICROVOLT + TWO + data()).lead_names == ("I", "II")
    with pytest.raises(errors.UnreadableFile):
        read_records({"a": b"\x01\x01\x00 some other binary file of which nothing is known" * 20})


def test_person() -> None:
    age = bytes([51]) + struct.pack(">HHBB", 20, 1951, 8, 2)
    when = struct.pack(">H5B", 2002, 3, 2, 10, 0, 0)
    content = PREAMBLE + tlv(0x81, b"Doe^Jane") + tlv(0x82, b"MRN-1") + tlv(0x83, age) + tlv(0x84, b"\x02")
    (result,) = read_records({"a": content + tlv(0x85, when) + HERTZ + MICROVOLT + data()})
    patient = result.recording.patient
    assert (patient.sex, patient.age_years, result.recording.acquisition_year) == ("F", 50, 2002)
    assert result.identifiers.patient_id == "MRN-1"
    assert "Doe" not in repr(result)


class TestLength:
    whole = PREAMBLE + HERTZ + MICROVOLT + TWO + tlv(6, b"\x02") + data()

    def test_cut_at_three_quarters(self) -> None:
        # One sequence of two is there.
        found = one(self.whole[:-10])
        assert found.signal("I").size == 5
        assert any("truncated" in x for x in found.warnings)
        with pytest.raises(errors.Truncated):
            one(self.whole[:-10], strict=True)

    @pytest.mark.parametrize("end", range(6, len(TWO) + len(PREAMBLE) + 30))
    def test_cut_before(self, end: int) -> None:
        with pytest.raises(errors.UnreadableFile):
            one(self.whole[:end])


class TestAbsurd:
    def test_deep_nesting(self) -> None:
        with pytest.raises(errors.InvalidHeader, match="deep"):
            one(PREAMBLE + b"\x67\x80" * 5000 + data())

    def test_many_channels(self) -> None:
        with pytest.raises(errors.InvalidHeader):
            one(PREAMBLE + HERTZ + MICROVOLT + tlv(5, b"\xff\xff\xff") + data())

    @pytest.mark.parametrize("tag", [4, 6])
    def test_more_samples_than_there_are(self, tag: int) -> None:
        with pytest.raises((errors.Truncated, errors.EmptyFile)):
            one(PREAMBLE + HERTZ + MICROVOLT + tlv(tag, b"\x7f\xff\xff\xff\xff\xff\xff\xff") + data())

    def test_channels_described_again_and_again(self) -> None:
        again = (tlv(8, b"\0\x01") + data([1])) * 20_000
        begin = time.monotonic()
        with pytest.raises(errors.InvalidHeader):
            one(PREAMBLE + HERTZ + MICROVOLT + tlv(5, b"\x03\xff") + again)
        assert time.monotonic() - begin < 5

    @pytest.mark.parametrize("extra", [tlv(0x0E, b"\0\x01"), tlv(0x0A, b"\x09"), tlv(0x0B, b"\x02\0\x01")])
    def test_what_is_not_read_is_refused(self, extra: bytes) -> None:
        with pytest.raises(errors.InvalidHeader):
            one(PREAMBLE + HERTZ + MICROVOLT + extra + data())
