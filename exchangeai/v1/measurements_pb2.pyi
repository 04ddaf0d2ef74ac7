from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QualityVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_VERDICT_UNSPECIFIED: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_ANALYSABLE: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_LIMITED: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_NOT_ANALYSABLE: _ClassVar[QualityVerdict]
QUALITY_VERDICT_UNSPECIFIED: QualityVerdict
QUALITY_VERDICT_ANALYSABLE: QualityVerdict
QUALITY_VERDICT_LIMITED: QualityVerdict
QUALITY_VERDICT_NOT_ANALYSABLE: QualityVerdict

class Measurements(_message.Message):
    __slots__ = ("heart_rate_bpm", "r_peaks_s", "lead", "notes", "leads")
    HEART_RATE_BPM_FIELD_NUMBER: _ClassVar[int]
    R_PEAKS_S_FIELD_NUMBER: _ClassVar[int]
    LEAD_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    heart_rate_bpm: float
    r_peaks_s: _containers.RepeatedScalarFieldContainer[float]
    lead: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    leads: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, heart_rate_bpm: _Optional[float] = ..., r_peaks_s: _Optional[_Iterable[float]] = ..., lead: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., leads: _Optional[_Iterable[str]] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("verdict", "reasons", "leads", "flags", "acceptable_probability")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTABLE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    verdict: QualityVerdict
    reasons: _containers.RepeatedScalarFieldContainer[str]
    leads: _containers.RepeatedCompositeFieldContainer[LeadQuality]
    flags: _containers.RepeatedScalarFieldContainer[str]
    acceptable_probability: float
    def __init__(self, verdict: _Optional[_Union[QualityVerdict, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., leads: _Optional[_Iterable[_Union[LeadQuality, _Mapping]]] = ..., flags: _Optional[_Iterable[str]] = ..., acceptable_probability: _Optional[float] = ...) -> None: ...

class LeadQuality(_message.Message):
    __slots__ = ("lead", "flags")
    LEAD_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    lead: str
    flags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lead: _Optional[str] = ..., flags: _Optional[_Iterable[str]] = ...) -> None: ...
