"""From a wish to a request: parse the table, join, split, and write down what decides the data set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PartSummary, Task
from exchangeai.join_report import JoinReport, ReportKind
from exchangeai.signal import PREPROCESSING_VERSION
from services.preprocess.columns import Columns, Dialect
from services.preprocess.findings import Findings
from services.preprocess.join import Joined, Rules, join
from services.preprocess.known import KnownRecordings
from services.preprocess.members import Member, Repeated
from services.preprocess.request import DatasetRequest, RequestedRecording, summarise, write_request
from services.preprocess.split import Shares, SplitBy, split
from services.preprocess.table import parse_table


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A data set as the caller describes it."""

    name: str
    table: bytes
    columns: Columns
    task: Task
    classes: tuple[str, ...]
    shares: Shares
    dialect: Dialect = field(default_factory=Dialect)
    repeated: Repeated = Repeated.LEAVE_OUT
    fewest_patients: int = 0
    keep_unlabelled: bool = False
    part_values: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request that has been written to a file, and what is told of it."""

    dataset_id: str
    request: DatasetRequest
    parts: tuple[PartSummary, ...]
    report: JoinReport
    """With the recordings that no row names, which do not decide the data set."""
    findings: Findings


def plan(wish: Wish, known: KnownRecordings, path: Path) -> Planned:
    """Write the request to `path`. Raises InvalidArgument for what cannot become a data set."""
    columns = wish.columns
    if wish.task is Task.REGRESSION and wish.classes:
        raise InvalidArgument("numeric targets are columns: name the columns, and no classes")
    if wish.task is not Task.MULTI_LABEL and wish.keep_unlabelled:
        raise InvalidArgument(
            "recordings without any class can be kept in a multi-label set only: elsewhere each has one label"
        )
    targets = columns.label_columns or (columns.label,)
    rules = Rules(
        task=wish.task,
        classes=targets if wish.task is Task.REGRESSION else wish.classes,
        repeated=wish.repeated,
        fewest_patients=wish.fewest_patients,
        keep_unlabelled=wish.keep_unlabelled,
    )
    joined, notes = _joined(wish, known, rules)
    by = SplitBy.COLUMN if columns.part else SplitBy.TIME if columns.time else SplitBy.PATIENT
    parts = split(
        joined.members,
        joined.classes,
        wish.shares,
        by,
        task=wish.task,
        part_of_value=wish.part_values,
    )
    report = replace(joined.report, notes=notes)
    ordered = _in_order(joined.members, parts)
    request = DatasetRequest(
        name=wish.name,
        task=wish.task,
        classes=joined.classes,
        recordings=len(joined.members),
        seed=wish.shares.seed,
        preprocessing_version=PREPROCESSING_VERSION,
        report=report,
        findings_sha256=joined.findings.digest(),
    )
    unnamed = joined.findings.count(ReportKind.UNMATCHED_RECORDING)
    told = {**report.counts, ReportKind.UNMATCHED_RECORDING.value: unnamed} if unnamed else report.counts
    return Planned(
        dataset_id=write_request(path, request, _requested(ordered)),
        request=request,
        parts=summarise(_requested(ordered), len(joined.classes), left_out=lambda _: False),
        report=replace(report, counts=told),
        findings=joined.findings,
    )


def _joined(wish: Wish, known: KnownRecordings, rules: Rules) -> tuple[Joined, tuple[str, ...]]:
    """What joining gave, and the notes of the table, whose rows are not held any longer."""
    table = parse_table(wish.table, wish.columns, wish.task, wish.dialect)
    return join(table.rows, known, rules), table.notes


def _in_order(members: Sequence[Member], parts: Mapping[str, str]) -> list[tuple[str, list[Member]]]:
    """The members of each part by id."""
    found: dict[str, list[Member]] = {part: [] for part in PARTS}
    for x in sorted(members, key=lambda x: x.recording_id):
        found[parts[x.recording_id]].append(x)
    return list(found.items())


def _requested(ordered: Iterable[tuple[str, Sequence[Member]]]) -> Iterator[RequestedRecording]:
    """The recordings in their order, made one by one: there may be a million."""
    for part, members in ordered:
        for x in members:
            yield RequestedRecording(
                row=x.row,
                recording_id=x.recording_id,
                patient_key=x.patient_key,
                part=part,
                labels=x.labels,
                values=tuple(None if math.isnan(v) else v for v in x.values) if x.values else (),
                sex=x.sex,
                age_years=x.age_years,
                device_model=x.device_model,
            )
