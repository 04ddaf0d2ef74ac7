"""Join the rows of a label table to recordings, by id or by the keyed hash of a file name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exchangeai.errors import InvalidArgument
from exchangeai.facts import JoinReport, RecordingFact, RowProblem, Task
from exchangeai.recording import Sex
from services.preprocess.table import LabelRow

MAX_LISTED = 1000
"""How many row numbers or problems a report lists; the counts are of all."""
MAX_CLASSES = 1000
_SHOWN_PROBLEMS = 5

KeyOf = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A row that found its recording."""

    row: int
    recording_id: str
    labels: tuple[int, ...]
    """Indices of the classes that hold, ascending."""
    patient_key: str
    part: str = ""
    """As given in the table, not yet checked; empty when there is no such column."""
    sex: Sex | None = None
    age_years: int | None = None


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Rows with recordings, the classes and how it went."""

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    report: JoinReport


@dataclass(frozen=True, kw_only=True)
class Keys:
    """How names become keys; the secret is bound in."""

    name: KeyOf
    patient: KeyOf


def join(
    rows: Sequence[LabelRow],
    recordings: Iterable[RecordingFact],
    classes: Sequence[str],
    task: Task,
    keys: Keys,
) -> Joined:
    """Find each row's recording, patient and labels.

    A row names its recording by id, or by a file name with or without suffix and folders. The patient is
    the one of the table, else of the recording, else the recording counts as a patient of its own.
    `classes` empty: all labels of joined rows, most frequent first. Raises InvalidArgument when nothing is
    left, with the counts and the first problems.
    """
    found = _Catalogue(recordings, keys.name)
    problems: list[RowProblem] = []
    unmatched: list[int] = []
    matched: list[tuple[LabelRow, RecordingFact]] = []
    seen: set[str] = set()
    duplicates = 0
    for row in rows:
        candidates = found.named(row.recording)
        if not candidates:
            unmatched.append(row.row)
        elif len(candidates) > 1:
            problems.append(RowProblem(row=row.row, reason=f"its name fits {len(candidates)} recordings"))
        elif candidates[0].recording_id in seen:
            duplicates += 1
        elif not candidates[0].readable:
            problems.append(RowProblem(row=row.row, reason=f"unreadable file: {candidates[0].error_reason}"))
        else:
            seen.add(candidates[0].recording_id)
            matched.append((row, candidates[0]))
    chosen = tuple(classes) or _all_classes(row for row, _ in matched)
    index = {name: i for i, name in enumerate(chosen)}
    members: list[Member] = []
    without_label = unknown_patients = 0
    for row, recording in matched:
        labels = tuple(sorted(index[x] for x in row.labels if x in index))
        if not labels:
            without_label += 1
            continue
        if task is Task.SINGLE_LABEL and len(labels) > 1:
            problems.append(
                RowProblem(row=row.row, reason="several classes hold, but the task is single-label")
            )
            continue
        patient = keys.patient(row.patient) if row.patient else recording.patient.patient_key
        unknown_patients += patient is None
        members.append(
            Member(
                row=row.row,
                recording_id=recording.recording_id,
                labels=labels,
                patient_key=patient or recording.recording_id,
                part=row.part,
                sex=recording.patient.sex,
                age_years=recording.patient.age_years,
            )
        )
    report = JoinReport(
        matched=len(matched),
        unmatched_rows=tuple(unmatched[:MAX_LISTED]),
        unmatched=len(unmatched),
        unusable=tuple(sorted(problems, key=lambda x: x.row)[:MAX_LISTED]),
        without_label=without_label,
        duplicates=duplicates,
        unknown_patients=unknown_patients,
    )
    if not members:
        raise InvalidArgument(_nothing_left(len(rows), report))
    return Joined(members=tuple(members), classes=chosen, report=report)


class _Catalogue:
    """Recordings by id and by the keys of their file names."""

    def __init__(self, recordings: Iterable[RecordingFact], name_key: KeyOf) -> None:
        self._name_key = name_key
        self._by_id: dict[str, RecordingFact] = {}
        self._by_name: dict[str, dict[str, RecordingFact]] = {}
        for x in recordings:
            self._by_id[x.recording_id] = x
            for key in x.name_keys:
                self._by_name.setdefault(key, {})[x.recording_id] = x

    def named(self, cell: str) -> list[RecordingFact]:
        """All recordings that the cell may mean; a readable one hides unreadable ones of the same name."""
        if not cell:
            return []
        if cell.lower() in self._by_id:
            return [self._by_id[cell.lower()]]
        base = cell.replace("\\", "/").rpartition("/")[2]
        for name in dict.fromkeys((cell, base)):
            fits = list(self._by_name.get(self._name_key(name), {}).values())
            if fits:
                return [x for x in fits if x.readable] or fits[:1]
        return []


def _all_classes(rows: Iterable[LabelRow]) -> tuple[str, ...]:
    counts = Counter(label for row in rows for label in row.labels)
    if len(counts) > MAX_CLASSES:
        raise InvalidArgument(
            f"the label column holds {len(counts)} different labels; at most {MAX_CLASSES} can be classes: "
            "is it the right column? Otherwise name the classes to keep"
        )
    return tuple(sorted(counts, key=lambda x: (-counts[x], x)))


def _nothing_left(rows: int, report: JoinReport) -> str:
    parts = [f"{report.unmatched} name no known recording"]
    if report.unusable:
        first = "; ".join(f"row {x.row}: {x.reason}" for x in report.unusable[:_SHOWN_PROBLEMS])
        parts.append(f"{len(report.unusable)} cannot be used ({first})")
    if report.without_label:
        parts.append(f"{report.without_label} have none of the classes")
    shown = ", ".join(str(x) for x in report.unmatched_rows[:_SHOWN_PROBLEMS])
    hint = (
        f" (first rows: {shown}). Upload the files first; the column must hold recording ids or the names of "
        "the uploaded files"
        if report.unmatched
        else ""
    )
    return f"of {rows} rows of the label table none can be used: {', '.join(parts)}{hint}"
