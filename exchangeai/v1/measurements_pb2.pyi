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
    __slots__ = ("heart_rate_bpm", "r_peaks_s", "lead", "notes", "leads", "rr_irregularity", "intervals", "axes", "amplitudes", "beats_used", "regularity")
    HEART_RATE_BPM_FIELD_NUMBER: _ClassVar[int]
    R_PEAKS_S_FIELD_NUMBER: _ClassVar[int]
    LEAD_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    RR_IRREGULARITY_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    AMPLITUDES_FIELD_NUMBER: _ClassVar[int]
    BEATS_USED_FIELD_NUMBER: _ClassVar[int]
    REGULARITY_FIELD_NUMBER: _ClassVar[int]
    heart_rate_bpm: float
    r_peaks_s: _containers.RepeatedScalarFieldContainer[float]
    lead: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    leads: _containers.RepeatedScalarFieldContainer[str]
    rr_irregularity: float
    intervals: Intervals
    axes: Axes
    amplitudes: _containers.RepeatedCompositeFieldContainer[LeadAmplitudes]
    beats_used: int
    regularity: str
    def __init__(self, heart_rate_bpm: _Optional[float] = ..., r_peaks_s: _Optional[_Iterable[float]] = ..., lead: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., leads: _Optional[_Iterable[str]] = ..., rr_irregularity: _Optional[float] = ..., intervals: _Optional[_Union[Intervals, _Mapping]] = ..., axes: _Optional[_Union[Axes, _Mapping]] = ..., amplitudes: _Optional[_Iterable[_Union[LeadAmplitudes, _Mapping]]] = ..., beats_used: _Optional[int] = ..., regularity: _Optional[str] = ...) -> None: ...

class Intervals(_message.Message):
    __slots__ = ("rr_ms", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms", "qtc_framingham_ms", "qtc_hodges_ms")
    RR_MS_FIELD_NUMBER: _ClassVar[int]
    P_MS_FIELD_NUMBER: _ClassVar[int]
    PR_MS_FIELD_NUMBER: _ClassVar[int]
    QRS_MS_FIELD_NUMBER: _ClassVar[int]
    QT_MS_FIELD_NUMBER: _ClassVar[int]
    QTC_BAZETT_MS_FIELD_NUMBER: _ClassVar[int]
    QTC_FRIDERICIA_MS_FIELD_NUMBER: _ClassVar[int]
    QTC_FRAMINGHAM_MS_FIELD_NUMBER: _ClassVar[int]
    QTC_HODGES_MS_FIELD_NUMBER: _ClassVar[int]
    rr_ms: float
    p_ms: float
    pr_ms: float
    qrs_ms: float
    qt_ms: float
    qtc_bazett_ms: float
    qtc_fridericia_ms: float
    qtc_framingham_ms: float
    qtc_hodges_ms: float
    def __init__(self, rr_ms: _Optional[float] = ..., p_ms: _Optional[float] = ..., pr_ms: _Optional[float] = ..., qrs_ms: _Optional[float] = ..., qt_ms: _Optional[float] = ..., qtc_bazett_ms: _Optional[float] = ..., qtc_fridericia_ms: _Optional[float] = ..., qtc_framingham_ms: _Optional[float] = ..., qtc_hodges_ms: _Optional[float] = ...) -> None: ...

class Axes(_message.Message):
    __slots__ = ("p_deg", "qrs_deg", "t_deg")
    P_DEG_FIELD_NUMBER: _ClassVar[int]
    QRS_DEG_FIELD_NUMBER: _ClassVar[int]
    T_DEG_FIELD_NUMBER: _ClassVar[int]
    p_deg: float
    qrs_deg: float
    t_deg: float
    def __init__(self, p_deg: _Optional[float] = ..., qrs_deg: _Optional[float] = ..., t_deg: _Optional[float] = ...) -> None: ...

class LeadAmplitudes(_message.Message):
    __slots__ = ("lead", "r_mv", "s_mv", "st_mv")
    LEAD_FIELD_NUMBER: _ClassVar[int]
    R_MV_FIELD_NUMBER: _ClassVar[int]
    S_MV_FIELD_NUMBER: _ClassVar[int]
    ST_MV_FIELD_NUMBER: _ClassVar[int]
    lead: str
    r_mv: float
    s_mv: float
    st_mv: float
    def __init__(self, lead: _Optional[str] = ..., r_mv: _Optional[float] = ..., s_mv: _Optional[float] = ..., st_mv: _Optional[float] = ...) -> None: ...

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
