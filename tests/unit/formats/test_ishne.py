"""ISHNE Holter files: resolutions, lead codes, checksums, lengths, unknown values, beats."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai import errors, read_ecg
from exchangeai.formats import read_records
from exchangeai.recording import Recording

SAMPLE = (Path(__file__).parents[2] / "golden" / "formats" / "ishne" / "mitbih100_1min.ecg").read_bytes()
STORED = np.arange(-30, 30, dtype="<i2").reshape(20, 3)
UNKNOWN = -9


def ishne(
    *,
    stored: bytes = STORED.tobytes(),
    magic: bytes = b"ISHNE1.0",
    samples: int = 20,
    codes: Sequence[int] = (5, 12, 0),
    leads: int | None = None,
    resolution: Sequence[int] = (5000, 2500, 1000),
    qualities: Sequence[int] = (1, 3, UNKNOWN),
    rate: int = 200,
    sex: int = 2,
    born: tuple[int, int, int] = (2, 8, 1951),
    code: bytes = b"MRN-1",
    comments: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    def twelve(values: Sequence[int]) -> bytes:
        return struct.pack("<12h", *values, *[UNKNOWN] * (12 - len(values)))

    offset = 522 + len(comments)
    head = struct.pack("<4ih", len(comments), samples, 522 if comments else 0, offset, 1)
    head += b"Jane".ljust(40, b"\0") + b"Doe".ljust(40, b"\0") + code.ljust(20, b"\0")
    head += struct.pack("<14h", sex, 0, *born, 2, 3, 2002, 3, 3, 2002, 10, 0, 0)
    head += struct.pack("<h", len(codes) if leads is None else leads)
    head += twelve(codes) + twelve(qualities) + twelve(resolution)
    head += struct.pack("<h", 0) + b"Digital Recorder 7".ljust(40, b"\0") + struct.pack("<h", rate)
    head += bytes(80 + 80 + 88) + comments
    assert len(head) == offset - 10
    crc = binascii.crc_hqx(head, 0xFFFF) if checksum is None else checksum
    return magic + struct.pack("<H", crc) + head + stored


def one(data: bytes, **options: Any) -> Recording:
    return read_ecg(data, **options)[0]


def test_each_lead_by_its_resolution_and_code() -> None:
    found = one(ishne())
    assert found.lead_names == ("I", "V2", "channel 3")
    for i, nanovolts in enumerate((5000, 2500, 1000)):
        np.testing.assert_allclose(found.signal(i), STORED[:, i] * (nanovolts * 1e-6), rtol=2e-7)
    assert {x.sampling_rate_hz for x in found.leads} == {200}
    assert (found.patient.sex, found.patient.age_years, found.acquisition_year) == ("F", 50, 2002)
    assert found.device_model == "Digital Recorder 7"
    assert any("frequent noise" in x for x in found.warnings)


def test_the_sample_of_another_writer() -> None:
    found = one(SAMPLE, strict=True)
    assert found.lead_names == ("II", "V5")
    assert found.patient.sex == "M"
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1, "bipolar"),
        (2, "X"),
        (4, "Z"),
        (6, "II"),
        (8, "aVR"),
        (10, "aVF"),
        (11, "V1"),
        (16, "V6"),
        (19, "AI"),
    ],
)
def test_lead_codes(code: int, name: str) -> None:
    data = ishne(codes=[code], resolution=[1000], stored=bytes(40))
    assert one(data).lead_names == (name,)


def test_a_wrong_checksum_is_told_or_refused() -> None:
    data = ishne(checksum=1)
    assert any("checksum" in x for x in one(data).warnings)
    with pytest.raises(errors.InvalidHeader, match="checksum"):
        one(data, strict=True)


def test_the_variable_block_is_passed_over() -> None:
    found = one(ishne(comments=b"free text of any length"), strict=True)
    assert found.signal("I")[0] == pytest.approx(-0.15)
    assert "free text" not in repr(found)


class TestUnknown:
    def test_person(self) -> None:
        found = one(ishne(sex=0, born=(UNKNOWN, UNKNOWN, UNKNOWN), code=b""))
        assert (found.patient.sex, found.patient.age_years) == (None, None)

    def test_identifiers_stay_apart(self) -> None:
        (by_code,) = read_records({"a": ishne()})
        (by_name,) = read_records({"a": ishne(code=b"")})
        assert by_code.identifiers.patient_id == "MRN-1"
        assert by_name.identifiers.patient_id == "Jane Doe 1951-08-02"
        assert "Doe" not in repr(by_name.recording)

    def test_rate_is_asked_for(self) -> None:
        with pytest.raises(errors.MissingMetadata, match="sampling_rate_hz"):
            one(ishne(rate=UNKNOWN))
        assert one(ishne(rate=UNKNOWN), sampling_rate_hz=128).sampling_rate_hz("I") == 128

    def test_resolution_is_asked_for(self) -> None:
        data = ishne(resolution=[UNKNOWN] * 3)
        with pytest.raises(errors.MissingMetadata, match="unit"):
            one(data)
        assert one(data, unit="uV", unit_multiple=5).signal("I")[0] == pytest.approx(-0.15)

    def test_resolution_of_one_lead(self) -> None:
        found = one(ishne(resolution=[5000, 0, 5000]))
        assert np.isnan(found.signal("V2")).all()
        assert any("channel 2" in x for x in found.warnings)


class TestLength:
    def test_a_count_over_all_leads(self) -> None:
        assert one(ishne(samples=60), strict=True).signal("I").size == 20

    def test_an_unknown_count(self) -> None:
        assert one(ishne(samples=UNKNOWN)).signal("I").size == 20

    def test_longer(self) -> None:
        assert one(ishne(samples=19)).signal("I").size == 19
        with pytest.raises(errors.InvalidHeader):
            one(ishne(samples=19), strict=True)

    def test_shorter(self) -> None:
        cut = ishne()[:-7]
        assert one(cut).signal("I").size == 18
        assert any("truncated" in x for x in one(cut).warnings)
        with pytest.raises(errors.Truncated):
            one(cut, strict=True)

    @pytest.mark.parametrize("cut", [8, 100, 521, 522, 540])
    def test_too_short(self, cut: int) -> None:
        with pytest.raises((errors.Truncated, errors.EmptyFile)):
            one(ishne()[:cut])

    @pytest.mark.parametrize("changed", [{"leads": 30000}, {"leads": 0}, {"samples": 2**31 - 1}])
    def test_absurd(self, changed: dict[str, Any]) -> None:
        with pytest.raises((errors.InvalidHeader, errors.Truncated)):
            one(ishne(**changed))


class TestBeats:
    beats = struct.pack("<i", 100) + b"".join(
        struct.pack("<ccH", x, b"\0", n) for x, n in ((b"N", 0), (b"V", 100), (b"!", 65535), (b"S", 65))
    )

    def test_alone(self) -> None:
        found = one(ishne(magic=b"ANN  1.0", stored=self.beats))
        assert found.leads == ()
        assert [(x.onset_s, x.label) for x in found.annotations] == [(0.5, "N"), (1.0, "V"), (329.0, "S")]

    def test_beside_their_signals(self) -> None:
        files = {"a.ecg": ishne(), "a.ann": ishne(magic=b"ANN  1.0", stored=self.beats)}
        (result,) = read_records(files)
        assert len(result.recording.leads) == 3
        assert [x.label for x in result.recording.annotations] == ["N", "V", "S"]
