"""Turns what the services answer into plain values."""

from __future__ import annotations

from exchangeai.facts import DatasetFact, DatasetState, PartSummary, Task
from exchangeai.join_report import JoinReport, RowProblem
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.v1 import (
    dataset_pb2,
    measurements_pb2,
    recording_pb2,
)
from services.ui.views import (
    RecordingView,
)

_SEX = {recording_pb2.SEX_FEMALE: "female", recording_pb2.SEX_MALE: "male"}
_VERDICT = {
    measurements_pb2.QUALITY_VERDICT_ANALYSABLE: Verdict.ANALYSABLE,
    measurements_pb2.QUALITY_VERDICT_LIMITED: Verdict.LIMITED,
}


def recording_view(r: recording_pb2.Recording) -> RecordingView:
    """A recording."""
    unreadable = r.state == recording_pb2.RECORDING_STATE_UNREADABLE
    failed = r.preprocessing_state == recording_pb2.PREPROCESSING_STATE_FAILED
    pending = r.preprocessing_state == recording_pb2.PREPROCESSING_STATE_PENDING
    age = r.patient.age_years if r.patient.HasField("age_years") else None
    return RecordingView(
        recording_id=r.recording_id,
        status="unreadable" if unreadable or failed else "pending" if pending else "read",
        format=r.format,
        leads=tuple(x.name for x in r.leads),
        rates_hz=tuple(x.sampling_rate_hz for x in r.leads),
        duration_s=r.duration_s,
        sex=_SEX.get(r.patient.sex, "—"),
        age="—" if age is None else "90+ y" if age >= 90 else f"{age} y",
        year=str(r.acquisition_year) if r.acquisition_year else "—",
        device=r.device_model or "—",
        warnings=tuple(r.warnings),
        same_signal_as=r.same_signal_as,
        reason=r.error.reason if unreadable else "NotPreprocessed" if failed else "",
        message=r.error.message if unreadable else r.preprocessing_error,
    )


def quality_view(q: measurements_pb2.Quality) -> Quality:
    """Signal quality."""
    return Quality(
        verdict=_VERDICT.get(q.verdict, Verdict.NOT_ANALYSABLE),
        reasons=tuple(q.reasons),
        leads=tuple(LeadQuality(lead=x.lead, flags=tuple(x.flags)) for x in q.leads),
        flags=tuple(q.flags),
        acceptable_probability=q.acceptable_probability if q.HasField("acceptable_probability") else None,
    )


TASKS = {
    Task.MULTI_LABEL: dataset_pb2.TASK_MULTI_LABEL,
    Task.SINGLE_LABEL: dataset_pb2.TASK_SINGLE_LABEL,
    Task.REGRESSION: dataset_pb2.TASK_REGRESSION,
}


def dataset_view(d: dataset_pb2.Dataset) -> DatasetFact:
    """A data set."""
    report = d.report
    return DatasetFact(
        dataset_id=d.dataset_id,
        name=d.name,
        state=DatasetState(_word(dataset_pb2.DatasetState.Name(d.state), "DATASET_STATE_")),
        task=next((ours for ours, theirs in TASKS.items() if theirs == d.task), Task.MULTI_LABEL),
        classes=tuple(d.classes),
        parts=tuple(
            PartSummary(
                part=p.part, recordings=p.recordings, patients=p.patients, positives=tuple(p.positives)
            )
            for p in d.parts
        ),
        report=JoinReport(
            matched=report.matched,
            unmatched_rows=tuple(report.unmatched_rows),
            unmatched=report.unmatched,
            unusable=tuple(RowProblem(row=u.row, reason=u.reason) for u in report.unusable),
            without_label=report.without_label,
            duplicates=report.duplicates,
            unknown_patients=report.unknown_patients,
            counts={
                _word(dataset_pb2.ReportKind.Name(x.kind), "REPORT_KIND_"): x.count for x in report.counts
            },
            notes=tuple(report.notes),
        ),
        progress=d.progress,
        error=d.error or None,
        created_at=d.created_at.ToMicroseconds() / 1e6,
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
