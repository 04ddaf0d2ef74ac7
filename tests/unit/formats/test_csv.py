"""Text tables as programs and devices write them, and texts that are none."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from exchangeai.errors import InvalidHeader, MissingMetadata, Truncated, UnknownFormat
from exchangeai.formats import ReadOptions, ReadResult, read_records
from exchangeai.leads import STANDARD_12

STATED = ReadOptions(sampling_rate_hz=250, unit="mV")
UNIT = ReadOptions(unit="mV")
ROWS = [(4 * i, round(i / 8, 3), round(-i / 4, 3)) for i in range(24)]
APPLE = (
    'Name,Jane Roe\nDate of Birth,"Jan 1, 1980"\nRecorded Date,2019-01-02 03:04:05 +0100\n'
    "Classification,Sinus Rhythm\nSymptoms,\nSoftware Version,1.9\nDevice,Apple Watch\n"
    "Sample Rate,511.5 hertz\n\n\nLead,Lead I\nUnit,µV\n\n-12.5\n25\n37.5\n"
)
OPENSIGNALS = (
    "# OpenSignals Text File Format\n"
    '# {"00:07": {"sensor": ["ECG"], "column": ["nSeq", "DI", "CH1"], '
    '"sampling rate": 1000, "label": ["CH1"]}}\n'
    "# EndOfHeader\n0\t0\t500\t\n1\t0\t501\t\n2\t1\t502\t\n"
)


def result(text: str | bytes, options: ReadOptions = STATED) -> ReadResult:
    data = text.encode() if isinstance(text, str) else text
    return read_records({"t": data}, options)[0]


def rows(pattern: str, header: str = "", end: str = "\n") -> str:
    return header + end.join(pattern.format(*x) for x in ROWS) + end


@pytest.mark.parametrize(
    "text",
    [
        rows("{1}|{2}", "I|II\n"),
        rows("{1};{2}", "I;II\n").replace(".", ","),
        rows("{1}\t{2}", "I\tII\n").replace(".", ","),
        rows('"{1}","{2}"', '"I","II"\n').replace(".", ","),
        rows("  {1:>8}   {2:>8}", "       I         II\n"),
        rows("{1}, {2}", "I, II\n"),
        rows("{1},{2},", "I,II,\n"),
        rows("{1},{2},", "I,II\n"),
        rows("{1},{2}", "I,II\r", "\r"),
        rows("{1};{2}", "I;II\n").encode("utf-16"),
        rows("{1};{2}", "I;II\n").encode("utf-16-le"),
        rows("{1};{2}", "I;II\n").encode("utf-16-be"),
        rows("{1};{2}", "# Gerät\nI;II\n").encode("latin-1"),
        rows("{1},{2}", "# I,II\n"),
        rows("{1},{2}", "// made today\n% by hand\nI,II\n"),
        rows("{1},{2},note", "I,II,remark\n"),
        "\n".join(f'"{i + 1}" {x[1]} {x[2]}' for i, x in enumerate(ROWS)).join(['"I" "II"\n', "\n"]),
        "\n".join(f"{i},{x[1]},{x[2]}" for i, x in enumerate(ROWS)).join([",I,II\n", "\n"]),
        "\n".join(f"{i},{x[1]},{x[2]}" for i, x in enumerate(ROWS)).join(["sample #,I,II\n", "\n"]),
    ],
)
def test_spellings_of_one_table(text: str | bytes) -> None:
    recording = result(text).recording
    assert recording.lead_names == ("I", "II")
    assert recording.signal("I").tolist() == [x[1] for x in ROWS]
    assert recording.signal("II").tolist() == [x[2] for x in ROWS]


@pytest.mark.parametrize("header", ["I\n", ""])
def test_one_column_with_decimal_commas(header: str) -> None:
    text = header + "0,005\n-0,250\n0,125\n"
    options = ReadOptions(sampling_rate_hz=250, unit="mV", leads=("I",))
    assert result(text, options).recording.signal("I").tolist() == pytest.approx([0.005, -0.25, 0.125])


@pytest.mark.parametrize(
    "text",
    [
        rows("{0},{1}", "time (ms),I (mV)\n"),
        rows("{0},{1}", "time_ms,I_mV\n"),
        "".join(f"{i / 250:.3f},{x[1]}\n" for i, x in enumerate(ROWS)).join(["Time [s],I [mV]\n", ""]),
        "".join(f"{i / 250:.3f};{x[1]}\n" for i, x in enumerate(ROWS)).join(["seconds;I (mV)\n", ""]),
        "".join(f"{i / 250:.3f},{x[1]}\n" for i, x in enumerate(ROWS)).join(["t,I (mV)\n", ""]),
        "".join(f"'0:{i / 250:06.3f}',{x[1]}\n" for i, x in enumerate(ROWS)).join(
            ["'Elapsed time','I'\n'hh:mm:ss.mmm','mV'\n", ""]
        ),
        "".join(f"2020-05-04T03:02:{i / 250:06.3f},{x[1]}\n" for i, x in enumerate(ROWS)).join(
            ["timestamp,I (mV)\n", ""]
        ),
        "".join(f"2020-05-04 03:02:{i / 250:09.6f}+02:00,{x[1]}\n" for i, x in enumerate(ROWS)).join(
            ["datetime,I (mV)\n", ""]
        ),
        rows("{1}", "# Sampling frequency = 250\nI (mV)\n"),
        rows("{1},{2}", "Sampling rate: 0.25 kHz\nUnit: mV\n\nI,II\n"),
        rows("{1},{2}", "Sampling interval: 4 ms\nI (mV),II (mV)\n"),
        rows("{1},{2}", "Sampling Rate,250\nI,II\nmV,mV\n"),
    ],
)
def test_the_file_states_its_rate(text: str) -> None:
    recording = result(text, ReadOptions()).recording
    assert recording.lead_names[0] == "I"
    assert recording.sampling_rate_hz("I") == 250
    assert recording.signal("I").tolist() == [x[1] for x in ROWS]


def test_rates_are_exact_though_times_are_rounded() -> None:
    rounded = "time_ms,I (mV)\n" + "".join(f"{round(1000 * i / 360)},1\n" for i in range(5000))
    assert result(rounded, ReadOptions()).recording.sampling_rate_hz("I") == 360
    interval = "time_us,I (mV)\n" + "".join(f"{1667 * i},1\n" for i in range(50))
    assert result(interval, ReadOptions()).recording.sampling_rate_hz("I") == 599.88


def test_times_without_a_unit_that_may_be_numbers_are_a_guess_only() -> None:
    text = rows("{0},{1}", "time,I\n")
    with pytest.raises(MissingMetadata, match="not applied: 250, if the times are milliseconds"):
        result(text, UNIT)
    recording = result(text, STATED).recording
    assert recording.lead_names == ("I",)
    assert any("states no unit" in x for x in recording.warnings)


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(MissingMetadata, match=r"`sampling_rate_hz`.*`unit`.*`leads`"):
        result(rows("{1},{2}"), ReadOptions())


def test_other_quantities_keep_their_unit() -> None:
    recording = result(
        rows("{1},{2},{0}", "I (uV),ABP (mmHg),Resp\n"), ReadOptions(sampling_rate_hz=250)
    ).recording
    assert [recording.unit(i) for i in range(3)] == ["mV", "mmHg", ""]
    assert recording.signal(0)[8] == pytest.approx(0.001)
    assert recording.signal("ABP")[8] == -2
    assert any("not a voltage by its name" in x for x in recording.warnings)


def test_raw_counts_count_as_stated() -> None:
    options = ReadOptions(sampling_rate_hz=250, unit="uV", unit_multiple=4.88)
    assert result("I (adu)\n100\n200\n", options).recording.signal("I").tolist() == pytest.approx(
        [0.488, 0.976]
    )
    with pytest.raises(InvalidHeader, match="units"):
        result("I (mV)\n1\n2\n", options)
    with pytest.raises(InvalidHeader, match="unit_multiple"):
        result("I (mV)\n1\n2\n", ReadOptions(sampling_rate_hz=250, unit_multiple=2))


def test_names_that_contradict_are_refused() -> None:
    table = rows("{1},{2}", "I,II\n")
    with pytest.raises(InvalidHeader, match="name the leads differently"):
        result(table, ReadOptions(sampling_rate_hz=250, unit="mV", leads=("II", "I")))
    renamed = ReadOptions(sampling_rate_hz=250, unit="mV", leads=("V1", "V2"))
    assert result(rows("{1},{2}", "ch1,ch2\n"), renamed).recording.lead_names == ("V1", "V2")


def test_two_rates_are_refused() -> None:
    with pytest.raises(InvalidHeader, match="250 Hz but it says 500 Hz"):
        result(rows("{0},{1}", "# fs: 500\ntime_ms,I (mV)\n"), ReadOptions())


def test_an_export_of_a_watch() -> None:
    found = result(APPLE, ReadOptions())
    recording = found.recording
    assert recording.lead_names == ("I",)
    assert recording.sampling_rate_hz("I") == 511.5
    assert recording.signal("I").tolist() == pytest.approx([-0.0125, 0.025, 0.0375])
    assert recording.device_statements == ("Sinus Rhythm",)
    assert (recording.acquisition_year, recording.device_model) == (2019, "Apple Watch")
    assert "Roe" not in repr(found)


def test_opensignals() -> None:
    recording = result(OPENSIGNALS, UNIT).recording
    assert recording.lead_names == ("CH1",)
    assert recording.signal("CH1").tolist() == [500, 501, 502]
    assert recording.sampling_rate_hz("CH1") == 1000


def test_the_patient_in_remarks() -> None:
    found = result("# Patient ID: 4711\n# Sex: F\n# Age: 93 years\nI,II\n1,2\n3,4\n")
    assert found.identifiers.patient_id == "4711"
    assert (found.recording.patient.sex, found.recording.patient.age_years) == ("F", 90)


@pytest.mark.parametrize("separator", [",", "\t", " "])
@pytest.mark.parametrize("samples", [300, 5000])
def test_one_row_a_lead(separator: str, samples: int) -> None:
    values = np.arange(12 * samples).reshape(12, samples) / 8
    text = "\n".join(separator.join(f"{x:.3f}" for x in row) for row in values)
    options = ReadOptions(sampling_rate_hz=500, unit="mV", leads=STANDARD_12)
    recording = result(text, options).recording
    assert recording.lead_names == STANDARD_12
    assert recording.signal("V6").tolist() == values[11].tolist()


def test_an_incomplete_last_row() -> None:
    text = "I,II\n1,2\n3,4\n5"
    recording = result(text).recording
    assert recording.signal("I").tolist() == [1, 3]
    assert any("truncated" in x for x in recording.warnings)
    with pytest.raises(Truncated):
        result(text, ReadOptions(sampling_rate_hz=250, unit="mV", strict=True))


def test_numbers_of_columns_are_no_samples() -> None:
    text = ",0,1\n" + "".join(f"{i},{x[1]},{x[2]}\n" for i, x in enumerate(ROWS))
    recording = result(text, ReadOptions(sampling_rate_hz=250, unit="mV", leads=("I", "II"))).recording
    assert recording.signal("II").tolist() == [x[2] for x in ROWS]


def test_long_lines_take_no_time() -> None:
    gap = " " * 60_000
    begin = time.monotonic()
    for text in (
        f"I{gap}x,II\n1,2\n3,4\n",
        f"# Age:{gap}x\nI,II\n1,2\n3,4\n",
        "_" * 60_000 + ",II\n1,2\n3,4\n",
    ):
        assert result(text).recording.signal("II").tolist() == [2, 4]
    assert time.monotonic() - begin < 5


def test_an_empty_line_in_one_column_is_a_missing_value() -> None:
    samples = result("I\n1\n\n3\n").recording.signal("I")
    assert np.isnan(samples).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "[\n 1, 2,\n 3, 4\n]",
        '{"a":\n1,\n2\n}',
        "<a>\n1 2\n3 4\n</a>",
        "A file of 2020.\n2021\nSee below.\nAnd so on.\n",
        "42\n",
        "    0:00.050       18     +    0    0    0\t(N\n    0:00.214       77     N    0    0    0\n",
        "ecg_id,age,sex\n1,34,0\n2,35,1\n",
        "patient_id,label\n1,0\n2,1\n",
        "file,label\na,NORM\nb,MI\n",
        "1,2\n3,4\n\0\0\0",
    ],
)
def test_texts_that_are_no_recording(text: str) -> None:
    with pytest.raises(UnknownFormat):
        result(text)


@pytest.mark.parametrize(
    "text",
    [
        "I,II\n1,2\n3,4,5\n6,7\n",
        "I,II\n1,2\nx,4\n5,6\n",
        "time_s,I\n0,1\n0.004,2\n0.9,3\n0.904,4\n",
        "timestamp,I\n2020-01-01T00:00:00.000,1\nyesterday,2\n2020-01-01T00:00:00.008,3\n",
    ],
)
def test_damaged_tables_are_refused(text: str) -> None:
    with pytest.raises(InvalidHeader):
        result(text)


def test_megabytes_take_no_python_loop() -> None:
    rng = np.random.default_rng(0)
    line = ",".join(f"{x:.3f}" for x in rng.normal(size=12))
    text = (",".join(f"{x} (mV)" for x in STANDARD_12) + "\n" + f"{line}\n" * 60_000).encode()
    begin = time.monotonic()
    recording = result(text, ReadOptions(sampling_rate_hz=500)).recording
    assert time.monotonic() - begin < 5
    assert recording.signal("V6").size == 60_000


def test_messages_hold_no_content() -> None:
    with pytest.raises(InvalidHeader) as caught:
        result("I,II\n1,2\nMarjorie,4\n5,6\n")
    assert not re.search("Marjorie", str(caught.value))
