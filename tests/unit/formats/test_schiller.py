"""Schiller XML of our own making: what is certain is read, the rest refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, ReadResult, read_records, schiller
from exchangeai.leads import STANDARD_12
from tests.unit.formats import device_xml
from tests.unit.formats.ge_xml import e07500

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "schiller"
RAMP = {"I": np.arange(600, dtype=np.int16), "AVR": np.arange(600, 0, -1, dtype=np.int16)}


def read(data: bytes, options: ReadOptions | None = None) -> ReadResult:
    return schiller.read({"a.xml": data}, options or ReadOptions())[0]


def test_the_golden_file_holds_the_record_it_was_made_from() -> None:
    result = read((GOLDEN / "E07500.xml").read_bytes())
    recording = result.recording
    assert recording.lead_names == STANDARD_12
    for name, x in e07500(5).items():
        assert recording.signal(name) == pytest.approx(x[:2000] * 0.005, abs=1e-6)
        assert recording.sampling_rate_hz(name) == 500
    (beats,) = recording.other_series
    assert (beats.kind, len(beats.leads), beats.leads[0].samples.size) == ("median", 12, 300)
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 41)
    assert (recording.acquisition_year, recording.device_model) == (2023, "AT-102")
    assert recording.device_measurements == {"ventricular_rate": 61}
    assert result.identifiers.patient_id == "TEST-0042"
    assert recording.warnings == ("files of this device are read experimentally: check the result",)
    assert "Nobody" not in repr(recording)
    assert "TEST-0042" not in repr(recording)


def test_units_and_further_rhythms() -> None:
    second = (
        device_xml.schiller({"V1": RAMP["I"]}).split(b"<eventdata>")[1].split(b"</eventdata>")[0].decode()
    )
    data = device_xml.schiller(RAMP, units="mV").replace(b"</eventdata>", second.encode() + b"</eventdata>")
    recording = read(data).recording
    assert recording.signal("aVR")[0] == pytest.approx(3000)
    (further,) = recording.other_series
    assert (further.kind, further.leads[0].name) == ("rhythm", "V1")


def test_a_type_that_is_not_known_is_left_out() -> None:
    data = device_xml.schiller(RAMP).replace(b"</event>", b"<wavedata><type>VCG</type></wavedata></event>")
    assert any("not known" in x for x in read(data).recording.warnings)
    with pytest.raises(EmptyFile):
        read(device_xml.schiller(RAMP, kind="VCG"))


def test_a_channel_that_ends_early() -> None:
    data = device_xml.schiller(RAMP).replace(b"<samplecount>600", b"<samplecount>1000")
    assert any("truncated" in x for x in read(data).recording.warnings)
    with pytest.raises(Truncated):
        read(data, ReadOptions(strict=True))


def test_what_is_not_certain_is_refused_or_asked_for() -> None:
    with pytest.raises(InvalidHeader, match="commas"):
        read(device_xml.schiller(RAMP, datastype="BASE64"))
    with pytest.raises(InvalidHeader, match="voltage"):
        read(device_xml.schiller(RAMP, units="mmHg"))
    with pytest.raises(InvalidHeader, match="0"):
        read(device_xml.schiller(RAMP).replace(b"<unitperbit>5", b"<unitperbit>0"))
    with pytest.raises(InvalidHeader, match="no numbers"):
        read(device_xml.schiller(RAMP).replace(b"<data>0,", b"<data>zero,"))
    odd_rate = device_xml.schiller(RAMP, exponent="3")
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(odd_rate)
    assert read(odd_rate, ReadOptions(sampling_rate_hz=500)).recording.sampling_rate_hz("I") == 500
    with pytest.raises(MissingMetadata, match="unit"):
        read(device_xml.schiller(RAMP).replace(b"<unitperbit>5</unitperbit>", b"").replace(b"uV", b""))


def test_gaps_between_commas_are_missing() -> None:
    recording = read(device_xml.schiller(RAMP).replace(b"<data>0,1,2,", b"<data>0,,2,")).recording
    assert np.isnan(recording.signal("I")[1])
    assert recording.signal("I")[2] == pytest.approx(0.01)


def test_damage_fails_with_our_errors() -> None:
    original = device_xml.schiller(RAMP, RAMP)
    assert schiller.sniff({"a": original})
    assert not schiller.sniff({"a": b"<other/>"})
    rng = np.random.default_rng(1)
    for _ in range(150):
        flipped = bytearray(original)
        for at in rng.integers(0, len(original), 5):
            flipped[at] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(ExchangeaiError):
            read_records({"a.xml": bytes(flipped)})
        with pytest.raises(ExchangeaiError):
            read_records({"a.xml": original[: int(rng.integers(0, len(original) - 8))]})
