"""From a table to a request: what decides the id, and what bad tables are told."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.facts import RecordingFact, Task
from exchangeai.join_report import ReportKind
from services.preprocess.columns import Columns
from services.preprocess.known import Keys, KnownRecordings
from services.preprocess.plan import Planned, Wish, plan
from services.preprocess.request import StoredRequest
from services.preprocess.split import Shares

KEYS = Keys(name=lambda x: hashlib.sha256(x.encode()).hexdigest(), patient=lambda x: f"key-{x}")


def known(count: int) -> KnownRecordings:
    facts = [RecordingFact(recording_id=f"{i:064x}", name_keys=(KEYS.name(f"e{i}"),)) for i in range(count)]
    return KnownRecordings(KEYS, facts)


def wish(table: str, **changes: object) -> Wish:
    asked = Wish(
        name="n",
        table=table.encode(),
        columns=Columns(recording="file", label="label", patient="patient"),
        task=Task.MULTI_LABEL,
        classes=(),
        shares=Shares(validation=0.2, test=0.2, seed=1),
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def table(count: int, label: str = "AB") -> str:
    rows = "".join(f"e{i},{label[i % len(label)]},p{i // 2}\n" for i in range(count))
    return "file,label,patient\n" + rows


def planned(path: Path, asked: Wish, recordings: KnownRecordings) -> Planned:
    return plan(asked, recordings, path / "request")


def test_equal_wishes_are_one_data_set_whatever_else_is_known(tmp_path: Path) -> None:
    first = planned(tmp_path, wish(table(40)), known(40))
    more = planned(tmp_path, wish(table(40)), known(50))
    assert first.dataset_id == more.dataset_id
    assert first.dataset_id == hashlib.sha256((tmp_path / "request").read_bytes()).hexdigest()
    assert more.report.counts[ReportKind.UNMATCHED_RECORDING] == 10
    other = planned(tmp_path, wish(table(40) + "nobody,A,p1\n"), known(40))
    assert other.dataset_id != first.dataset_id


def test_a_request_reads_back_without_names(tmp_path: Path) -> None:
    made = planned(tmp_path, wish(table(40)), known(40))
    content = (tmp_path / "request").read_bytes()
    assert b"p3" not in content.replace(b"key-p3", b"")
    stored = StoredRequest(tmp_path / "request")
    assert stored.header == made.request
    recordings = list(stored.recordings())
    assert len(recordings) == 40
    assert sum(x.recordings for x in made.parts) == 40
    assert [x.part for x in made.parts] == ["train", "validation", "test"]


def test_numeric_targets_from_table_to_request(tmp_path: Path) -> None:
    text = "file;ef;k;patient\n" + "".join(f"e{i};{i},5;{'NA' if i % 3 else i};p{i}\n" for i in range(30))
    columns = Columns(recording="file", label_columns=("ef", "k"), patient="patient")
    made = planned(tmp_path, wish(text, columns=columns, task=Task.REGRESSION), known(30))
    assert made.request.classes == ("ef", "k")
    values = {x.recording_id: x.values for x in StoredRequest(tmp_path / "request").recordings()}
    assert values[f"{4:064x}"] == (4.5, None)
    assert sum(x.positives[1] for x in made.parts) == 10


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (wish("file,label\na,b\n"), "no column 'patient'"),
        (wish("file,label,patient\n"), "header but no rows"),
        (wish(""), "no column 'file'"),
        (wish(table(20, "A")), "nothing to tell it from"),
        (wish(table(4)), "at least 3 patients"),
        (wish(table(30), classes=("C",)), "have none of the classes"),
        (wish(table(30), task=Task.REGRESSION), "can be used.*no number"),
        (wish(table(30), task=Task.REGRESSION, classes=("A",)), "name no classes|no classes"),
        (
            wish(
                table(30),
                part_values={"1": "train"},
                columns=Columns(recording="file", label="label", part="patient"),
            ),
            "State which part",
        ),
    ],
    ids=[
        "column",
        "no rows",
        "empty",
        "one class",
        "patients",
        "no class",
        "text as number",
        "classes",
        "parts",
    ],
)
def test_bad_tables_say_what_why_and_what_next(tmp_path: Path, asked: Wish, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        planned(tmp_path, asked, known(40))


def test_duplicates_and_contradictions_are_verdicts(tmp_path: Path) -> None:
    text = table(40) + "e0,A,p0\ne1,A,p0\n"
    made = planned(tmp_path, wish(text), known(40))
    counts = made.report.counts
    assert (counts[ReportKind.REPEATED_ROW], counts[ReportKind.CONTRADICTORY]) == (1, 2)
    assert made.request.recordings == 39
