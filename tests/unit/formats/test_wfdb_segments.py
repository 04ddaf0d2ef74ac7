"""Multi-segment WFDB records: gaps, layouts, what is missing, and what tries to exhaust the reader."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchangeai import errors, read_ecg
from exchangeai.errors import ExchangeaiError
from exchangeai.formats import ReadOptions, group_files, read_records
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "wfdb"
LENIENT = ReadOptions()
STRICT = ReadOptions(strict=True)


def read(files: dict[str, bytes], options: ReadOptions = LENIENT) -> Recording:
    return read_records(files, options)[0].recording


def small(*lines: str, record: str = "m/4 2 500 25") -> dict[str, bytes]:
    """A record of two segments with a gap, where the second segment has other gains and signals."""
    one, two = np.arange(20, dtype="<i2"), np.arange(100, 110, dtype="<i2")
    master = "\n".join((record, *(lines or ("m_layout 0", "m1 10", "~ 5", "m2 10")))) + "\n# Age: 50\n"
    files = {
        "m.hea": master.encode(),
        "m_layout.hea": b"m_layout 2 500 0\n~ 0 1/mV 16 0 0 0 0 I\n~ 0 1/mmHg 16 0 0 0 0 ABP\n",
        "m1.hea": b"m1 2 500 10\nm1.dat 16 1/mV 16 0 0 0 0 I\nm1.dat 16 2/mmHg 16 0 0 0 0 ABP\n",
        "m1.dat": one.tobytes(),
        "m2.hea": b"m2 1 500 10\nm2.dat 16 1000(0)/mV 16 0 0 0 0 I\n",
        "m2.dat": two.tobytes(),
    }
    return {x: files[x] for x in next(x for x in group_files(list(files), files) if "m.hea" in x)}


def test_segments_lie_at_their_times_each_with_its_own_gain() -> None:
    recording = read(small())
    assert [(x.name, x.unit) for x in recording.leads] == [("I", "mV"), ("ABP", "mmHg")]
    lead, pressure = recording.signal("I"), recording.signal("ABP")
    assert lead[:10].tolist() == list(range(0, 20, 2))
    assert np.isnan(lead[10:15]).all()
    np.testing.assert_array_equal(lead[15:], np.float32(np.arange(100, 110) / 1000))
    assert pressure[:10].tolist() == [x / 2 for x in range(1, 20, 2)]
    assert np.isnan(pressure[10:]).all()
    assert recording.patient.age_years == 50
    assert recording.warnings == ()


def test_leads_that_no_segment_has_and_those_that_no_layout_lists() -> None:
    files = small()
    files["m_layout.hea"] = b"m_layout 1 500 0\n~ 0x2 1/mV 16 0 0 0 0 V1\n"
    recording = read(files)
    assert recording.lead_names == ("V1", "I", "ABP")
    assert recording.signal("V1").size == 50
    assert np.isnan(recording.signal("V1")).all()


def test_a_fixed_layout_needs_no_layout_segment() -> None:
    recording = read(small("m1 10", "m1 10", record="m/2 2 500 20"))
    assert recording.signal("I").tolist() == [*range(0, 20, 2), *range(0, 20, 2)]


def test_other_units_of_a_segment_do_not_mix() -> None:
    files = small()
    files["m2.hea"] = b"m2 1 500 10\nm2.dat 16 1000(0)/kPa 16 0 0 0 0 ABP\n"
    recording = read(files)
    assert np.isnan(recording.signal("ABP")[15:]).all()
    assert any("unit" in x for x in recording.warnings)
    files["m2.hea"] = b"m2 1 500 10\nm2.dat 16 1(0)/uV 16 0 0 0 0 I\n"
    np.testing.assert_allclose(read(files).signal("I")[15:], np.arange(100, 110) / 1000, rtol=1e-6)


def test_a_cut_segment_ends_in_missing_values() -> None:
    files = small()
    files["m2.dat"] = files["m2.dat"][:6]
    recording = read(files)
    assert np.isnan(recording.signal("I")[18:]).all()
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(errors.Truncated):
        read(files, STRICT)
    files["m1.dat"] = b""
    with pytest.raises(errors.Truncated):
        read(files)


def test_lengths_that_contradict_each_other_are_said() -> None:
    files = small(record="m/4 2 500 27")
    assert any("add up" in x for x in read(files).warnings)
    with pytest.raises(errors.InvalidHeader):
        read(files, STRICT)


def test_a_public_header_that_lacks_a_segment_line() -> None:
    files = small(record="m/5 2 500 25")
    assert read(files).signal("I").size == 25
    assert any("declares 5" in x for x in read(files).warnings)
    with pytest.raises(errors.Truncated):
        read(small("m1 10", record="m/2 2 500 25"))


BAD: dict[str, tuple[dict[str, bytes], type[ExchangeaiError]]] = {
    "names itself": (small("m 10", record="m/1 2 500 10"), errors.InvalidHeader),
    "nested": (
        {**small(), "m1.hea": b"m1/1 1 500 10\nm2 10\n"},
        errors.InvalidHeader,
    ),
    "a circle": (
        {"a.hea": b"a/1 1 500 10\nb 10\n", "b.hea": b"b/1 1 500 10\na 10\n"},
        errors.InvalidHeader,
    ),
    "missing segment": ({x: y for x, y in small().items() if x != "m2.hea"}, errors.MissingFile),
    "missing signals": ({x: y for x, y in small().items() if x != "m2.dat"}, errors.MissingFile),
    "missing layout": ({x: y for x, y in small().items() if x != "m_layout.hea"}, errors.MissingFile),
    "path": (small("../m1 10", record="m/1 2 500 10"), errors.UnsafeReference),
    "only gaps": (small("~ 10", "~ 20", record="m/2 2 500 30"), errors.EmptyFile),
    "no length": (small("m_layout 0", record="m/1 2 500 0"), errors.EmptyFile),
    "other count": (small("m1 10", record="m/9999999 2 500 10"), errors.InvalidHeader),
    "other rate": ({**small(), "m2.hea": b"m2 1 250 10\nm2.dat 16 1 16 0 0 0 0 I\n"}, errors.InvalidHeader),
    "other frames": (
        {**small(), "m2.hea": b"m2 1 500 5\nm2.dat 16x2 1 16 0 0 0 0 I\n"},
        errors.InvalidHeader,
    ),
    "a gap of years": (small("m1 10", "~ 99999999999", record="m/2 2 500 0"), errors.InvalidHeader),
    "10^18 samples": (small("m1 999999999999999999", record="m/1 2 500 0"), errors.UnreadableFile),
    "many times the same": (
        small(*["m1 10"] * 60_000, record="m/60000 2 500 600000"),
        errors.InvalidHeader,
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
@pytest.mark.parametrize("options", [LENIENT, STRICT])
def test_bad_segments_are_refused_fast(case: str, options: ReadOptions) -> None:
    files, expected = BAD[case]
    begin = time.monotonic()
    with pytest.raises(expected):
        read(files, options)
    assert time.monotonic() - begin < 5


def test_all_files_of_a_long_record_are_one_group() -> None:
    names = sorted(x.name for x in (GOLDEN / "s25047").iterdir())
    files = {f"a/{x}": (GOLDEN / "s25047" / x).read_bytes() for x in names}
    long, numerics = group_files(list(files), files)[::-1]
    if len(long) < len(numerics):
        long, numerics = numerics, long
    assert set(numerics) == {"a/3234460n.dat", "a/s25047-2704-05-04-10-44n.hea"}
    assert set(long) == set(files) - set(numerics)
    assert read({x: files[x] for x in long}).signal("II").size == 543240


def test_records_of_different_folders_stay_apart_and_shared_files_are_shared() -> None:
    header = b"r 1 500 2\nr.dat 16 1000/mV\n"
    files = {
        "one/r.hea": header,
        "one/r.dat": b"\1\2\3\4",
        "two\\r.hea": header,
        "two\\r.dat": b"\4\3\2\1",
        "two\\s.hea": header.replace(b"r 1", b"s 1"),
        "two\\s.atr": b"\1\4\0\0",
        "three/r.dat": b"\1\2",
    }
    assert group_files(list(files), files) == [
        ("one/r.hea", "one/r.dat"),
        ("two\\r.hea", "two\\r.dat"),
        ("two\\r.dat", "two\\s.hea", "two\\s.atr"),
        ("three/r.dat",),
    ]
    shared = read({x: files[x] for x in ("two\\r.dat", "two\\s.hea", "two\\s.atr")})
    assert [x.label for x in shared.annotations] == ["N"]


def test_headers_in_a_circle_are_one_bad_record() -> None:
    files = {"a.hea": b"a/1 1 500 10\nb 10\n", "b.hea": b"b/1 1 500 10\na 10\n"}
    assert group_files(list(files), files) == [("a.hea", "b.hea")]


def test_a_folder_gives_each_record(tmp_path: Path) -> None:
    for name, data in small().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.hea").write_bytes(b"other 1 500 10\nm2.dat 16 1000 16 0 0 0 0 II\n")
    assert [x.lead_names for x in read_ecg(tmp_path)] == [("I", "ABP"), ("II",)]
    assert read_ecg(tmp_path / "m.hea")[0].signal("I").size == 25
    assert read_ecg(tmp_path / "m1.hea")[0].signal("I").size == 10


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    name=st.sampled_from(sorted(small())),
    edits=st.lists(
        st.tuples(st.integers(0, 90), st.sampled_from(b"0189 ~/x:+-.\nrm\0")), min_size=1, max_size=5
    ),
    cut=st.integers(0, 40),
)
def test_only_our_errors_escape(name: str, edits: list[tuple[int, int]], cut: int) -> None:
    files = small()
    data = bytearray(files[name])
    for at, byte in edits:
        data[at % len(data)] = byte
    files[name] = bytes(data[: len(data) - min(cut % 3 * cut, len(data) - 1)])
    try:
        recording = read(files)
    except ExchangeaiError:
        return
    assert sum(x.samples.size for x in recording.leads) <= 1 << 25
