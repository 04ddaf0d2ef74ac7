"""Mortara ELI XML of our own making: what is certain is read, the rest refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, ReadResult, mortara, read_records
from exchangeai.leads import STANDARD_12
from tests.unit.formats import device_xml
from tests.unit.formats.ge_xml import e07500

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "mortara"
STRICT = ReadOptions(strict=True)
RAMP = {"I": np.arange(600, dtype=np.int16), "aVR": np.arange(600, 0, -1, dtype=np.int16)}


def read(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return mortara.read({"a.xml": data}, options or ReadOptions())[0]


def xml(counts: dict[str, npt.NDArray[np.int16]] | None = None, *, cycle: str = "", **changed: str) -> bytes:
    return device_xml.mortara(counts or RAMP, cycle=cycle, **changed)


def test_the_golden_file_holds_the_record_it_was_made_from() -> None:
    result = read((GOLDEN / "E07500.xml").read_bytes())
    recording = result.recording
    assert recording.lead_names == STANDARD_12
    for name, x in e07500(5).items():
        assert recording.signal(name) == pytest.approx(x[:2000] * 0.005, abs=1e-6)
        assert recording.sampling_rate_hz(name) == 500
    (beats,) = recording.other_series
    assert (beats.kind, len(beats.leads), beats.leads[0].samples.size) == ("median", 12, 300)
    assert beats.leads[1].samples == pytest.approx(e07500(5)["II"][:300] * 0.0025, abs=1e-6)
    assert beats.leads[1].sampling_rate_hz == 1000
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 90)  # 99, pooled
    assert (recording.acquisition_year, recording.device_model) == (2023, "ELI 250")
    assert recording.device_measurements == {
        "ventricular_rate": 75, "rr_ms": 800, "pr_ms": 160, "qrs_ms": 90, "p_axis_deg": -5,
    }  # fmt: skip
    assert recording.device_statements == ("SINUS RHYTHM", "P, RATE 60-99")
    assert result.identifiers.patient_id == "TEST-0042"
    assert recording.warnings == ("files of this device are read experimentally: check the result",)
    for word in ("Nobody", "TEST-0042", "SN123456", "R12", "Chest"):
        assert word not in repr(recording)


def test_age_from_birth() -> None:
    data = xml().replace(b'AGE="99"', b"").replace(b'DOB="19240515"', b'DOB="1990-12-02"')
    assert read(data).recording.patient.age_years == 32


def test_a_duration_in_milliseconds_is_none_too_few() -> None:
    assert len(read(xml(DURATION="1200")).recording.warnings) == 1


def test_a_channel_that_ends_early() -> None:
    data = xml(DURATION="1000")
    assert any("truncated" in x for x in read(data).recording.warnings)
    with pytest.raises(Truncated):
        read(data, STRICT)
    with pytest.raises(Truncated):
        read(xml(DURATION="5000"))


def test_an_offset_is_told_and_not_applied() -> None:
    data = xml(OFFSET="7")
    recording = read(data).recording
    assert recording.signal("I")[0] == 0
    assert sum("OFFSET" in x for x in recording.warnings) == 1
    with pytest.raises(InvalidHeader, match="OFFSET"):
        read(data, STRICT)


def test_a_typical_cycle_without_scale_is_left_out() -> None:
    cycle = device_xml.typical_cycle(RAMP, stated="")
    recording = read(xml(cycle=cycle)).recording
    assert recording.other_series == ()
    assert any("typical cycle" in x for x in recording.warnings)
    assert recording.device_measurements["qrs_ms"] == 90
    of_channels = read(xml(cycle=device_xml.typical_cycle(RAMP, stated='UNITS_PER_MV="200"'))).recording
    assert of_channels.other_series[0].leads[0].sampling_rate_hz == 500


def test_what_is_not_stated_is_asked_for() -> None:
    data = xml(UNITS_PER_MV="", SAMPLE_FREQ="")
    data = data.replace(b"<SOURCE", b'<SOURCE NOTE="UNITS_PER_MV"')
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(data)
    with pytest.raises(MissingMetadata, match="unit"):
        read(data, ReadOptions(sampling_rate_hz=500))
    stated = ReadOptions(sampling_rate_hz=500, unit="uV", unit_multiple=5)
    assert read(data, stated).recording.signal("I")[200] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"BITS": "8"},
        {"FORMAT": "UNSIGNED"},
        {"ENCODING": "HEX"},
        {"UNITS_PER_MV": "0"},
        {"SAMPLE_FREQ": "-1"},
    ],
)
def test_what_is_not_certain_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(InvalidHeader):
        read(device_xml.mortara(RAMP, **changed))


def test_no_channel_is_no_ecg() -> None:
    with pytest.raises(EmptyFile):
        read(b'<ECG NOTE="UNITS_PER_MV"/>')
    assert not mortara.sniff({"a": b"<ECG/>"})
    assert mortara.sniff({"a": xml().replace(b"UTF-8", b"UTF-16").decode().encode("utf-16")})


def test_damage_fails_with_our_errors() -> None:
    original = xml(cycle=device_xml.typical_cycle(RAMP))
    rng = np.random.default_rng(1)
    for _ in range(150):
        flipped = bytearray(original)
        for at in rng.integers(0, len(original), 5):
            flipped[at] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(ExchangeaiError):
            read_records({"a.xml": bytes(flipped)})
        with pytest.raises(ExchangeaiError):
            read_records({"a.xml": original[: int(rng.integers(0, len(original) - 8))]})
