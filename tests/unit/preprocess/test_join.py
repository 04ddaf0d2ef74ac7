"""Joining label tables to recordings."""

from dataclasses import replace

import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.facts import RecordingFact, Task
from exchangeai.recording import Patient
from services.preprocess.join import Joined, Keys, join
from services.preprocess.table import LabelRow

KEYS = Keys(name=lambda x: f"n:{x}", patient=lambda x: f"p:{x}")


def recording(number: int, *names: str, patient: str | None = None) -> RecordingFact:
    return RecordingFact(
        recording_id=f"{number:064x}",
        name_keys=tuple(KEYS.name(x) for x in names),
        patient=Patient(patient_key=patient, sex="F", age_years=50),
    )


RECORDINGS = [
    recording(1, "a.hea", "a"),
    recording(2, "b.dcm", "b", patient="p:77"),
    replace(recording(3, "broken.edf", "broken"), error_reason="Truncated", error_message="..."),
    recording(4, "twice.csv", "twice"),
    recording(5, "twice.csv", "twice"),
]


def joined(*rows: tuple[str, str], task: Task = Task.MULTI_LABEL, classes: tuple[str, ...] = ()) -> Joined:
    table = [
        LabelRow(row=i, recording=name, labels=tuple(x for x in labels.split(";") if x))
        for i, (name, labels) in enumerate(rows, 1)
    ]
    return join(table, RECORDINGS, classes, task, KEYS)


@pytest.mark.parametrize("name", ["a.hea", "a", "records/00/a.hea", "C:\\ecg\\a", f"{1:064X}"])
def test_a_recording_is_found_by_id_or_name(name: str) -> None:
    assert joined((name, "MI")).members[0].recording_id == f"{1:064x}"


def test_what_did_not_fit_is_reported() -> None:
    result = joined(
        ("a", "MI;CD"),
        ("nobody", "MI"),
        ("b", "MI"),
        ("broken", "MI"),
        ("a.hea", "CD"),
        ("twice", "CD"),
        ("", "MI"),
    )
    report = result.report
    assert result.classes == ("MI", "CD")
    assert [x.labels for x in result.members] == [(0, 1), (0,)]
    assert (report.matched, report.unmatched, report.unmatched_rows) == (2, 2, (2, 7))
    assert report.duplicates == 1
    assert [(x.row, x.reason) for x in report.unusable] == [
        (4, "unreadable file: Truncated"),
        (6, "its name fits 2 recordings"),
    ]
    assert report.unknown_patients == 1
    assert result.members[0].patient_key == f"{1:064x}"
    assert result.members[1].patient_key == "p:77"


def test_the_patient_of_the_table_comes_first() -> None:
    row = LabelRow(row=1, recording="b", labels=("MI",), patient="88")
    assert join([row], RECORDINGS, (), Task.MULTI_LABEL, KEYS).members[0].patient_key == "p:88"


def test_chosen_classes_keep_their_order_and_leave_others_out() -> None:
    result = joined(("a", "NORM"), ("b", "MI;X"), classes=("X", "MI"))
    assert result.classes == ("X", "MI")
    assert [x.labels for x in result.members] == [(0, 1)]
    assert result.report.without_label == 1


def test_single_label_rows_with_two_classes_are_unusable() -> None:
    result = joined(("a", "MI;CD"), ("b", "MI"), task=Task.SINGLE_LABEL)
    assert [x.row for x in result.members] == [2]
    assert result.report.unusable[0].row == 1


def test_nothing_left_says_how_many_and_what_next() -> None:
    with pytest.raises(
        InvalidArgument, match=r"of 2 rows .* 1 name no known recording.*row 2: unreadable.*Upload"
    ):
        joined(("nobody", "MI"), ("broken", "MI"))


def test_a_column_of_free_text_is_no_class() -> None:
    many = [recording(100 + i, f"r{i}") for i in range(1001)]
    rows = [LabelRow(row=i, recording=f"r{i}", labels=(f"text {i}",)) for i in range(1001)]
    with pytest.raises(InvalidArgument, match="1001 different labels"):
        join(rows, many, (), Task.MULTI_LABEL, KEYS)
