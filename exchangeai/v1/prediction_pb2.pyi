from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_CODE_UNSPECIFIED: _ClassVar[RefusalCode]
    REFUSAL_CODE_NOT_ANALYSABLE: _ClassVar[RefusalCode]
    REFUSAL_CODE_AGE_OUTSIDE: _ClassVar[RefusalCode]
    REFUSAL_CODE_LEAD_MISSING: _ClassVar[RefusalCode]
    REFUSAL_CODE_TOO_SHORT: _ClassVar[RefusalCode]

class ConformalVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFORMAL_VERDICT_UNSPECIFIED: _ClassVar[ConformalVerdict]
    CONFORMAL_VERDICT_HOLDS: _ClassVar[ConformalVerdict]
    CONFORMAL_VERDICT_DOES_NOT_HOLD: _ClassVar[ConformalVerdict]
    CONFORMAL_VERDICT_UNDECIDED: _ClassVar[ConformalVerdict]
    CONFORMAL_VERDICT_IN_SET: _ClassVar[ConformalVerdict]
    CONFORMAL_VERDICT_NOT_IN_SET: _ClassVar[ConformalVerdict]
REFUSAL_CODE_UNSPECIFIED: RefusalCode
REFUSAL_CODE_NOT_ANALYSABLE: RefusalCode
REFUSAL_CODE_AGE_OUTSIDE: RefusalCode
REFUSAL_CODE_LEAD_MISSING: RefusalCode
REFUSAL_CODE_TOO_SHORT: RefusalCode
CONFORMAL_VERDICT_UNSPECIFIED: ConformalVerdict
CONFORMAL_VERDICT_HOLDS: ConformalVerdict
CONFORMAL_VERDICT_DOES_NOT_HOLD: ConformalVerdict
CONFORMAL_VERDICT_UNDECIDED: ConformalVerdict
CONFORMAL_VERDICT_IN_SET: ConformalVerdict
CONFORMAL_VERDICT_NOT_IN_SET: ConformalVerdict

class Refusal(_message.Message):
    __slots__ = ("code", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: RefusalCode
    text: str
    def __init__(self, code: _Optional[_Union[RefusalCode, str]] = ..., text: _Optional[str] = ...) -> None: ...

class OutOfDistribution(_message.Message):
    __slots__ = ("ood_score", "percentile", "outside", "limit", "limit_percentile")
    OOD_SCORE_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    ood_score: float
    percentile: float
    outside: bool
    limit: float
    limit_percentile: float
    def __init__(self, ood_score: _Optional[float] = ..., percentile: _Optional[float] = ..., outside: _Optional[bool] = ..., limit: _Optional[float] = ..., limit_percentile: _Optional[float] = ...) -> None: ...

class Saliency(_message.Message):
    __slots__ = ("classes", "steps", "step_s", "values")
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    classes: int
    steps: int
    step_s: float
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, classes: _Optional[int] = ..., steps: _Optional[int] = ..., step_s: _Optional[float] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...
