"""Judge what rows say of each recording: repetitions, contradictions, equal signals, rare classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from exchangeai.facts import Task
from exchangeai.join_report import ReportKind
from exchangeai.recording import Sex
from services.preprocess.findings import Findings
from services.preprocess.known import KnownRecordings

RARE_PATIENTS = 10
KEPT = "kept, as a recording in which none of the classes holds"
"""Classes with fewer patients are reported as rare: no metric on them has a useful interval."""
_SHOWN_ROWS = 5


class Repeated(StrEnum):
    """What rows that say different things of one recording mean."""

    LEAVE_OUT = "leave_out"
    """They contradict one another: the recording is left out."""
    UNION = "union"
    """The table has one row for each label: the labels are put together."""
    FIRST = "first"
    """The first row holds."""


class Member(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A recording with what a row says of it."""

    row: int
    recording_id: str
    labels: tuple[int, ...] = ()
    """Indices of the classes that hold, ascending."""
    values: tuple[float, ...] = ()
    """Numeric targets; NaN = no value."""
    patient_key: str
    part: str = ""
    """As given in the table, not yet checked; empty when there is no such column."""
    time_s: float | None = None
    sex: Sex | None = None
    age_years: int | None = None
    device_model: str | None = None


def one_each(members: Sequence[Member], repeated: Repeated, findings: Findings) -> list[Member]:
    """One member for each recording, in the order of its first row."""
    groups = _grouped(members, lambda x: x.recording_id)
    kept: list[Member] = []
    for first, others in groups:
        one: Member | None = first
        alike = all(_said(x) == _said(first) for x in others)
        if not alike and repeated is Repeated.LEAVE_OUT:
            one = None
            rows = ", ".join(str(x.row) for x in (first, *others)[:_SHOWN_ROWS])
            for x in (first, *others):
                detail = f"rows {rows} say different things of one recording; it is left out"
                findings.add(ReportKind.CONTRADICTORY, row=x.row, recording_id=x.recording_id, detail=detail)
        elif not alike and repeated is Repeated.UNION:
            one = _union(first, others, findings)
        else:
            for x in others:
                findings.add(
                    ReportKind.REPEATED_ROW,
                    row=x.row,
                    recording_id=x.recording_id,
                    detail=f"row {first.row} names the same recording"
                    + ("" if _said(x) == _said(first) else " and says something else; that row holds"),
                )
        if one is not None:
            kept.append(one)
    return kept


def _union(first: Member, others: Sequence[Member], findings: Findings) -> Member | None:
    """The labels of all rows, when they agree in the rest."""
    if any(
        (x.patient_key, x.part, x.values) != (first.patient_key, first.part, first.values) for x in others
    ):
        for x in (first, *others):
            findings.add(
                ReportKind.CONTRADICTORY,
                row=x.row,
                recording_id=x.recording_id,
                detail="rows give one recording several patients, parts or values; it is left out",
            )
        return None
    return replace(first, labels=tuple(sorted({c for x in (first, *others) for c in x.labels})))


def single(members: Sequence[Member], task: Task, findings: Findings) -> list[Member]:
    """For single-label tasks, members of exactly one class."""
    kept: list[Member] = []
    for x in members:
        if task is Task.SINGLE_LABEL and len(x.labels) > 1:
            detail = "several classes hold, but the task is single-label"
            findings.add(ReportKind.UNUSABLE, row=x.row, recording_id=x.recording_id, detail=detail)
        else:
            kept.append(x)
    return kept


def one_signal_each(members: Sequence[Member], known: KnownRecordings, findings: Findings) -> list[Member]:
    """One member for each ECG, so that none is in two parts under two files."""
    kept: list[Member] = []
    for first, others in _grouped(members, lambda x: known.signal_of(x.recording_id)):
        if all((x.labels, repr(x.values)) == (first.labels, repr(first.values)) for x in others):
            kept.append(first)
            for x in others:
                findings.add(
                    ReportKind.SAME_SIGNAL,
                    row=x.row,
                    recording_id=x.recording_id,
                    detail=f"shows the same ECG as row {first.row}, which is kept",
                )
            continue
        for x in (first, *others):
            findings.add(
                ReportKind.CONTRADICTORY,
                row=x.row,
                recording_id=x.recording_id,
                detail="two files show the same ECG and have different labels; both are left out",
            )
    return kept


def common_enough(
    members: Sequence[Member], classes: Sequence[str], fewest: int, findings: Findings, *, keep: bool
) -> tuple[list[Member], tuple[str, ...]]:
    """Report rare classes; without those of fewer patients than wanted."""
    patients: dict[int, set[str]] = defaultdict(set)
    for x in members:
        for c in x.labels:
            patients[c].add(x.patient_key)
    dropped = {c for c in range(len(classes)) if len(patients[c]) < fewest}
    for c, name in enumerate(classes):
        if len(patients[c]) < max(RARE_PATIENTS, fewest):
            told = f"{name!r} has {len(patients[c])} patients" + ("; left out" if c in dropped else "")
            findings.add(ReportKind.RARE_CLASS, detail=told)
    if not dropped:
        return list(members), tuple(classes)
    left = [c for c in range(len(classes)) if c not in dropped]
    place = {c: i for i, c in enumerate(left)}
    kept: list[Member] = []
    for x in members:
        labels = tuple(place[c] for c in x.labels if c in place)
        if labels or keep:
            kept.append(replace(x, labels=labels))
        if x.labels and not labels:
            findings.add(
                ReportKind.WITHOUT_LABEL,
                row=x.row,
                recording_id=x.recording_id,
                detail="all its classes are too rare" + (f"; {KEPT}" if keep else ""),
            )
    return kept, tuple(classes[c] for c in left)


def _grouped(
    members: Sequence[Member], key: Callable[[Member], str]
) -> Iterator[tuple[Member, Sequence[Member]]]:
    """(first, others) of each key, by the first's place; lists are made only where there are others."""
    firsts: dict[str, Member] = {}
    others: dict[str, list[Member]] = defaultdict(list)
    for x in members:
        of = key(x)
        if firsts.setdefault(of, x) is not x:
            others[of].append(x)
    for of, first in firsts.items():
        yield first, others.get(of, ())


def _said(x: Member) -> tuple[object, ...]:
    """What a row says of its recording; `repr` because a missing value must equal a missing value."""
    return x.labels, repr(x.values), x.patient_key, x.part, x.time_s
