"""MIT annotation files equal `wfdb.rdann`, belong to their record and are told from other bytes."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import wfdb as library  # pyright: ignore[reportMissingTypeStubs]
from hypothesis import given, settings
from hypothesis import strategies as st

from exchangeai import errors, read_ecg
from exchangeai.formats import ReadOptions, read_records
from exchangeai.formats._wfdb_annotations import AnnotationFile, parse_annotations
from exchangeai.recording import Recording

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "wfdb"
LENIENT = ReadOptions()
HEADER = b"r 2 100 50\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n"


def word(code: int, value: int) -> bytes:
    return struct.pack("<H", code << 10 | value)


def read(data: bytes, options: ReadOptions = LENIENT, **more: bytes) -> Recording:
    files = {"r.hea": HEADER, "r.dat": bytes(200), "r.atr": data, **{f"r.{x}": y for x, y in more.items()}}
    return read_records(files, options)[0].recording


def parsed(data: bytes) -> AnnotationFile:
    found = parse_annotations(data)
    assert found is not None
    return found


def check_as_library(path: Path) -> AnnotationFile:
    theirs = cast(Any, library).rdann(str(path.with_suffix("")), path.suffix[1:])
    mine = parsed(path.read_bytes())
    assert list(mine.times) == theirs.sample.tolist()
    assert list(mine.symbols) == theirs.symbol
    assert [mine.texts.get(i, "") for i in range(len(mine.times))] == [
        x.rstrip("\0") for x in theirs.aux_note
    ]
    assert list(mine.channels or [0] * len(mine.times)) == theirs.chan.tolist()
    assert mine.rate_hz == theirs.fs or mine.rate_hz is None
    assert mine.whole
    return mine


def test_record_100() -> None:
    check_as_library(GOLDEN / "100.atr")
    recording = read_ecg(GOLDEN / "100.hea")[0]
    marks = recording.annotations
    assert Counter(x.label for x in marks) == {"+": 1, "A": 33, "N": 2239, "V": 1}
    assert marks[0].detail == "(N"
    assert [round(x.onset_s * 360) for x in marks[:5]] == [18, 77, 370, 662, 946]
    assert marks[-1].onset_s == 649991 / 360
    assert all(x.duration_s is None and x.lead is None for x in marks)
    assert recording.warnings == ()


def test_annotations_with_notes_and_numbers() -> None:
    mine = check_as_library(GOLDEN / "12726.anI")
    assert mine.texts[21] == "Conclude rapid tilt down"


def test_all_that_the_library_writes(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    count = 200
    symbols = [x for x in cast(Any, library).io.annotation.ann_label_table["symbol"] if x.strip()]
    times = np.cumsum(random.choice([1, 500, 1023, 1024, 70_000, 20_000_000], count))
    cast(Any, library).wrann(
        "w",
        "tst",
        times,
        symbol=random.choice(symbols, count).tolist(),
        chan=random.integers(0, 3, count),
        num=random.integers(0, 100, count),
        subtype=random.integers(0, 100, count),
        aux_note=random.choice(["", "(AFIB", "odd", "(N"], count).tolist(),
        fs=123.5,
        write_dir=str(tmp_path),
    )
    assert check_as_library(tmp_path / "w.tst").rate_hz == 123.5


def test_own_codes_of_a_file(tmp_path: Path) -> None:
    cast(Any, library).wrann(
        "w",
        "tst",
        np.array([10, 20]),
        symbol=["z", "N"],
        custom_labels=[(45, "z", "my own")],
        fs=50,
        write_dir=str(tmp_path),
    )
    mine = parsed((tmp_path / "w.tst").read_bytes())
    assert (mine.times, mine.symbols, mine.rate_hz) == ([10, 20], ["z", "N"], 50)


def test_times_are_in_frames_of_the_record_or_in_the_resolution_of_the_file() -> None:
    assert [x.onset_s for x in read(word(1, 25) + bytes(2)).annotations] == [0.25]
    note = b"## time resolution: 1000"
    definition = word(22, 0) + word(63, len(note)) + note
    assert [x.onset_s for x in read(definition + word(1, 25) + bytes(2)).annotations] == [0.025]


def test_long_intervals_are_in_pdp_order_and_may_go_back() -> None:
    forward = word(59, 0) + struct.pack("<HH", 1, 2) + word(1, 3)
    back = word(59, 0) + struct.pack("<HH", 0xFFFF, 0xFFFF) + word(5, 0)
    mine = parsed(forward + back + bytes(2))
    assert (mine.times, mine.symbols) == ([65541, 65540], ["N", "V"])
    recording = read(forward + back + bytes(2))
    assert [x.label for x in recording.annotations] == ["V", "N"]


def test_a_signal_number_holds_until_the_next() -> None:
    data = word(1, 1) + word(1, 1) + word(62, 1) + word(60, 3) + word(61, 2) + word(1, 1) + bytes(2)
    assert [x.lead for x in read(data).annotations] == ["I", "II", "II"]
    assert read(word(1, 1) + word(62, 7) + bytes(2)).annotations[0].lead is None


def test_text_of_odd_length_is_padded_and_may_hold_zeros() -> None:
    data = word(28, 5) + word(63, 3) + b"(N\0\0" + word(22, 5) + word(63, 2) + b"\0\0" + word(1, 1) + bytes(2)
    found = read(data).annotations
    assert [(x.label, x.detail) for x in found] == [("+", "(N"), ('"', ""), ("N", "")]


def test_unknown_codes_keep_their_number() -> None:
    assert [x.label for x in read(word(47, 1) + bytes(2)).annotations] == ["[47]"]


def test_several_files_are_put_together_in_order() -> None:
    recording = read(word(1, 20) + bytes(2), qrs=word(5, 10) + bytes(2))
    assert [(x.onset_s, x.label) for x in recording.annotations] == [(0.1, "V"), (0.2, "N")]
    assert any("2 files" in x for x in recording.warnings)


@pytest.mark.parametrize("data", [word(1, 5), word(1, 5) + word(59, 0), word(1, 5) + word(63, 9) + b"ab"])
def test_a_file_without_its_end_is_said(data: bytes) -> None:
    recording = read(data)
    assert [x.label for x in recording.annotations] == ["N"]
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(errors.Truncated):
        read(data, ReadOptions(strict=True))


@pytest.mark.parametrize(
    "data",
    [
        word(55, 1) + bytes(2),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(200)),
        b"%PDF-1.4\n%\1\2\3\4",
        b"\0N\1\2\3\4\5\6\7\0\0\0\0\0\0\0" * 9,
    ],
)
def test_other_bytes_beside_a_record_are_said(data: bytes) -> None:
    recording = read(data)
    assert recording.annotations == ()
    assert any("neither" in x for x in recording.warnings)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_annotations_or_none(data: bytes) -> None:
    found = parse_annotations(data)
    if found is not None:
        assert len(found.times) == len(found.symbols)
        assert all(0 <= x < len(found.times) for x in found.texts)
        assert found.channels is None or len(found.channels) == len(found.times)
