"""SCP-ECG: every encoding decodes to the signal encoded; contradictions are told or refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchangeai.errors import ExchangeaiError, InvalidHeader, Truncated
from exchangeai.formats import ReadOptions, read_records, readers
from exchangeai.recording import Recording
from tests.unit.formats import scp_writer as w

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "scp"
EXAMPLE = (GOLDEN / "Example.scp").read_bytes()
STRICT = ReadOptions(strict=True)


def read(data: bytes, options: ReadOptions = ReadOptions()) -> Recording:  # noqa: B008
    return read_records({"a": data}, options)[0].recording


def signal(samples: int = 700, seed: int = 1) -> w.Ints:
    steps = np.random.default_rng(seed).normal(0, 6, samples)
    values = np.cumsum(steps).round().astype(np.int64)
    values[samples // 2] += 900
    return values


def one_lead(values: w.Ints, order: int, codes: w.Codes | None, section_2: bytes | None) -> bytes:
    chunk = w.encoded(w.differences(values, order), codes)
    sections = {3: w.lead_section([1], [(1, values.size)]), 6: w.data_section([chunk], order=order)}
    return w.scp(sections | ({2: section_2} if section_2 is not None else {}))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    ("codes", "section_2"),
    [
        (None, None),
        (None, b"\0\0"),
        (w.DEFAULT, struct.pack("<H", 19999)),
        (w.SHORT, w.tables(w.SHORT)),
        (w.LONG, w.tables(w.LONG)),
    ],
    ids=["no table section", "no tables", "default", "own", "own, long prefixes"],
)
def test_what_was_encoded_is_decoded(order: int, codes: w.Codes | None, section_2: bytes | None) -> None:
    values = signal()
    recording = read(one_lead(values, order, codes, section_2))
    assert not recording.warnings
    assert recording.signal("I") == pytest.approx(values * 2.5e-3, abs=1e-6)


def test_codes_switch_between_tables() -> None:
    values = signal()
    short = [("0" + prefix, extra, value) for prefix, extra, value in w.SHORT]
    bits, table = "", 0
    for i, x in enumerate(w.differences(values, 1)):
        if i % 7 == 3:
            bits, table = bits + ("1" if table == 0 else "1" * 15), 1 - table
        bits += w.code_of(int(x), short if table == 0 else w.LONG)
    section_2 = w.tables(short, w.LONG, switches={0: [("1", 2)], 1: [("1" * 15, 1)]})
    data = w.scp(
        {
            2: section_2,
            3: w.lead_section([2], [(1, values.size)]),
            6: w.data_section([w.packed(bits)], order=1),
        }
    )
    assert read(data).signal("II") == pytest.approx(values * 2.5e-3, abs=1e-6)


@pytest.mark.parametrize("beat_nv", [2500, 5000])
def test_a_subtracted_beat_is_added_again(beat_nv: int) -> None:
    values, beat, fiducial = signal(), signal(100, 2), 40
    residual = values * 2500
    # Type, first, fiducial and last sample, from 1: whole, cut at both ends, another type, beyond the end.
    places = [(0, 61, 100, 160), (0, 190, 200, 230), (1, 300, 340, 399), (0, 661, 690, 720)]
    for kind, first, at, last in places:
        for sample in range(first, min(last, values.size) + 1):
            index = fiducial - 1 + sample - at
            if kind == 0 and index < beat.size:
                residual[sample - 1] -= beat[index] * beat_nv
    data = w.scp(
        {
            2: w.tables(w.SHORT),
            3: w.lead_section([3], [(1, values.size)], subtracted=True),
            4: w.beat_section(200, fiducial, places),
            5: w.data_section([w.encoded(w.differences(beat, 1), w.SHORT)], nv=beat_nv, order=1),
            6: w.data_section([w.encoded(w.differences(residual // 2500, 2), w.SHORT)], order=2),
        }
    )
    recording = read(data)
    assert recording.signal("V1") == pytest.approx(values * 2.5e-3, abs=1e-6)
    assert recording.other_series[0].leads[0].samples == pytest.approx(beat * beat_nv * 1e-6, abs=1e-6)


def test_decimated_rhythm_is_refused_by_name() -> None:
    values = signal()
    chunk = w.encoded(values, None)
    sections = {
        3: w.lead_section([1], [(1, values.size)]),
        4: w.beat_section(200, 40, []),
        5: w.data_section([w.encoded(signal(100), None)]),
    }
    with pytest.raises(InvalidHeader, match="bimodal"):
        read(w.scp(sections | {6: w.data_section([chunk[:700]], us=8000, flag=1)}))
    with pytest.raises(InvalidHeader, match="bimodal"):
        read(w.scp(sections | {6: w.data_section([chunk[:700]], flag=1)}))
    # The mark alone, with every sample there, does no harm.
    assert read(w.scp(sections | {6: w.data_section([chunk], flag=1)})).signal("I").size == values.size


@pytest.mark.parametrize(("first", "last"), [(1, 700), (0, 700), (0, 699)])
@pytest.mark.parametrize("codes", [None, w.DEFAULT], ids=["plain", "default"])
def test_samples_count_from_1_or_0(first: int, last: int, codes: w.Codes | None) -> None:
    chunks = [w.encoded(signal(seed=i), codes) for i in (1, 2, 3)]
    data = w.scp(
        {
            **({2: struct.pack("<H", 19999)} if codes else {}),
            3: w.lead_section([1, 2, 11], [(first, last)] * 3),
            6: w.data_section(chunks),
        }
    )
    recording = read(data)
    assert recording.lead_names == ("I", "II", "V3R")
    assert [x.samples.size for x in recording.leads] == [700] * 3


def test_leads_one_after_the_other_keep_their_time() -> None:
    chunks = [w.encoded(signal(300, i), None) for i in (1, 2)]
    recording = read(w.scp({3: w.lead_section([1, 9], [(1, 300), (301, 600)]), 6: w.data_section(chunks)}))
    assert np.isnan(recording.signal("I")[300:]).all()
    assert np.isnan(recording.signal("V7")[:300]).all()
    assert recording.signal("V7")[300:] == pytest.approx(signal(300, 2) * 2.5e-3, abs=1e-6)


def test_patient_device_and_statements() -> None:
    machine = bytes(8) + b"CART9\0" + bytes(22)
    report = b"\0" + struct.pack("<HBB", 2020, 1, 2) + bytes(3) + b"\x02"
    for i, text in enumerate((b"Vorhofflimmern\0", "gr\u00f6\u00dfer".encode("latin-1") + b"\0")):
        report += struct.pack("<BH", i + 1, len(text)) + text
    section_1 = w.tags(
        t2=b"P-1\0", t4=struct.pack("<HB", 30, 2), t8=b"\x02", t14=machine,
        t25=struct.pack(">H", 2001) + b"\x03\x04",
        t27=struct.pack("<H", 5), t28=struct.pack("<H", 150), t29=b"\x01",
    )  # fmt: skip
    data = {1: section_1, 8: report, 3: w.lead_section([1], [(1, 700)])}
    result = read_records({"a": w.scp(data | {6: w.data_section([w.encoded(signal(), None)])})})[0]
    recording = result.recording
    assert (recording.patient.sex, recording.patient.age_years) == ("F", 2)
    assert result.identifiers.patient_id == "P-1"
    assert (recording.acquisition_year, recording.device_model) == (2001, "CART9")
    filters = recording.filters
    assert (filters.highpass_hz, filters.lowpass_hz, filters.notch_hz) == (0.05, 150, 60)
    assert recording.device_statements == ("Vorhofflimmern", "gr\u00f6\u00dfer")


def test_facts_of_a_real_file() -> None:
    recording = read((GOLDEN / "welchallyn_anon4.scp").read_bytes())
    assert recording.sampling_rate_hz("I") == 1e6 / 1667
    assert recording.lead_names == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    measured = recording.device_measurements
    assert {
        "rr_ms": 800,
        "qt_ms": 360,
        "qtc_bazett_ms": 402,
        "ventricular_rate": 75,
    }.items() <= measured.items()
    assert "pp_ms" not in measured
    assert recording.device_statements[0] == "sinusrytm"
    assert (recording.filters.lowpass_hz, recording.filters.notch_hz) == (35, 50)


def test_old_files_without_the_mark_are_found() -> None:
    values = signal()
    sections = {3: w.lead_section([1], [(1, 700)]), 6: w.data_section([w.encoded(values, None)])}
    data = w.scp(sections, magic=bytes(6))
    assert readers()["scp"].sniff({"a": data})
    assert not readers()["scp"].sniff({"a": bytes(4096)})
    assert read(data).format == "scp"


def test_wrong_checksums_warn_or_refuse() -> None:
    damaged = bytearray(EXAMPLE)
    damaged[160] ^= 1
    warnings = read(bytes(damaged)).warnings
    assert sum("checksum" in x for x in warnings) == 2
    with pytest.raises(InvalidHeader, match="checksum"):
        read(bytes(damaged), STRICT)


def test_files_that_end_early() -> None:
    with pytest.raises(Truncated):
        read(EXAMPLE[: len(EXAMPLE) // 2])
    recording = read(EXAMPLE[:33_000])
    assert any("truncated" in x for x in recording.warnings)
    assert recording.signal("I").size == 5000
    assert 2500 < recording.signal("aVF").size < 5000
    with pytest.raises(Truncated):
        read(EXAMPLE[:33_000], STRICT)
    with pytest.raises(Truncated):
        read(EXAMPLE[:2] + b"\xff" * 4 + EXAMPLE[6:])


@pytest.mark.parametrize("at", range(0, 1200, 7))
def test_cut_anywhere_is_our_error(at: int) -> None:
    with suppress(ExchangeaiError):
        read(EXAMPLE[:at])


@settings(max_examples=150, deadline=2000, derandomize=True)
@given(st.lists(st.tuples(st.integers(6, 560), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes_are_our_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(EXAMPLE)
    for at, value in changes:
        data[at] ^= value
    with suppress(ExchangeaiError):
        read(bytes(data))
