"""Facts and values to messages, and back: the one place where a field has two names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from exchangeai.errors import InvalidArgument
from exchangeai.facts import (
    DatasetFact,
    DatasetState,
    DeletionFact,
    ModelFact,
    ModelState,
    PreprocessedFact,
    RecordingFact,
    SignatureVerdict,
    Task,
)
from exchangeai.formats import ReadOptions, Unit
from exchangeai.join_report import ReportKind
from exchangeai.measurements import Measurements, Quality, Verdict
from exchangeai.metrics import TestReport
from exchangeai.recording import Patient, Sex
from exchangeai.v1 import (
    dataset_pb2,
    ingest_service_pb2,
    measurements_pb2,
    metrics_pb2,
    model_pb2,
    recording_pb2,
)

if TYPE_CHECKING:
    # Only a name in signatures: ingest and preprocess have no onnx.
    from exchangeai.model_file import Manifest

_SEX: dict[Sex | None, recording_pb2.Sex] = {
    None: recording_pb2.SEX_UNSPECIFIED,
    "F": recording_pb2.SEX_FEMALE,
    "M": recording_pb2.SEX_MALE,
}
_VERDICT = {
    Verdict.ANALYSABLE: measurements_pb2.QUALITY_VERDICT_ANALYSABLE,
    Verdict.LIMITED: measurements_pb2.QUALITY_VERDICT_LIMITED,
    Verdict.NOT_ANALYSABLE: measurements_pb2.QUALITY_VERDICT_NOT_ANALYSABLE,
}
_TASK = {
    Task.MULTI_LABEL: dataset_pb2.TASK_MULTI_LABEL,
    Task.SINGLE_LABEL: dataset_pb2.TASK_SINGLE_LABEL,
    Task.REGRESSION: dataset_pb2.TASK_REGRESSION,
}
_DATASET_STATE = {
    DatasetState.QUEUED: dataset_pb2.DATASET_STATE_QUEUED,
    DatasetState.BUILDING: dataset_pb2.DATASET_STATE_BUILDING,
    DatasetState.READY: dataset_pb2.DATASET_STATE_READY,
    DatasetState.FAILED: dataset_pb2.DATASET_STATE_FAILED,
}
_REPORT_KIND: dict[ReportKind, dataset_pb2.ReportKind] = {
    ReportKind.UNMATCHED_ROW: dataset_pb2.REPORT_KIND_UNMATCHED_ROW,
    ReportKind.UNMATCHED_RECORDING: dataset_pb2.REPORT_KIND_UNMATCHED_RECORDING,
    ReportKind.UNUSABLE: dataset_pb2.REPORT_KIND_UNUSABLE,
    ReportKind.WITHOUT_LABEL: dataset_pb2.REPORT_KIND_WITHOUT_LABEL,
    ReportKind.REPEATED_ROW: dataset_pb2.REPORT_KIND_REPEATED_ROW,
    ReportKind.CONTRADICTORY: dataset_pb2.REPORT_KIND_CONTRADICTORY,
    ReportKind.SAME_SIGNAL: dataset_pb2.REPORT_KIND_SAME_SIGNAL,
    ReportKind.UNKNOWN_PATIENT: dataset_pb2.REPORT_KIND_UNKNOWN_PATIENT,
    ReportKind.RARE_CLASS: dataset_pb2.REPORT_KIND_RARE_CLASS,
    ReportKind.POOR_QUALITY: dataset_pb2.REPORT_KIND_POOR_QUALITY,
    ReportKind.NOT_PREPROCESSED: dataset_pb2.REPORT_KIND_NOT_PREPROCESSED,
}
_MODEL_STATE = {
    ModelState.QUARANTINED: model_pb2.MODEL_STATE_QUARANTINED,
    ModelState.APPROVED: model_pb2.MODEL_STATE_APPROVED,
    ModelState.DEPRECATED: model_pb2.MODEL_STATE_DEPRECATED,
}
_SIGNATURE = {
    SignatureVerdict.UNSIGNED: model_pb2.SIGNATURE_VERDICT_UNSIGNED,
    SignatureVerdict.TRUSTED: model_pb2.SIGNATURE_VERDICT_TRUSTED,
    SignatureVerdict.UNKNOWN_KEY: model_pb2.SIGNATURE_VERDICT_UNKNOWN_KEY,
}
_UNIT: dict[int, Unit] = {
    recording_pb2.UNIT_VOLT: "V",
    recording_pb2.UNIT_MILLIVOLT: "mV",
    recording_pb2.UNIT_MICROVOLT: "uV",
}


def recording_to_proto(fact: RecordingFact, preprocessed: PreprocessedFact | None) -> recording_pb2.Recording:
    """A recording with the state of its preprocessing."""
    message = recording_pb2.Recording(
        recording_id=fact.recording_id,
        state=recording_pb2.RECORDING_STATE_READABLE
        if fact.readable
        else recording_pb2.RECORDING_STATE_UNREADABLE,
        format=fact.format,
        leads=[
            recording_pb2.LeadInfo(
                name=x.name,
                sampling_rate_hz=x.sampling_rate_hz,
                sample_count=x.sample_count,
                unit=x.unit,
                derived=x.derived,
            )
            for x in fact.leads
        ],
        duration_s=fact.duration_s,
        patient=patient_to_proto(fact.patient),
        acquisition_year=fact.acquisition_year or 0,
        device_model=fact.device_model or "",
        warnings=fact.warnings,
        ingested_at=timestamp(fact.ingested_at),
        source_size_bytes=fact.source_size_bytes,
        preprocessing_state=preprocessing_state(fact, preprocessed),
        preprocessing_error=(preprocessed.error or "") if preprocessed else "",
        same_signal_as=fact.same_signal_as or "",
    )
    if fact.error_reason is not None:
        message.error.reason = fact.error_reason
        message.error.message = fact.error_message or ""
    return message


def deletion_to_proto(fact: DeletionFact) -> ingest_service_pb2.Deletion:
    """What is kept of a removed recording."""
    return ingest_service_pb2.Deletion(
        recording_id=fact.recording_id,
        deleted_at=timestamp(fact.deleted_at),
        dataset_ids=fact.dataset_ids,
        run_ids=fact.run_ids,
        model_keys=fact.model_keys,
    )


def preprocessing_state(
    fact: RecordingFact, preprocessed: PreprocessedFact | None
) -> recording_pb2.PreprocessingState:
    """How far preprocessing has come."""
    if not fact.readable:
        return recording_pb2.PREPROCESSING_STATE_UNSPECIFIED
    if preprocessed is None:
        return recording_pb2.PREPROCESSING_STATE_PENDING
    if preprocessed.error is not None:
        return recording_pb2.PREPROCESSING_STATE_FAILED
    return recording_pb2.PREPROCESSING_STATE_DONE


def patient_to_proto(patient: Patient) -> recording_pb2.Patient:
    """What is kept of a person."""
    return recording_pb2.Patient(
        sex=_SEX[patient.sex], age_years=patient.age_years, patient_key=patient.patient_key or ""
    )


def read_options_from_proto(message: recording_pb2.ReadOptions) -> ReadOptions:
    """What the caller states of files that do not say it themselves."""
    return ReadOptions(
        sampling_rate_hz=message.sampling_rate_hz or None,
        unit=_UNIT.get(message.unit),
        unit_multiple=message.unit_multiple or 1.0,
        leads=tuple(message.leads),
        strict=message.strict,
    )


def quality_to_proto(quality: Quality) -> measurements_pb2.Quality:
    """Signal quality."""
    return measurements_pb2.Quality(
        verdict=_VERDICT[quality.verdict],
        reasons=quality.reasons,
        leads=[measurements_pb2.LeadQuality(lead=x.lead, flags=x.flags) for x in quality.leads],
        flags=quality.flags,
        acceptable_probability=quality.acceptable_probability,
    )


def measurements_to_proto(measured: Measurements) -> measurements_pb2.Measurements:
    """Measurements; the message has the fields of the dataclass under the same names."""
    return json_format.ParseDict(msgspec.to_builtins(measured), measurements_pb2.Measurements())


def measurements_from_proto(message: measurements_pb2.Measurements) -> Measurements:
    """Measurements."""
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return msgspec.convert(fields, Measurements)


def task_from_proto(task: int) -> Task:
    """What labels are. Raises InvalidArgument when it is not said."""
    for ours, theirs in _TASK.items():
        if theirs == task:
            return ours
    raise InvalidArgument("the task is not set: choose multi-label, single-label or regression")


def report_kind_to_proto(kind: ReportKind) -> dataset_pb2.ReportKind:
    """What a report lists."""
    return _REPORT_KIND[kind]


def report_kind_from_proto(kind: dataset_pb2.ReportKind) -> ReportKind:
    """What a report lists. Raises InvalidArgument when it is not said."""
    if kind == dataset_pb2.REPORT_KIND_UNSPECIFIED:
        raise InvalidArgument("the kind of report is not set")
    return next(ours for ours, theirs in _REPORT_KIND.items() if theirs == kind)


def dataset_to_proto(fact: DatasetFact, test_looks: int = 0) -> dataset_pb2.Dataset:
    """A data set and how often its test part was looked at."""
    report = fact.report
    return dataset_pb2.Dataset(
        dataset_id=fact.dataset_id,
        name=fact.name,
        state=_DATASET_STATE[fact.state],
        task=_TASK[fact.task],
        classes=fact.classes,
        parts=[
            dataset_pb2.PartSummary(
                part=x.part, recordings=x.recordings, patients=x.patients, positives=x.positives
            )
            for x in fact.parts
        ],
        report=dataset_pb2.JoinReport(
            matched=report.matched,
            unmatched_rows=report.unmatched_rows,
            unmatched=report.unmatched,
            unusable=[dataset_pb2.RowProblem(row=x.row, reason=x.reason) for x in report.unusable],
            without_label=report.without_label,
            duplicates=report.duplicates,
            unknown_patients=report.unknown_patients,
            counts=[
                dataset_pb2.ReportCount(kind=report_kind_to_proto(ReportKind(kind)), count=count)
                for kind, count in report.counts.items()
            ],
            notes=report.notes,
        ),
        progress=fact.progress,
        error=fact.error or "",
        created_at=timestamp(fact.created_at),
        test_looks=test_looks,
    )


def report_to_proto(report: TestReport) -> metrics_pb2.TestReport:
    """Metrics on a test part; the message has the fields of the dataclass under the same names."""
    return json_format.ParseDict(msgspec.to_builtins(report), metrics_pb2.TestReport())


def report_from_proto(message: metrics_pb2.TestReport) -> TestReport:
    """Metrics on a test part."""
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    # Absent estimates are absent messages; JSON has 64-bit integers as texts.
    return msgspec.convert(fields, TestReport, strict=False)


def model_to_proto(fact: ModelFact, manifest: Manifest) -> model_pb2.Model:
    """A version of a model."""
    message = model_pb2.Model(
        name=fact.name,
        version=fact.version,
        digest=fact.digest,
        state=_MODEL_STATE[fact.state],
        task=_TASK[manifest.task],
        classes=[model_pb2.ModelClass(name=x.name, threshold=x.threshold) for x in manifest.classes],
        architecture=manifest.architecture,
        origin=fact.origin,
        licence=manifest.licence,
        intended_use=manifest.intended_use,
        created_at=timestamp(fact.created_at),
        signature=_SIGNATURE[fact.signature],
        signed_by=fact.signed_by,
    )
    if manifest.test is not None:
        message.test.CopyFrom(report_to_proto(manifest.test))
    return message


def timestamp(seconds: float) -> Timestamp:
    """Seconds since the epoch as a Timestamp, to the microsecond."""
    message = Timestamp()
    message.FromMicroseconds(round(seconds * 1e6))
    return message
