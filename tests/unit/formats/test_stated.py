"""Tables and arrays: what the file states, what the caller states, and that nothing is guessed."""

from __future__ import annotations

import io

import numpy as np
import pytest

from exchangeai.errors import InvalidHeader, MissingMetadata, UnknownFormat, UnreadableFile
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Recording

STATED = ReadOptions(sampling_rate_hz=250, unit="mV")


def table(text: str, options: ReadOptions = STATED, encoding: str = "utf-8") -> Recording:
    return read_records({"t.csv": text.encode(encoding)}, options)[0].recording


def array(values: np.ndarray, options: ReadOptions) -> Recording:
    stream = io.BytesIO()
    np.save(stream, values)
    return read_records({"t.npy": stream.getvalue()}, options)[0].recording


@pytest.mark.parametrize(
    "text",
    [
        "I,II\n0.5,1\n-0.25,2\n",
        "I;II\n0.5;1\n-0.25;2\n",
        "I\tII\n0.5\t1\n-0.25\t2\n",
        "I II\n0.5 1\n-0.25 2\n",
        "I;II\n0,5;1,0\n-0,25;2,0\n",
        '"I","II"\r\n"0.5","1"\r\n"-0.25","2"\r\n',
        "\ufeffI,II\n0.5,1\n-0.25,2",
        "# exported today\nI,II\n5e-1,1\n-.25,2\n\n",
    ],
)
def test_spellings_of_one_table(text: str) -> None:
    recording = table(text)
    assert [x.name for x in recording.leads] == ["I", "II"]
    assert [x.samples.tolist() for x in recording.leads] == [[0.5, -0.25], [1.0, 2.0]]
    assert {x.sampling_rate_hz for x in recording.leads} == {250.0}


def test_utf16_is_read() -> None:
    assert table("I,II\n0.5,1\n", encoding="utf-16").leads[0].samples.tolist() == [0.5]


def test_empty_cells_are_missing_not_zero() -> None:
    recording = table("I,II,III\n1,,3\n,5,\nNA,8,9\n")
    assert [np.isnan(x.samples).tolist() for x in recording.leads] == [
        [False, True, True],
        [True, False, False],
        [False, True, False],
    ]
    assert any("empty cells" in x for x in recording.warnings)


def test_header_states_rate_and_units() -> None:
    recording = table("time (ms),I (uV),II [mV]\n0,500,1\n4,250,2\n8,125,3\n", ReadOptions())
    assert [x.name for x in recording.leads] == ["I", "II"]
    assert recording.leads[0].sampling_rate_hz == 250
    assert recording.leads[0].samples.tolist() == [0.5, 0.25, 0.125]
    assert recording.leads[1].samples.tolist() == [1, 2, 3]


def test_comment_states_rate() -> None:
    text = "# Sampling Rate (Hz):= 1000.00\n# Unit: mV\n1\n2\n3\n"
    recording = table(text, ReadOptions(leads=("II",)))
    assert recording.leads[0].sampling_rate_hz == 1000


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (ReadOptions(unit="mV"), "sampling_rate_hz"),
        (ReadOptions(sampling_rate_hz=500), "unit"),
        (ReadOptions(sampling_rate_hz=500, unit="mV"), "leads"),
    ],
)
def test_what_is_missing_is_named(options: ReadOptions, asked: str) -> None:
    with pytest.raises(MissingMetadata, match=f"state `{asked}`"):
        table("\n".join(["1"] * 20), options)


def test_a_guess_is_offered_but_not_applied() -> None:
    text = "I\n" + "\n".join(str(x) for x in range(-500, 500, 10))
    with pytest.raises(MissingMetadata, match="not applied: uV"):
        table(text, ReadOptions(sampling_rate_hz=500))
    with pytest.raises(MissingMetadata, match="not applied: I, II"):
        array(np.zeros((12, 100)), STATED)


@pytest.mark.parametrize(
    "text",
    ["time_s,I (mV)\n0,1\n0.004,2\n0.008,3\n", "# sampling frequency: 250\nI (mV)\n1\n2\n"],
)
def test_contradiction_is_refused(text: str) -> None:
    with pytest.raises(InvalidHeader, match="250 Hz"):
        table(text, ReadOptions(sampling_rate_hz=500))
    with pytest.raises(InvalidHeader, match="units"):
        table(text, ReadOptions(unit="uV"))


@pytest.mark.parametrize(
    "text", ["time_s,I (mV)\n0,1\n0.002,2\n0.004,3\n9,4\n", "time_s,I (mV)\n5,1\n4,2\n3,3\n"]
)
def test_uneven_times_are_refused(text: str) -> None:
    with pytest.raises(InvalidHeader):
        table(text, ReadOptions())


@pytest.mark.parametrize("text", ["I,II\n1,2\n3\n", "I,II\n1,2\n3,x\n", "I,II,III\n1,2\n3,4\n"])
def test_ragged_tables_are_refused(text: str) -> None:
    with pytest.raises(InvalidHeader):
        table(text)


def test_a_label_table_is_no_recording() -> None:
    with pytest.raises(UnknownFormat):
        table("file,label\nrec1,NORM\nrec2,MI\n")


def test_the_stated_leads_tell_the_axes() -> None:
    values = np.arange(24, dtype=np.int16).reshape(12, 2)
    options = ReadOptions(sampling_rate_hz=500, unit="uV", leads=STANDARD_12)
    across, down = array(values, options), array(values.T, options)
    assert across.leads[1].samples.tolist() == pytest.approx([0.002, 0.003])
    for a, b in zip(across.leads, down.leads, strict=True):
        assert a.samples.tolist() == b.samples.tolist()
    with pytest.raises(InvalidHeader, match="square"):
        array(np.zeros((12, 12)), options)
    with pytest.raises(InvalidHeader):
        array(np.zeros((11, 50)), options)


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 3, 4)), np.zeros(4, bool), np.zeros(4, complex), np.zeros((0, 12)), np.array(["a"])],
)
def test_arrays_that_are_no_ecg(values: np.ndarray) -> None:
    with pytest.raises(UnreadableFile):
        array(values, ReadOptions(sampling_rate_hz=500, unit="mV", leads=("I",)))


def test_infinite_values_are_missing() -> None:
    recording = array(
        np.array([1.0, np.inf, np.nan]), ReadOptions(sampling_rate_hz=1, unit="mV", leads=("I",))
    )
    assert np.isnan(recording.leads[0].samples).tolist() == [False, True, True]
    assert recording.warnings
