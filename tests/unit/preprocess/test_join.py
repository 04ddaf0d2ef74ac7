"""Joining label tables to recordings."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.facts import LeadFact, RecordingFact, Task
from exchangeai.join_report import ReportKind
from exchangeai.recording import Patient
from services.preprocess.join import Joined, Rules, join
from services.preprocess.known import Keys, KnownRecordings
from services.preprocess.members import Repeated
from services.preprocess.table import LabelRow

KEYS = Keys(name=lambda x: hashlib.sha256(x.encode()).hexdigest(), patient=lambda x: f"p:{x}")


def recording(number: int, *names: str, patient: str | None = None) -> RecordingFact:
    return RecordingFact(
        recording_id=f"{number:064x}",
        name_keys=tuple(KEYS.name(x) for x in names),
        patient=Patient(patient_key=patient, sex="F", age_years=50),
        device_model="Cart 1",
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
    return join(table, KnownRecordings(KEYS, RECORDINGS), Rules(task=task, classes=classes))


@pytest.mark.parametrize("name", ["a.hea", "a", "records/00/a.hea", "C:\\ecg\\a", f"{1:064X}"])
def test_a_recording_is_found_by_id_or_name(name: str) -> None:
    assert joined((name, "MI")).members[0].recording_id == f"{1:064x}"


def test_stored_facts_are_taken_replaced_and_forgotten() -> None:
    known = KnownRecordings(KEYS, RECORDINGS)
    renamed = replace(recording(1, "c"), leads=(LeadFact(name="I", sampling_rate_hz=500.0, sample_count=9),))
    known.take(renamed.recording_id, msgspec.json.encode(renamed))
    assert not known.named("a")
    assert [x.recording_id for x in known.named("c")] == [f"{1:064x}"]
    assert [x.sex for x in known.of_patient("77")] == ["F"]
    assert [x.device_model for x in known.of_patient("77")] == ["Cart 1"]
    known.take(f"{2:064x}", None)
    assert not known.named("b.dcm")
    assert not known.named(f"{2:064x}")
    assert not known.of_patient("77")


def test_what_did_not_fit_is_reported() -> None:
    result = joined(
        ("a", "MI;CD"),
        ("nobody", "MI"),
        ("b", "MI"),
        ("broken", "MI"),
        ("a.hea", "CD;MI"),
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
    assert (
        join([row], KnownRecordings(KEYS, RECORDINGS), Rules(task=Task.MULTI_LABEL)).members[0].patient_key
        == "p:88"
    )


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
        join(rows, KnownRecordings(KEYS, many), Rules(task=Task.MULTI_LABEL))


def judged(
    rows: list[LabelRow],
    recordings: list[RecordingFact] | None = None,
    task: Task = Task.MULTI_LABEL,
    **rules: object,
) -> Joined:
    known = KnownRecordings(KEYS, RECORDINGS if recordings is None else recordings)
    return join(rows, known, Rules(task=task, **rules))  # type: ignore[arg-type]


def row(number: int, name: str, *labels: str, patient: str = "", values: tuple[float, ...] = ()) -> LabelRow:
    return LabelRow(row=number, recording=name, labels=labels, patient=patient, values=values)


def lines(result: Joined, kind: ReportKind) -> list[str]:
    content = dict(result.findings.files()).get(kind, b"").decode("utf-8-sig")
    return content.splitlines()[1:]


CONTRADICTING = [row(1, "a", "MI"), row(2, "b", "CD"), row(3, "a.hea", "CD")]


def test_contradicting_rows_leave_their_recording_out_and_are_listed() -> None:
    result = judged(CONTRADICTING)
    assert [x.row for x in result.members] == [2]
    listed = lines(result, ReportKind.CONTRADICTORY)
    assert [x.partition(",")[0] for x in listed] == ["1", "3"]
    assert "rows 1, 3 say different things" in listed[0]
    assert result.report.counts[ReportKind.CONTRADICTORY] == 2
    assert [x.row for x in result.report.unusable] == [1, 3]


def test_contradictions_may_be_united_or_the_first_may_hold() -> None:
    united = judged(CONTRADICTING, repeated=Repeated.UNION)
    assert [(x.row, x.labels) for x in united.members] == [(1, (0, 1)), (2, (0,))]
    assert united.classes == ("CD", "MI")
    first = judged(CONTRADICTING, repeated=Repeated.FIRST)
    assert [(x.row, x.labels) for x in first.members] == [(1, (1,)), (2, (0,))]
    assert "that row holds" in lines(first, ReportKind.REPEATED_ROW)[0]
    two_patients = [row(1, "a", "MI", patient="1"), row(2, "a", "CD", patient="2"), row(3, "b", "CD")]
    assert len(judged(two_patients, repeated=Repeated.UNION).members) == 1


def test_one_ecg_in_two_files_counts_once_and_contradicts_itself() -> None:
    again = replace(recording(7, "copy"), same_signal_as=f"{1:064x}")
    recordings = [*RECORDINGS, again]
    same = judged([row(1, "copy", "MI"), row(2, "a", "MI"), row(3, "b", "CD")], recordings)
    assert [x.row for x in same.members] == [1, 3]
    assert lines(same, ReportKind.SAME_SIGNAL) == [f'2,{1:064x},"shows the same ECG as row 1, which is kept"']
    other = judged([row(1, "copy", "CD"), row(2, "a", "MI"), row(3, "b", "CD")], recordings)
    assert [x.row for x in other.members] == [3]
    assert len(lines(other, ReportKind.CONTRADICTORY)) == 2


def test_rows_of_patients_say_it_of_all_their_recordings() -> None:
    recordings = [recording(i, f"r{i}", patient=KEYS.patient(str(i // 2))) for i in range(4)]
    result = judged([row(1, "", "MI", patient="0"), row(2, "", "CD", patient="9")], recordings)
    assert [(x.row, int(x.recording_id, 16)) for x in result.members] == [(1, 0), (1, 1)]
    assert result.report.unmatched_rows == (2,)
    assert {x.patient_key for x in result.members} == {KEYS.patient("0")}


def test_recordings_that_no_row_names_are_listed_but_do_not_decide() -> None:
    rows = [row(1, "a", "MI"), row(2, "b", "CD")]
    few, more = judged(rows, RECORDINGS[:2]), judged(rows)
    assert lines(few, ReportKind.UNMATCHED_RECORDING) == []
    assert len(lines(more, ReportKind.UNMATCHED_RECORDING)) == 2  # the unreadable one is not usable anyway
    assert few.findings.digest() == more.findings.digest()
    assert few.report == more.report


def test_rare_classes_are_told_and_left_out_when_asked() -> None:
    many = [recording(100 + i, f"r{i}") for i in range(30)]
    rows = [row(i, f"r{i}", *(["X"] if i < 2 else ["A"]), *(["B"] if i % 2 else [])) for i in range(30)]
    told = judged(rows, many)
    assert told.classes == ("A", "B", "X")
    assert lines(told, ReportKind.RARE_CLASS) == [",,'X' has 2 patients"]
    without = judged(rows, many, fewest_patients=3)
    assert without.classes == ("A", "B")
    assert [x.row for x in without.members][:2] == [1, 2]  # row 0 had only X
    assert "left out" in lines(without, ReportKind.RARE_CLASS)[0]


def test_numeric_targets_are_joined_and_rows_without_any_are_told() -> None:
    nan = float("nan")
    rows = [row(1, "a", values=(1.5, nan)), row(2, "b", values=(nan, nan)), row(3, "a", values=(1.5, nan))]
    result = judged(rows, task=Task.REGRESSION, classes=("ef", "k"))
    assert [x.values[0] for x in result.members] == [1.5]
    assert (result.report.without_label, result.report.duplicates) == (1, 1)


def test_a_row_with_a_problem_is_told() -> None:
    bad = LabelRow(row=1, recording="a", problem="its 'MI' says neither yes nor no")
    assert judged([bad, row(2, "b", "CD")]).report.unusable[0].reason == "its 'MI' says neither yes nor no"


def test_reports_hold_no_names() -> None:
    result = judged([row(1, "secret.hea", "MI", patient="Jane"), row(2, "b", "CD", patient="Joe")])
    everything = b"".join(content for _, content in result.findings.files())
    assert b"secret" not in everything
    assert b"Jane" not in everything


def test_recordings_without_any_class_may_be_kept() -> None:
    rows = [row(1, "a", "MI"), row(2, "b", "CD"), row(3, "c", "OTHER")]
    three = [*RECORDINGS[:2], recording(9, "c")]
    kept = judged(rows, three, classes=("MI", "CD"), keep_unlabelled=True)
    assert [(x.row, x.labels) for x in kept.members] == [(1, (0,)), (2, (1,)), (3, ())]
    assert "kept" in lines(kept, ReportKind.WITHOUT_LABEL)[0]
    dropped = judged(rows, three, classes=("MI", "CD"))
    assert [x.row for x in dropped.members] == [1, 2]
    rare = judged(rows, three, classes=("MI", "CD"), keep_unlabelled=True, fewest_patients=2)
    assert rare.classes == ()
