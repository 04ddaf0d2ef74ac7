from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TestReport(_message.Message):
    __slots__ = ("recordings", "patients", "macro_auroc", "macro_f1", "classes", "bootstrap_draws")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    MACRO_AUROC_FIELD_NUMBER: _ClassVar[int]
    MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_DRAWS_FIELD_NUMBER: _ClassVar[int]
    recordings: int
    patients: int
    macro_auroc: Estimate
    macro_f1: Estimate
    classes: _containers.RepeatedCompositeFieldContainer[ClassMetrics]
    bootstrap_draws: int
    def __init__(self, recordings: _Optional[int] = ..., patients: _Optional[int] = ..., macro_auroc: _Optional[_Union[Estimate, _Mapping]] = ..., macro_f1: _Optional[_Union[Estimate, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassMetrics, _Mapping]]] = ..., bootstrap_draws: _Optional[int] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class ClassMetrics(_message.Message):
    __slots__ = ("name", "positives", "threshold", "auroc", "f1", "sensitivity", "specificity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AUROC_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    SPECIFICITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    positives: int
    threshold: float
    auroc: Estimate
    f1: Estimate
    sensitivity: Estimate
    specificity: Estimate
    def __init__(self, name: _Optional[str] = ..., positives: _Optional[int] = ..., threshold: _Optional[float] = ..., auroc: _Optional[_Union[Estimate, _Mapping]] = ..., f1: _Optional[_Union[Estimate, _Mapping]] = ..., sensitivity: _Optional[_Union[Estimate, _Mapping]] = ..., specificity: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...
