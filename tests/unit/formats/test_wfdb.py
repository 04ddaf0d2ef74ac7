"""WFDB: every storage format equals the wfdb library to the bit; odd records are read or refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile  # pyright: ignore[reportMissingTypeStubs]
import wfdb as library  # pyright: ignore[reportMissingTypeStubs]

from exchangeai import errors, read_ecg
from exchangeai.formats import ReadOptions, read_records
from exchangeai.formats._wfdb_header import looks_like_header, parse_header
from exchangeai.formats._wfdb_signals import blocks_of
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "wfdb"
LENIENT = ReadOptions()
STRICT = ReadOptions(strict=True)
FORMATS = (8, 16, 24, 32, 61, 80, 160, 212, 310, 311)
LAYOUTS: dict[str, tuple[tuple[int, ...], int, int]] = {
    "one": ((1,), 0, 0),
    "two": ((1, 1), 0, 24),
    "twelve": ((1,) * 12, 0, 0),
    "three, skewed": ((1, 1, 1), 5, 7),
    "equal frames": ((3, 3), 0, 0),
    "mixed frames": ((4, 1, 2), 0, 3),
}
"""Samples per frame of each signal, skew of the second, byte offset."""


def read(files: dict[str, bytes], options: ReadOptions = LENIENT) -> Recording:
    return read_records(files, options)[0].recording


def rdrecord(path: Path, **options: Any) -> Any:
    return cast(Any, library).rdrecord(str(path), smooth_frames=False, **options)


def random_record(folder: Path, kind: int, layout: str, frames: int = 101) -> dict[str, bytes]:
    """A record of random bytes, which hold every stored value sooner or later, the missing one too."""
    widths, skew, offset = LAYOUTS[layout]
    random = np.random.default_rng(kind)
    data = random.integers(0, 256, offset + frames * sum(widths) * 4 + 8, np.uint8)
    if kind == 311:
        # The top two bits of each four bytes are unused; the library takes one of them for a sign.
        data[offset + 3 :: 4] &= 0x3F
    if kind != 8:
        data[offset : offset + 12] = 0
    lines = [f"r {len(widths)} 250.5 {frames}"]
    for i, width in enumerate(widths):
        odd = f"x{width}" * (width > 1) + f":{skew}" * (i == 1 and skew > 0) + f"+{offset}" * (offset > 0)
        gain = ("200", "1000.5(-3)/mV", "1e3/uV", "0.25(100)/mmHg")[i % 4]
        lines.append(f"r.dat {kind}{odd} {gain} 12 {(0, 7)[i % 2]} {i * 3} 0 0 lead {i}")
    header = "\n".join(lines) + "\n"
    (folder / "r.hea").write_text(header)
    (folder / "r.dat").write_bytes(data.tobytes())
    return {"r.hea": header.encode(), "r.dat": data.tobytes()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", FORMATS)
def test_random_samples_equal_the_library(kind: int, layout: str, tmp_path: Path) -> None:
    files = random_record(tmp_path, kind, layout)
    header = parse_header(files["r.hea"])
    stored = [x for _, block in blocks_of(files["r.dat"], header.signals, 101) for x in block]
    skewed = any(x.storage.skew for x in header.signals)
    # The library cannot return big-endian integers as they are.
    if not skewed and kind != 61:
        digital = rdrecord(tmp_path / "r", physical=False).e_d_signal
        for mine, theirs in zip(stored, digital, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    if kind == 8 and skewed:
        return  # The library has no missing value for differences and refuses.
    recording = read(files)
    for i, (lead, theirs) in enumerate(
        zip(recording.leads, rdrecord(tmp_path / "r").e_p_signal, strict=True)
    ):
        if i % 4 == 2:
            np.testing.assert_allclose(lead.samples, np.float32(theirs / 1000), rtol=2e-7)
        else:
            np.testing.assert_array_equal(lead.samples, np.float32(theirs))


# The library does not take the suffix in E03823's record line.
@pytest.mark.parametrize("name", sorted(x.stem for x in GOLDEN.glob("*.hea") if x.stem != "E03823"))
def test_golden_records_equal_the_library(name: str) -> None:
    recording = read_ecg(GOLDEN / f"{name}.hea")[0]
    theirs = rdrecord(GOLDEN / name)
    assert recording.sampling_rate_hz(0) == theirs.fs * theirs.samps_per_frame[0]
    for lead, samples in zip(recording.leads, theirs.e_p_signal, strict=True):
        np.testing.assert_array_equal(lead.samples, np.float32(samples))
    assert recording.warnings == ()


@pytest.mark.parametrize("name", ["fixed1/v102s", "s25047/s25047-2704-05-04-10-44"])
def test_segments_equal_the_library(name: str) -> None:
    recording = read_ecg(GOLDEN / f"{name}.hea")[0]
    theirs = rdrecord(GOLDEN / name)
    assert recording.lead_names == tuple(theirs.sig_name)
    for lead, samples in zip(recording.leads, theirs.e_p_signal, strict=True):
        np.testing.assert_array_equal(lead.samples, np.float32(samples))
    assert recording.warnings == ()


def test_gaps_units_and_gains_of_segments() -> None:
    recording = read_ecg(GOLDEN / "s25047/s25047-2704-05-04-10-44.hea")[0]
    assert [x.unit for x in recording.leads] == ["mV", "mV", "mmHg"]
    assert [int(np.isnan(x.samples).sum()) for x in recording.leads] == [26462, 25869, 445740]
    assert recording.signal("ABP")[-1] == pytest.approx(-17.6)
    assert recording.acquisition_year is None


def test_quantities_that_are_no_voltage_keep_their_unit_and_rate() -> None:
    recording = read_ecg(GOLDEN / "s25047/s25047-2704-05-04-10-44n.hea")[0]
    assert [x.unit for x in recording.leads] == ["bpm", "bpm", "pm", "%", "mmHg", "mmHg", "mmHg"]
    assert recording.sampling_rate_hz("HR") == pytest.approx(1 / 60)
    mixed = read_ecg(GOLDEN / "03700181.hea")[0]
    assert [x.sampling_rate_hz for x in mixed.leads] == [500, 125, 125]
    assert mixed.ecg_leads == (mixed.leads[0], mixed.leads[2])


def test_patient_of_a_brief_comment() -> None:
    patient = read_ecg(GOLDEN / "100.hea")[0].patient
    assert (patient.sex, patient.age_years) == ("M", 69)


TEN = np.arange(10, dtype="<i2").tobytes()


def record(line: str, *signals: str, **files: bytes) -> dict[str, bytes]:
    header = "\n".join((line, *signals)).encode()
    return {"r.hea": header, **{x.replace("_", "."): data for x, data in files.items()}}


def test_missing_fields_have_the_defaults_of_the_guide() -> None:
    recording = read(record("r 1", "r.dat 16", r_dat=TEN))
    assert recording.sampling_rate_hz(0) == 250
    assert recording.lead_names == ("channel 1",)
    np.testing.assert_array_equal(recording.signal(0), np.float32(np.arange(10) / 200))


def test_baseline_is_the_adc_zero_unless_it_is_given() -> None:
    lines = ("r.dat 16 100 12 4 0 0 0 a", "r.dat 16 100(2)/mV 12 4 0 0 0 b")
    recording = read(record("r 2 500", *lines, r_dat=TEN))
    np.testing.assert_array_equal(recording.signal("a"), np.float32((np.arange(0, 10, 2) - 4) / 100))
    np.testing.assert_array_equal(recording.signal("b"), np.float32((np.arange(1, 10, 2) - 2) / 100))


def test_a_skew_moves_whole_frames_and_ends_in_missing_values() -> None:
    recording = read(record("r 1 500 5", "r.dat 16x2:1 1 16 0 0 0 0 a", r_dat=TEN))
    assert recording.signal(0)[:8].tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    assert np.isnan(recording.signal(0)[8:]).all()


def test_an_offset_may_stand_with_the_first_signal_of_a_file_only() -> None:
    lines = ("r.dat 16+2 1 16 0 0 0 0 I", "r.dat 16 1 16 0 0 0 0 II")
    assert read(record("r 2 500 4", *lines, r_dat=TEN)).signal("II").tolist() == [2, 4, 6, 8]
    with pytest.raises(errors.InvalidHeader):
        read(record("r 2 500 4", *lines[::-1], r_dat=TEN))


def test_a_null_signal_is_missing() -> None:
    recording = read(record("r 2 500", "~ 0 0/mV 12 0 0 0 0 I", "r.dat 16 1 16 0 0 0 0 II", r_dat=TEN))
    assert np.isnan(recording.signal("I")).all()
    assert recording.signal("II").tolist() == list(range(10))


def test_a_data_set_that_names_files_from_its_root() -> None:
    files = record("beats/r 1 500 10", "beats/r.dat 16 1 16 0 0 45 0 I", r_dat=TEN)
    recording = read(files)
    assert recording.signal("I").tolist() == list(range(10))
    assert any("folder" in x for x in recording.warnings)
    with pytest.raises(errors.InvalidHeader):
        read(files, STRICT)


@pytest.mark.parametrize(
    "name",
    ["/r.dat", "../r.dat", "a/../r.dat", "a//r.dat", "./r.dat", "~/r.dat", "c:r.dat", "a\\r.dat", "-"],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(errors.UnsafeReference):
        read(record("r 1 500 10", f"{name} 16 1 16 0 0 45 0 I", r_dat=TEN))


def test_more_signal_lines_than_signals_are_allowed() -> None:
    lines = ("r.dat 16 1 16 0 0 45 0 I", "r.dat 16 1 16 0 0 0 0 II")
    recording = read(record("r 1 500 10", *lines, r_dat=TEN))
    assert recording.signal("I").tolist() == list(range(10))
    assert any("describes 2" in x for x in recording.warnings)


def test_a_record_of_annotations_alone() -> None:
    files = {"r.hea": b"r 0 100\n", "r.atr": b"\x64\x04\0\0"}
    assert [(x.onset_s, x.label) for x in read(files).annotations] == [(1.0, "N")]
    with pytest.raises(errors.EmptyFile):
        read({"r.hea": b"r 0 100\n"})


@pytest.mark.parametrize("size", range(10, 20))
def test_a_truncated_record_is_read_from_half_on(size: int) -> None:
    files = record("r 1 500 10", "r.dat 16 1 16 0 0 45 0 I", r_dat=TEN[:size])
    recording = read(files)
    assert recording.signal(0).tolist() == list(range(size // 2))
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(errors.Truncated):
        read(files, STRICT)


@pytest.mark.parametrize("options", [LENIENT, STRICT])
@pytest.mark.parametrize("size", [0, 1, 9])
def test_less_than_half_is_refused(size: int, options: ReadOptions) -> None:
    with pytest.raises(errors.UnreadableFile) as caught:
        read(record("r 1 500 10", "r.dat 16 1 16 0 0 45 0 I", r_dat=TEN[:size]), options)
    assert isinstance(caught.value, errors.Truncated)


def test_one_short_file_of_two() -> None:
    lines = ("a.dat 16 1 16 0 0 0 0 I", "b.dat 16 1 16 0 0 0 0 II")
    recording = read(record("r 2 500 10", *lines, a_dat=TEN, b_dat=TEN[:12]))
    assert recording.signal("II").tolist()[:6] == list(range(6))
    assert np.isnan(recording.signal("II")[6:]).all()
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(errors.Truncated):
        read(record("r 2 500 10", *lines, a_dat=TEN, b_dat=TEN[:8]))
    unsaid = read(record("r 2 500", *lines, a_dat=TEN, b_dat=TEN[:8]))
    assert [x.samples.size for x in unsaid.leads] == [10, 10]
    assert any("differ in length" in x for x in unsaid.warnings)


def test_a_wrong_checksum_is_said() -> None:
    files = record("r 1 500 10", "r.dat 16 1 16 0 0 44 0 I", r_dat=TEN)
    assert any("checksum" in x for x in read(files).warnings)
    with pytest.raises(errors.InvalidHeader, match="checksum"):
        read(files, STRICT)
    right = record("r 1 500 10", "r.dat 16 1 16 0 0 -65491 0 I", r_dat=TEN)
    assert read(right, STRICT).warnings == ()


def test_flac_that_is_none_or_has_no_whole_block() -> None:
    files = {x.name: x.read_bytes() for x in GOLDEN.glob("flacformats.*")}
    data = files["flacformats.d2"]
    with pytest.raises(errors.InvalidHeader):
        read({**files, "flacformats.d2": b"RIFF" + data[4:]})
    for size in (0, 10, 60, len(data) // 2, len(data) - 10):
        with pytest.raises(errors.UnreadableFile):
            read({**files, "flacformats.d2": data[:size]})


def test_flac_is_read_up_to_its_damage() -> None:
    files = {x.name: x.read_bytes() for x in GOLDEN.glob("mixedsignals*")}
    whole = read(files)
    data = files["mixedsignals_e.dat"]
    files["mixedsignals_e.dat"] = data[: len(data) * 3 // 4]
    recording = read(files)
    np.testing.assert_array_equal(recording.signal("II")[:40960], whole.signal("II")[:40960])
    assert np.isnan(recording.signal("II")[40960:]).all()
    np.testing.assert_array_equal(recording.signal("Resp"), whole.signal("Resp"))
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(errors.Truncated):
        read(files, STRICT)
    files["mixedsignals_e.dat"] = data[: len(data) // 3]
    with pytest.raises(errors.Truncated):
        read(files)


def test_a_small_file_that_unpacks_to_much_is_bounded() -> None:
    packed = io.BytesIO()
    zeros = np.zeros((1_000_000, 8), np.int16)
    cast(Any, soundfile).write(packed, zeros, 500, format="FLAC", subtype="PCM_16")
    lines = [f"{x}.dat 516 1000/mV" for x in "abcdefgh" for _ in range(8)]
    files = {f"{x}.dat": packed.getvalue() for x in "abcdefgh"}
    files["r.hea"] = "\n".join(("r 64 500", *lines)).encode()
    assert sum(len(x) for x in files.values()) < 1 << 20
    with pytest.raises(errors.InvalidHeader, match="more samples"):
        read(files)


def test_a_signal_file_alone_asks_for_its_header() -> None:
    with pytest.raises(errors.UnknownFormat, match=r"\.hea"):
        read({"100.dat": (GOLDEN / "100.dat").read_bytes()[:3000]})


@pytest.mark.parametrize(
    "text",
    [
        b"1 2\n3 4\n",
        b"0.5 2\n3 16\n",
        b"I,II\n1,2\n",
        b"0       0 X X X                        ",
        b"<?xml version='1.0'?>\n<a/>\n",
        b"a b c\n",
        b"",
        b"1 0 2 3 4\n",
    ],
)
def test_other_text_is_no_header(text: bytes) -> None:
    assert not looks_like_header(text)


@pytest.mark.parametrize(
    "text",
    [
        b"r 1 500\nr.dat 16\n",
        b"# a comment\r\n\r\n100 2 360 650000\r\n# another\r\n100.dat 212 200\r\n",
        b"r/2 3 125 100 10:44:18.529 04/05/2704\nr_layout 0\n~ 100\n",
        b"r 0 500\n",
        b"r 0 500 0 12:00:00 01/01/2000\n",
        b"r 1 500/100(5) 10\r~ 0 200/mV\r",
    ],
)
def test_headers_are_told(text: bytes) -> None:
    assert looks_like_header(text)
