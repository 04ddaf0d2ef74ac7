import datetime

from buf.validate import validate_pb2 as _validate_pb2
from exchangeai.v1 import recording_pb2 as _recording_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UploadRequest(_message.Message):
    __slots__ = ("file", "chunk")
    FILE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    file: FileStart
    chunk: bytes
    def __init__(self, file: _Optional[_Union[FileStart, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class FileStart(_message.Message):
    __slots__ = ("name", "size_bytes", "options")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    size_bytes: int
    options: _recording_pb2.ReadOptions
    def __init__(self, name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., options: _Optional[_Union[_recording_pb2.ReadOptions, _Mapping]] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[UploadResult]
    def __init__(self, results: _Optional[_Iterable[_Union[UploadResult, _Mapping]]] = ...) -> None: ...

class UploadResult(_message.Message):
    __slots__ = ("file_names", "recording", "duplicate")
    FILE_NAMES_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    file_names: _containers.RepeatedScalarFieldContainer[str]
    recording: _recording_pb2.Recording
    duplicate: bool
    def __init__(self, file_names: _Optional[_Iterable[str]] = ..., recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ..., duplicate: _Optional[bool] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("recording",)
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    recording: _recording_pb2.Recording
    def __init__(self, recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: ListFilter
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[ListFilter, _Mapping]] = ...) -> None: ...

class ListFilter(_message.Message):
    __slots__ = ("state", "preprocessing_state", "format", "patient_key", "has_warnings")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_STATE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PATIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    HAS_WARNINGS_FIELD_NUMBER: _ClassVar[int]
    state: _recording_pb2.RecordingState
    preprocessing_state: _recording_pb2.PreprocessingState
    format: str
    patient_key: str
    has_warnings: bool
    def __init__(self, state: _Optional[_Union[_recording_pb2.RecordingState, str]] = ..., preprocessing_state: _Optional[_Union[_recording_pb2.PreprocessingState, str]] = ..., format: _Optional[str] = ..., patient_key: _Optional[str] = ..., has_warnings: _Optional[bool] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("recordings", "next_page_token", "total")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[_recording_pb2.Recording]
    next_page_token: str
    total: int
    def __init__(self, recordings: _Optional[_Iterable[_Union[_recording_pb2.Recording, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total: _Optional[int] = ...) -> None: ...

class GetSignalRequest(_message.Message):
    __slots__ = ("recording_id", "leads")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    leads: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recording_id: _Optional[str] = ..., leads: _Optional[_Iterable[str]] = ...) -> None: ...

class GetSignalResponse(_message.Message):
    __slots__ = ("lead", "lead_index", "sampling_rate_hz", "sample_offset", "samples", "unit", "derived")
    LEAD_FIELD_NUMBER: _ClassVar[int]
    LEAD_INDEX_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DERIVED_FIELD_NUMBER: _ClassVar[int]
    lead: str
    lead_index: int
    sampling_rate_hz: float
    sample_offset: int
    samples: bytes
    unit: str
    derived: bool
    def __init__(self, lead: _Optional[str] = ..., lead_index: _Optional[int] = ..., sampling_rate_hz: _Optional[float] = ..., sample_offset: _Optional[int] = ..., samples: _Optional[bytes] = ..., unit: _Optional[str] = ..., derived: _Optional[bool] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("dataset_ids", "deletion")
    DATASET_IDS_FIELD_NUMBER: _ClassVar[int]
    DELETION_FIELD_NUMBER: _ClassVar[int]
    dataset_ids: _containers.RepeatedScalarFieldContainer[str]
    deletion: Deletion
    def __init__(self, dataset_ids: _Optional[_Iterable[str]] = ..., deletion: _Optional[_Union[Deletion, _Mapping]] = ...) -> None: ...

class Deletion(_message.Message):
    __slots__ = ("recording_id", "deleted_at", "dataset_ids", "run_ids", "model_keys")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    DATASET_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEYS_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    deleted_at: _timestamp_pb2.Timestamp
    dataset_ids: _containers.RepeatedScalarFieldContainer[str]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    model_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recording_id: _Optional[str] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dataset_ids: _Optional[_Iterable[str]] = ..., run_ids: _Optional[_Iterable[str]] = ..., model_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetDeletionRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class GetDeletionResponse(_message.Message):
    __slots__ = ("deletion",)
    DELETION_FIELD_NUMBER: _ClassVar[int]
    deletion: Deletion
    def __init__(self, deletion: _Optional[_Union[Deletion, _Mapping]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("recording_ids", "filter", "format")
    RECORDING_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    recording_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: ListFilter
    format: str
    def __init__(self, recording_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[ListFilter, _Mapping]] = ..., format: _Optional[str] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("file", "chunk", "problem")
    FILE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    file: ExportedFile
    chunk: bytes
    problem: ExportProblem
    def __init__(self, file: _Optional[_Union[ExportedFile, _Mapping]] = ..., chunk: _Optional[bytes] = ..., problem: _Optional[_Union[ExportProblem, _Mapping]] = ...) -> None: ...

class ExportedFile(_message.Message):
    __slots__ = ("name", "recording_id", "notes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    recording_id: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., recording_id: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportProblem(_message.Message):
    __slots__ = ("recording_id", "message")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    message: str
    def __init__(self, recording_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
