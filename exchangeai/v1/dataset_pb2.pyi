import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DatasetState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_STATE_UNSPECIFIED: _ClassVar[DatasetState]
    DATASET_STATE_QUEUED: _ClassVar[DatasetState]
    DATASET_STATE_BUILDING: _ClassVar[DatasetState]
    DATASET_STATE_READY: _ClassVar[DatasetState]
    DATASET_STATE_FAILED: _ClassVar[DatasetState]

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_MULTI_LABEL: _ClassVar[Task]
    TASK_SINGLE_LABEL: _ClassVar[Task]
    TASK_REGRESSION: _ClassVar[Task]

class ReportKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPORT_KIND_UNSPECIFIED: _ClassVar[ReportKind]
    REPORT_KIND_UNMATCHED_ROW: _ClassVar[ReportKind]
    REPORT_KIND_UNMATCHED_RECORDING: _ClassVar[ReportKind]
    REPORT_KIND_UNUSABLE: _ClassVar[ReportKind]
    REPORT_KIND_WITHOUT_LABEL: _ClassVar[ReportKind]
    REPORT_KIND_REPEATED_ROW: _ClassVar[ReportKind]
    REPORT_KIND_CONTRADICTORY: _ClassVar[ReportKind]
    REPORT_KIND_SAME_SIGNAL: _ClassVar[ReportKind]
    REPORT_KIND_UNKNOWN_PATIENT: _ClassVar[ReportKind]
    REPORT_KIND_RARE_CLASS: _ClassVar[ReportKind]
    REPORT_KIND_POOR_QUALITY: _ClassVar[ReportKind]
    REPORT_KIND_NOT_PREPROCESSED: _ClassVar[ReportKind]
DATASET_STATE_UNSPECIFIED: DatasetState
DATASET_STATE_QUEUED: DatasetState
DATASET_STATE_BUILDING: DatasetState
DATASET_STATE_READY: DatasetState
DATASET_STATE_FAILED: DatasetState
TASK_UNSPECIFIED: Task
TASK_MULTI_LABEL: Task
TASK_SINGLE_LABEL: Task
TASK_REGRESSION: Task
REPORT_KIND_UNSPECIFIED: ReportKind
REPORT_KIND_UNMATCHED_ROW: ReportKind
REPORT_KIND_UNMATCHED_RECORDING: ReportKind
REPORT_KIND_UNUSABLE: ReportKind
REPORT_KIND_WITHOUT_LABEL: ReportKind
REPORT_KIND_REPEATED_ROW: ReportKind
REPORT_KIND_CONTRADICTORY: ReportKind
REPORT_KIND_SAME_SIGNAL: ReportKind
REPORT_KIND_UNKNOWN_PATIENT: ReportKind
REPORT_KIND_RARE_CLASS: ReportKind
REPORT_KIND_POOR_QUALITY: ReportKind
REPORT_KIND_NOT_PREPROCESSED: ReportKind

class Dataset(_message.Message):
    __slots__ = ("dataset_id", "name", "state", "task", "classes", "parts", "report", "progress", "error", "created_at", "test_looks")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    TEST_LOOKS_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    name: str
    state: DatasetState
    task: Task
    classes: _containers.RepeatedScalarFieldContainer[str]
    parts: _containers.RepeatedCompositeFieldContainer[PartSummary]
    report: JoinReport
    progress: float
    error: str
    created_at: _timestamp_pb2.Timestamp
    test_looks: int
    def __init__(self, dataset_id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[DatasetState, str]] = ..., task: _Optional[_Union[Task, str]] = ..., classes: _Optional[_Iterable[str]] = ..., parts: _Optional[_Iterable[_Union[PartSummary, _Mapping]]] = ..., report: _Optional[_Union[JoinReport, _Mapping]] = ..., progress: _Optional[float] = ..., error: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., test_looks: _Optional[int] = ...) -> None: ...

class PartSummary(_message.Message):
    __slots__ = ("part", "recordings", "patients", "positives")
    PART_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    part: str
    recordings: int
    patients: int
    positives: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, part: _Optional[str] = ..., recordings: _Optional[int] = ..., patients: _Optional[int] = ..., positives: _Optional[_Iterable[int]] = ...) -> None: ...

class JoinReport(_message.Message):
    __slots__ = ("matched", "unmatched_rows", "unmatched", "unusable", "without_label", "duplicates", "unknown_patients", "counts", "notes")
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_ROWS_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_LABEL_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_PATIENTS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    matched: int
    unmatched_rows: _containers.RepeatedScalarFieldContainer[int]
    unmatched: int
    unusable: _containers.RepeatedCompositeFieldContainer[RowProblem]
    without_label: int
    duplicates: int
    unknown_patients: int
    counts: _containers.RepeatedCompositeFieldContainer[ReportCount]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, matched: _Optional[int] = ..., unmatched_rows: _Optional[_Iterable[int]] = ..., unmatched: _Optional[int] = ..., unusable: _Optional[_Iterable[_Union[RowProblem, _Mapping]]] = ..., without_label: _Optional[int] = ..., duplicates: _Optional[int] = ..., unknown_patients: _Optional[int] = ..., counts: _Optional[_Iterable[_Union[ReportCount, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ReportCount(_message.Message):
    __slots__ = ("kind", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: ReportKind
    count: int
    def __init__(self, kind: _Optional[_Union[ReportKind, str]] = ..., count: _Optional[int] = ...) -> None: ...

class RowProblem(_message.Message):
    __slots__ = ("row", "reason")
    ROW_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    row: int
    reason: str
    def __init__(self, row: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
