"""Join the rows of a label table to recordings, and judge what the rows say of each recording."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exchangeai.errors import InvalidArgument
from exchangeai.facts import Task
from exchangeai.join_report import JoinReport, ReportKind
from services.preprocess.findings import Findings
from services.preprocess.known import Known, KnownRecordings
from services.preprocess.members import (
    KEPT,
    Member,
    Repeated,
    common_enough,
    one_each,
    one_signal_each,
    single,
)
from services.preprocess.table import LabelRow

MAX_LISTED = 1000
"""How many row numbers or problems a report lists; the counts are of all, and so are the CSV files."""
MAX_CLASSES = 1000
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How rows are judged."""

    task: Task
    classes: tuple[str, ...] = ()
    """To keep, in this order; empty for all, most frequent first. For regression the names of the targets."""
    repeated: Repeated = Repeated.LEAVE_OUT
    fewest_patients: int = 0
    """Classes of fewer patients are left out; 0 keeps all."""
    keep_unlabelled: bool = False
    """Rows with none of the classes stay, as recordings in which none holds."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Recordings with labels, the classes and how it went."""

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    report: JoinReport
    findings: Findings


def join(rows: Sequence[LabelRow], known: KnownRecordings, rules: Rules) -> Joined:
    """Find each row's recordings, patient and labels.

    A row names its recording by id, or by a file name with or without suffix and folders; a table without
    such a column says of all recordings of its patient what its row says. The patient is the one of the
    table, else of the recording, else the recording counts as a patient of its own. Raises InvalidArgument
    when nothing is left, with the counts and the first problems.
    """
    findings = Findings()
    matched = _match(rows, known, findings)
    if rules.task is not Task.REGRESSION:
        chosen = rules.classes or _all_classes(x for x, _ in matched)
        members = _labelled(matched, chosen, known, findings, keep=rules.keep_unlabelled)
        members = one_each(members, rules.repeated, findings)
        members = single(members, rules.task, findings)
    else:
        chosen = rules.classes
        members = one_each(_valued(matched, known, findings), rules.repeated, findings)
    members = one_signal_each(members, known, findings)
    if rules.task is not Task.REGRESSION:
        members, chosen = common_enough(
            members, chosen, rules.fewest_patients, findings, keep=rules.keep_unlabelled
        )
    for x in members:
        if x.patient_key == x.recording_id:
            findings.add(ReportKind.UNKNOWN_PATIENT, row=x.row, recording_id=x.recording_id)
    report = _report(len(matched), findings)
    if not members:
        raise InvalidArgument(_nothing_left(len(rows), report))
    named = {x.recording_id for _, x in matched}
    for x in known:
        if x.error_reason is None and x.recording_id not in named:
            findings.add(ReportKind.UNMATCHED_RECORDING, recording_id=x.recording_id)
    return Joined(members=tuple(members), classes=tuple(chosen), report=report, findings=findings)


def _match(
    rows: Sequence[LabelRow], known: KnownRecordings, findings: Findings
) -> list[tuple[LabelRow, Known]]:
    matched: list[tuple[LabelRow, Known]] = []
    for row in rows:
        by_patient = not row.recording and bool(row.patient)
        candidates = known.of_patient(row.patient) if by_patient else known.named(row.recording)
        why = row.problem
        if not candidates:
            findings.add(ReportKind.UNMATCHED_ROW, row=row.row)
            continue
        if len(candidates) > 1 and not by_patient:
            why = f"its name fits {len(candidates)} recordings"
        elif candidates[0].error_reason is not None:
            why = f"unreadable file: {candidates[0].error_reason}"
        if why:
            findings.add(ReportKind.UNUSABLE, row=row.row, detail=why)
        else:
            matched.extend((row, x) for x in candidates)
    return matched


def _labelled(
    pairs: Iterable[tuple[LabelRow, Known]],
    classes: Sequence[str],
    known: KnownRecordings,
    findings: Findings,
    *,
    keep: bool,
) -> list[Member]:
    index = {name: i for i, name in enumerate(classes)}
    indices: dict[tuple[str, ...], tuple[int, ...]] = {}
    members: list[Member] = []
    for row, recording in pairs:
        labels = indices.get(row.labels)
        if labels is None:
            labels = indices[row.labels] = tuple(sorted({index[x] for x in row.labels if x in index}))
        if labels or keep:
            members.append(_member(row, recording, known, labels=labels))
        if not labels:
            findings.add(
                ReportKind.WITHOUT_LABEL,
                row=row.row,
                recording_id=recording.recording_id,
                detail=KEPT if keep else "",
            )
    return members


def _valued(
    pairs: Iterable[tuple[LabelRow, Known]], known: KnownRecordings, findings: Findings
) -> list[Member]:
    members: list[Member] = []
    for row, recording in pairs:
        if all(math.isnan(x) for x in row.values):
            findings.add(ReportKind.WITHOUT_LABEL, row=row.row, recording_id=recording.recording_id)
        else:
            members.append(_member(row, recording, known, values=row.values))
    return members


def _member(
    row: LabelRow,
    recording: Known,
    known: KnownRecordings,
    *,
    labels: tuple[int, ...] = (),
    values: tuple[float, ...] = (),
) -> Member:
    patient = known.patient_key(row.patient) if row.patient else recording.patient_key
    return Member(
        row=row.row,
        recording_id=recording.recording_id,
        labels=labels,
        values=values,
        patient_key=patient or recording.recording_id,
        part=row.part,
        time_s=row.time_s,
        sex=recording.sex,
        age_years=recording.age_years,
        device_model=recording.device_model,
    )


def _all_classes(rows: Iterable[LabelRow]) -> tuple[str, ...]:
    """The labels of rows, most frequent first; a row that speaks of several recordings comes repeatedly."""
    said: Counter[tuple[str, ...]] = Counter()
    last: LabelRow | None = None
    for row in rows:
        if row is not last:
            said[row.labels] += 1
        last = row
    counts: Counter[str] = Counter()
    for labels, n in said.items():
        counts.update(dict.fromkeys(labels, n))
    if len(counts) > MAX_CLASSES:
        raise InvalidArgument(
            f"the label column holds {len(counts)} different labels; at most {MAX_CLASSES} can be classes: "
            "is it the right column? Otherwise name the classes to keep"
        )
    return tuple(sorted(counts, key=lambda x: (-counts[x], x)))


def _report(matched: int, findings: Findings) -> JoinReport:
    problems = (ReportKind.UNUSABLE, ReportKind.CONTRADICTORY, ReportKind.SAME_SIGNAL)
    return JoinReport(
        matched=matched - findings.count(ReportKind.REPEATED_ROW),
        unmatched_rows=findings.rows(ReportKind.UNMATCHED_ROW, MAX_LISTED),
        unmatched=findings.count(ReportKind.UNMATCHED_ROW),
        unusable=findings.problems(problems, MAX_LISTED),
        without_label=findings.count(ReportKind.WITHOUT_LABEL),
        duplicates=findings.count(ReportKind.REPEATED_ROW),
        unknown_patients=findings.count(ReportKind.UNKNOWN_PATIENT),
        counts=findings.counts(),
    )


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
