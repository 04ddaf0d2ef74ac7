import datetime

from exchangeai.v1 import dataset_pb2 as _dataset_pb2
from exchangeai.v1 import metrics_pb2 as _metrics_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignatureVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNATURE_VERDICT_UNSPECIFIED: _ClassVar[SignatureVerdict]
    SIGNATURE_VERDICT_UNSIGNED: _ClassVar[SignatureVerdict]
    SIGNATURE_VERDICT_TRUSTED: _ClassVar[SignatureVerdict]
    SIGNATURE_VERDICT_UNKNOWN_KEY: _ClassVar[SignatureVerdict]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_QUARANTINED: _ClassVar[ModelState]
    MODEL_STATE_APPROVED: _ClassVar[ModelState]
    MODEL_STATE_DEPRECATED: _ClassVar[ModelState]
SIGNATURE_VERDICT_UNSPECIFIED: SignatureVerdict
SIGNATURE_VERDICT_UNSIGNED: SignatureVerdict
SIGNATURE_VERDICT_TRUSTED: SignatureVerdict
SIGNATURE_VERDICT_UNKNOWN_KEY: SignatureVerdict
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_QUARANTINED: ModelState
MODEL_STATE_APPROVED: ModelState
MODEL_STATE_DEPRECATED: ModelState

class Model(_message.Message):
    __slots__ = ("name", "version", "digest", "state", "task", "classes", "architecture", "test", "origin", "licence", "intended_use", "created_at", "signature", "signed_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    INTENDED_USE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    digest: str
    state: ModelState
    task: _dataset_pb2.Task
    classes: _containers.RepeatedCompositeFieldContainer[ModelClass]
    architecture: str
    test: _metrics_pb2.TestReport
    origin: str
    licence: str
    intended_use: str
    created_at: _timestamp_pb2.Timestamp
    signature: SignatureVerdict
    signed_by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., task: _Optional[_Union[_dataset_pb2.Task, str]] = ..., classes: _Optional[_Iterable[_Union[ModelClass, _Mapping]]] = ..., architecture: _Optional[str] = ..., test: _Optional[_Union[_metrics_pb2.TestReport, _Mapping]] = ..., origin: _Optional[str] = ..., licence: _Optional[str] = ..., intended_use: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signature: _Optional[_Union[SignatureVerdict, str]] = ..., signed_by: _Optional[str] = ...) -> None: ...

class ModelClass(_message.Message):
    __slots__ = ("name", "threshold")
    NAME_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    name: str
    threshold: float
    def __init__(self, name: _Optional[str] = ..., threshold: _Optional[float] = ...) -> None: ...
