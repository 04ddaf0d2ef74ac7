from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TestReport(_message.Message):
    __slots__ = ("recordings", "patients", "macro_auroc", "macro_f1", "classes", "bootstrap_draws", "part", "macro_auprc", "micro_auroc", "brier", "calibration_error", "reliability", "confusion", "unlabelled", "unlabelled_dropped", "coverage", "set_size", "subgroups", "targets", "error")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    MACRO_AUROC_FIELD_NUMBER: _ClassVar[int]
    MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_DRAWS_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    MACRO_AUPRC_FIELD_NUMBER: _ClassVar[int]
    MICRO_AUROC_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    RELIABILITY_FIELD_NUMBER: _ClassVar[int]
    CONFUSION_FIELD_NUMBER: _ClassVar[int]
    UNLABELLED_FIELD_NUMBER: _ClassVar[int]
    UNLABELLED_DROPPED_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    SET_SIZE_FIELD_NUMBER: _ClassVar[int]
    SUBGROUPS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    recordings: int
    patients: int
    macro_auroc: Estimate
    macro_f1: Estimate
    classes: _containers.RepeatedCompositeFieldContainer[ClassMetrics]
    bootstrap_draws: int
    part: str
    macro_auprc: Estimate
    micro_auroc: Estimate
    brier: float
    calibration_error: float
    reliability: _containers.RepeatedCompositeFieldContainer[ReliabilityBin]
    confusion: _containers.RepeatedScalarFieldContainer[int]
    unlabelled: int
    unlabelled_dropped: bool
    coverage: Estimate
    set_size: float
    subgroups: _containers.RepeatedCompositeFieldContainer[Subgroup]
    targets: _containers.RepeatedCompositeFieldContainer[TargetMetrics]
    error: Estimate
    def __init__(self, recordings: _Optional[int] = ..., patients: _Optional[int] = ..., macro_auroc: _Optional[_Union[Estimate, _Mapping]] = ..., macro_f1: _Optional[_Union[Estimate, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassMetrics, _Mapping]]] = ..., bootstrap_draws: _Optional[int] = ..., part: _Optional[str] = ..., macro_auprc: _Optional[_Union[Estimate, _Mapping]] = ..., micro_auroc: _Optional[_Union[Estimate, _Mapping]] = ..., brier: _Optional[float] = ..., calibration_error: _Optional[float] = ..., reliability: _Optional[_Iterable[_Union[ReliabilityBin, _Mapping]]] = ..., confusion: _Optional[_Iterable[int]] = ..., unlabelled: _Optional[int] = ..., unlabelled_dropped: _Optional[bool] = ..., coverage: _Optional[_Union[Estimate, _Mapping]] = ..., set_size: _Optional[float] = ..., subgroups: _Optional[_Iterable[_Union[Subgroup, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[TargetMetrics, _Mapping]]] = ..., error: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("name", "positives", "threshold", "auroc", "f1", "sensitivity", "specificity", "auprc", "specificity_at_90_sensitivity", "sensitivity_at_90_specificity", "brier", "calibration_error", "true_positives", "false_positives", "false_negatives", "true_negatives")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AUROC_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    SPECIFICITY_FIELD_NUMBER: _ClassVar[int]
    AUPRC_FIELD_NUMBER: _ClassVar[int]
    SPECIFICITY_AT_90_SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_AT_90_SPECIFICITY_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    TRUE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    TRUE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    name: str
    positives: int
    threshold: float
    auroc: Estimate
    f1: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auprc: Estimate
    specificity_at_90_sensitivity: Estimate
    sensitivity_at_90_specificity: Estimate
    brier: float
    calibration_error: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    def __init__(self, name: _Optional[str] = ..., positives: _Optional[int] = ..., threshold: _Optional[float] = ..., auroc: _Optional[_Union[Estimate, _Mapping]] = ..., f1: _Optional[_Union[Estimate, _Mapping]] = ..., sensitivity: _Optional[_Union[Estimate, _Mapping]] = ..., specificity: _Optional[_Union[Estimate, _Mapping]] = ..., auprc: _Optional[_Union[Estimate, _Mapping]] = ..., specificity_at_90_sensitivity: _Optional[_Union[Estimate, _Mapping]] = ..., sensitivity_at_90_specificity: _Optional[_Union[Estimate, _Mapping]] = ..., brier: _Optional[float] = ..., calibration_error: _Optional[float] = ..., true_positives: _Optional[int] = ..., false_positives: _Optional[int] = ..., false_negatives: _Optional[int] = ..., true_negatives: _Optional[int] = ...) -> None: ...

class TargetMetrics(_message.Message):
    __slots__ = ("name", "recordings", "mean_absolute_error", "root_mean_square_error", "r2", "bias", "agreement_low", "agreement_high")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    MEAN_ABSOLUTE_ERROR_FIELD_NUMBER: _ClassVar[int]
    ROOT_MEAN_SQUARE_ERROR_FIELD_NUMBER: _ClassVar[int]
    R2_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_LOW_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_HIGH_FIELD_NUMBER: _ClassVar[int]
    name: str
    recordings: int
    mean_absolute_error: Estimate
    root_mean_square_error: Estimate
    r2: Estimate
    bias: Estimate
    agreement_low: float
    agreement_high: float
    def __init__(self, name: _Optional[str] = ..., recordings: _Optional[int] = ..., mean_absolute_error: _Optional[_Union[Estimate, _Mapping]] = ..., root_mean_square_error: _Optional[_Union[Estimate, _Mapping]] = ..., r2: _Optional[_Union[Estimate, _Mapping]] = ..., bias: _Optional[_Union[Estimate, _Mapping]] = ..., agreement_low: _Optional[float] = ..., agreement_high: _Optional[float] = ...) -> None: ...

class ReliabilityBin(_message.Message):
    __slots__ = ("probability", "frequency", "count")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    probability: float
    frequency: float
    count: int
    def __init__(self, probability: _Optional[float] = ..., frequency: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...

class Subgroup(_message.Message):
    __slots__ = ("kind", "name", "recordings", "patients", "score")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    recordings: int
    patients: int
    score: Estimate
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., recordings: _Optional[int] = ..., patients: _Optional[int] = ..., score: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...
