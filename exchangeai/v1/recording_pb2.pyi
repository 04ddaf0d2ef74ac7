import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORDING_STATE_UNSPECIFIED: _ClassVar[RecordingState]
    RECORDING_STATE_READABLE: _ClassVar[RecordingState]
    RECORDING_STATE_UNREADABLE: _ClassVar[RecordingState]

class PreprocessingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREPROCESSING_STATE_UNSPECIFIED: _ClassVar[PreprocessingState]
    PREPROCESSING_STATE_PENDING: _ClassVar[PreprocessingState]
    PREPROCESSING_STATE_DONE: _ClassVar[PreprocessingState]
    PREPROCESSING_STATE_FAILED: _ClassVar[PreprocessingState]

class Sex(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEX_UNSPECIFIED: _ClassVar[Sex]
    SEX_FEMALE: _ClassVar[Sex]
    SEX_MALE: _ClassVar[Sex]

class Unit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNIT_UNSPECIFIED: _ClassVar[Unit]
    UNIT_VOLT: _ClassVar[Unit]
    UNIT_MILLIVOLT: _ClassVar[Unit]
    UNIT_MICROVOLT: _ClassVar[Unit]
RECORDING_STATE_UNSPECIFIED: RecordingState
RECORDING_STATE_READABLE: RecordingState
RECORDING_STATE_UNREADABLE: RecordingState
PREPROCESSING_STATE_UNSPECIFIED: PreprocessingState
PREPROCESSING_STATE_PENDING: PreprocessingState
PREPROCESSING_STATE_DONE: PreprocessingState
PREPROCESSING_STATE_FAILED: PreprocessingState
SEX_UNSPECIFIED: Sex
SEX_FEMALE: Sex
SEX_MALE: Sex
UNIT_UNSPECIFIED: Unit
UNIT_VOLT: Unit
UNIT_MILLIVOLT: Unit
UNIT_MICROVOLT: Unit

class Recording(_message.Message):
    __slots__ = ("recording_id", "state", "format", "leads", "duration_s", "patient", "acquisition_year", "device_model", "warnings", "error", "ingested_at", "source_size_bytes", "preprocessing_state", "preprocessing_error", "same_signal_as")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    ACQUISITION_YEAR_FIELD_NUMBER: _ClassVar[int]
    DEVICE_MODEL_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INGESTED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_STATE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_ERROR_FIELD_NUMBER: _ClassVar[int]
    SAME_SIGNAL_AS_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    state: RecordingState
    format: str
    leads: _containers.RepeatedCompositeFieldContainer[LeadInfo]
    duration_s: float
    patient: Patient
    acquisition_year: int
    device_model: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    error: FileError
    ingested_at: _timestamp_pb2.Timestamp
    source_size_bytes: int
    preprocessing_state: PreprocessingState
    preprocessing_error: str
    same_signal_as: str
    def __init__(self, recording_id: _Optional[str] = ..., state: _Optional[_Union[RecordingState, str]] = ..., format: _Optional[str] = ..., leads: _Optional[_Iterable[_Union[LeadInfo, _Mapping]]] = ..., duration_s: _Optional[float] = ..., patient: _Optional[_Union[Patient, _Mapping]] = ..., acquisition_year: _Optional[int] = ..., device_model: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[FileError, _Mapping]] = ..., ingested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source_size_bytes: _Optional[int] = ..., preprocessing_state: _Optional[_Union[PreprocessingState, str]] = ..., preprocessing_error: _Optional[str] = ..., same_signal_as: _Optional[str] = ...) -> None: ...

class LeadInfo(_message.Message):
    __slots__ = ("name", "sampling_rate_hz", "sample_count", "unit", "derived")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DERIVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    sampling_rate_hz: float
    sample_count: int
    unit: str
    derived: bool
    def __init__(self, name: _Optional[str] = ..., sampling_rate_hz: _Optional[float] = ..., sample_count: _Optional[int] = ..., unit: _Optional[str] = ..., derived: _Optional[bool] = ...) -> None: ...

class Patient(_message.Message):
    __slots__ = ("sex", "age_years", "patient_key")
    SEX_FIELD_NUMBER: _ClassVar[int]
    AGE_YEARS_FIELD_NUMBER: _ClassVar[int]
    PATIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    sex: Sex
    age_years: int
    patient_key: str
    def __init__(self, sex: _Optional[_Union[Sex, str]] = ..., age_years: _Optional[int] = ..., patient_key: _Optional[str] = ...) -> None: ...

class FileError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ReadOptions(_message.Message):
    __slots__ = ("sampling_rate_hz", "unit", "leads", "unit_multiple", "strict")
    SAMPLING_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    UNIT_MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    sampling_rate_hz: float
    unit: Unit
    leads: _containers.RepeatedScalarFieldContainer[str]
    unit_multiple: float
    strict: bool
    def __init__(self, sampling_rate_hz: _Optional[float] = ..., unit: _Optional[_Union[Unit, str]] = ..., leads: _Optional[_Iterable[str]] = ..., unit_multiple: _Optional[float] = ..., strict: _Optional[bool] = ...) -> None: ...
