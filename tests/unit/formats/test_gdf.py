"""GDF 1.x and 2.x: types, units, saturation, events, the patient."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai import errors, read_ecg
from exchangeai.formats import read_records
from exchangeai.recording import Recording

SAMPLE = (Path(__file__).parents[2] / "golden" / "formats" / "gdf" / "E07500_12lead.gdf").read_bytes()
MV, MMHG, NOTHING = 4256 + 18, 3872, 0
DAYS_OF_1970 = 719529
Channel = dict[str, Any]


def channel(**changed: Any) -> Channel:
    """A channel of 100 samples a record; `data` are its stored numbers."""
    plain: Channel = {
        "label": "I", "code": MV, "text": "mV", "low": -32.768, "high": 32.767, "first": -32768,
        "last": 32767, "filters": (0.05, 150.0, 50.0), "prefilter": "HP:0.05Hz LP:150Hz", "kind": 3,
        "data": np.arange(100, dtype="<i2"),
    }  # fmt: skip
    return plain | changed


def columns(channels: list[Channel], second: bool) -> bytes:
    def every(form: str, *names: str) -> bytes:
        return b"".join(struct.pack(f"<{form}", *(x[n] for n in names)) for x in channels)

    def text(width: int, name: str) -> bytes:
        return b"".join(str(x[name]).encode().ljust(width, b"\0") for x in channels)

    n = len(channels)
    sizes = b"".join(struct.pack("<I", len(x["data"])) for x in channels)
    units = text(6, "text") + every("H", "code") if second else text(8, "text")
    limits = every("d", "low") + every("d", "high")
    if second:
        limits += every("d", "first") + every("d", "last") + bytes(68 * n)
        limits += b"".join(struct.pack("<f", x["filters"][i]) for i in (1, 0, 2) for x in channels)
    else:
        limits += every("q", "first") + every("q", "last") + text(80, "prefilter")
    return text(16, "label") + bytes(80 * n) + units + limits + sizes + every("I", "kind") + bytes(32 * n)


def gdf1(channels: list[Channel], records: int = 1, events: bytes = b"", count: int | None = None) -> bytes:
    n = len(channels)
    head = b"GDF 1.25" + b"MRN-1 F 02-AUG-1951 Jane_Doe".ljust(80) + b" " * 80 + b"2002030210000000"
    head += struct.pack("<q", 256 * (n + 1)) + bytes(44)
    head += struct.pack("<qIII", records if count is None else count, 1, 2, n)
    assert len(head) == 256
    body = b"".join(x["data"].tobytes() for x in channels) * records
    return head + columns(channels, False) + body + events


def gdf2(
    channels: list[Channel],
    records: int = 1,
    *,
    version: str = "2.51",
    tags: bytes = b"",
    events: bytes = b"",
    people: int = 2,
) -> bytes:
    n = len(channels)
    tags = tags.ljust(-(-len(tags) // 256) * 256, b"\0")
    head = f"GDF {version}".encode() + b"MRN-1 Jane_Doe".ljust(66, b"\0") + bytes(13) + bytes([people])
    head += bytes(64 + 16)
    days = (DAYS_OF_1970 + 11748, DAYS_OF_1970 - 6726)  # 2 March 2002 and 2 August 1951
    head += struct.pack("<QQ", *(x << 32 for x in days)) + struct.pack("<H", n + 1 + len(tags) // 256)
    head += bytes(50) + struct.pack("<q", records)
    head += struct.pack("<d", 0.5) if float(version) >= 2.21 else struct.pack("<II", 1, 2)
    head += struct.pack("<HH", n, 0)
    assert len(head) == 256
    body = b"".join(x["data"].tobytes() for x in channels) * records
    return head + columns(channels, True) + tags + body + events


def one(data: bytes, **options: Any) -> Recording:
    return read_ecg(data, **options)[0]


BUILDERS = {"1.25": gdf1, "2.10": lambda x, n=1: gdf2(x, n, version="2.10"), "2.51": gdf2}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_both_generations_give_the_same(build: Any) -> None:
    pressure = channel(label="ART", code=MMHG, text="mmHg", low=0, high=300, first=0, last=3000,
                       kind=4, data=np.arange(50, dtype="<u2"))  # fmt: skip
    found = one(build([channel(label="Lead I"), pressure], 3))
    assert found.lead_names == ("I", "ART")
    assert [x.unit for x in found.leads] == ["mV", "mmHg"]
    assert [x.sampling_rate_hz for x in found.leads] == [200, 100]
    np.testing.assert_allclose(found.signal("I"), np.tile(np.arange(100), 3) / 1000, rtol=2e-7)
    np.testing.assert_allclose(found.signal("ART"), np.tile(np.arange(50), 3) / 10, rtol=2e-7)
    assert (found.filters.highpass_hz, found.filters.lowpass_hz) == (0.05, 150)
    assert (found.patient.sex, found.patient.age_years, found.acquisition_year) == ("F", 50, 2002)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (1, np.array([-3, 4], "<i1")), (2, np.array([3, 4], "<u1")), (5, np.array([-70000, 4], "<i4")),
        (6, np.array([3_000_000_000, 4], "<u4")), (7, np.array([-(2**40), 4], "<i8")),
        (16, np.array([0.25, -0.5], "<f4")), (17, np.array([0.25, -0.5], "<f8")),
    ],
)  # fmt: skip
def test_every_type(kind: int, stored: Any) -> None:
    limits = {"low": -(2.0**41), "high": 2.0**41, "first": -(2.0**41), "last": 2.0**41}
    found = one(gdf2([channel(kind=kind, data=stored, **limits)]))
    assert found.signal("I").tolist() == pytest.approx(stored.astype(float).tolist())


@pytest.mark.parametrize(("kind", "wanted"), [(255 + 24, -1.0), (511 + 24, 2.0**24 - 1)])
def test_24_bits(kind: int, wanted: float) -> None:
    limits = {"low": -(2.0**25), "high": 2.0**25, "first": -(2.0**25), "last": 2.0**25}
    stored = np.frombuffer(b"\xff\xff\xff\x01\x00\x00", "V3")
    assert one(gdf2([channel(kind=kind, data=stored, **limits)])).signal("I").tolist() == [wanted, 1.0]


def test_saturated_samples_are_missing() -> None:
    found = one(gdf2([channel(first=-50, last=50, low=-0.05, high=0.05)]))
    assert np.isnan(found.signal("I")).sum() == 49
    assert any("saturated" in x for x in found.warnings)


def test_the_unit_may_be_stated_where_the_file_has_none() -> None:
    bare = gdf2([channel(code=NOTHING, text="")])
    assert one(bare).unit("I") == ""
    assert one(bare, unit="uV").signal("I")[50] == pytest.approx(50e-6)


class TestEvents:
    def test_of_the_sample(self) -> None:
        found = [(x.onset_s, x.duration_s, x.label) for x in one(SAMPLE).annotations]
        assert found == [(1.5, None, "R peak"), (3.0, 0.5, "unruhe \u00e4\u00f6\u00fc")]
        assert one(SAMPLE).patient.sex == "M"

    def test_ends_apart_give_durations(self) -> None:
        table = struct.pack("<BBBBI", 1, 200, 0, 0, 3) + struct.pack("<3I", 201, 1, 101)
        table += struct.pack("<3H", 0x8501, 0x0502, 0x0501)
        found = [(x.onset_s, x.duration_s, x.label) for x in one(gdf1([channel()], 3, table)).annotations]
        assert found == [(0, None, "0x0502"), (0.5, 0.5, "0x0501")]

    def test_of_one_channel(self) -> None:
        table = struct.pack("<BBBBf", 3, 1, 0, 0, 100.0)
        table += struct.pack("<IHHI", 51, 0x0501, 1, 20)
        (found,) = one(gdf2([channel()], events=table)).annotations
        assert (found.onset_s, found.duration_s, found.lead) == (0.5, 0.2, "I")

    def test_a_cut_table_is_left_out(self) -> None:
        table = struct.pack("<BBBBf", 1, 9, 0, 0, 100.0) + bytes(20)
        found = one(gdf2([channel()], events=table))
        assert found.annotations == ()
        assert any("truncated" in x for x in found.warnings)


def test_the_maker_is_kept_without_its_serial_number() -> None:
    text = b"Acme\0CardioOne\x003.1\0SN99887766\0"
    tags = bytes([3]) + len(text).to_bytes(3, "little") + text
    assert one(gdf2([channel()], tags=tags)).device_model == "Acme CardioOne"


def test_unknown_sex_stays_unknown() -> None:
    assert one(gdf2([channel()], people=0)).patient.sex is None


def test_the_identifier_stays_apart() -> None:
    (result,) = read_records({"a": gdf2([channel()])})
    assert result.identifiers.patient_id == "MRN-1"
    assert "MRN-1" not in repr(result.recording)


class TestLength:
    def test_cut_at_two_thirds(self) -> None:
        data = gdf2([channel()], 3)[:-10]
        assert any("truncated" in x for x in one(data).warnings)
        with pytest.raises(errors.Truncated):
            one(data, strict=True)

    def test_cut_below_half(self) -> None:
        with pytest.raises(errors.Truncated):
            one(gdf2([channel()], 3)[:-250])

    def test_unknown_number_of_records(self) -> None:
        assert one(gdf1([channel()], 3, count=-1)).signal("I").size == 300

    @pytest.mark.parametrize("cut", [0, 100, 255, 256, 300, 511, 512])
    def test_cut_anywhere(self, cut: int) -> None:
        with pytest.raises(errors.UnreadableFile):
            one(gdf2([channel()])[:cut])


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": 18},
        {"kind": 255 + 12},
        {"low": 1.0, "high": 1.0},
        {"first": 0.0, "last": 0.0},
        {"low": np.nan},
    ],
)
def test_what_has_no_meaning_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidHeader):
        one(gdf2([channel(**changed)]))
