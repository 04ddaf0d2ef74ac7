import datetime

from exchangeai.v1 import metrics_pb2 as _metrics_pb2
from exchangeai.v1 import run_pb2 as _run_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ComparisonState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARISON_STATE_UNSPECIFIED: _ClassVar[ComparisonState]
    COMPARISON_STATE_RUNNING: _ClassVar[ComparisonState]
    COMPARISON_STATE_CANCELLING: _ClassVar[ComparisonState]
    COMPARISON_STATE_CANCELLED: _ClassVar[ComparisonState]
    COMPARISON_STATE_SUCCEEDED: _ClassVar[ComparisonState]
    COMPARISON_STATE_FAILED: _ClassVar[ComparisonState]
COMPARISON_STATE_UNSPECIFIED: ComparisonState
COMPARISON_STATE_RUNNING: ComparisonState
COMPARISON_STATE_CANCELLING: ComparisonState
COMPARISON_STATE_CANCELLED: ComparisonState
COMPARISON_STATE_SUCCEEDED: ComparisonState
COMPARISON_STATE_FAILED: ComparisonState

class Comparison(_message.Message):
    __slots__ = ("comparison_id", "name", "dataset_id", "architectures", "seeds", "label_shares", "options", "state", "progress", "eta_s", "activity", "error", "runs", "rows", "score_name", "bootstrap_draws", "created_at", "updated_at")
    COMPARISON_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURES_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    LABEL_SHARES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SCORE_NAME_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_DRAWS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    comparison_id: str
    name: str
    dataset_id: str
    architectures: _containers.RepeatedScalarFieldContainer[str]
    seeds: _containers.RepeatedScalarFieldContainer[int]
    label_shares: _containers.RepeatedScalarFieldContainer[float]
    options: _run_pb2.TrainingOptions
    state: ComparisonState
    progress: float
    eta_s: float
    activity: str
    error: str
    runs: _containers.RepeatedCompositeFieldContainer[ComparisonRun]
    rows: _containers.RepeatedCompositeFieldContainer[ComparisonRow]
    score_name: str
    bootstrap_draws: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, comparison_id: _Optional[str] = ..., name: _Optional[str] = ..., dataset_id: _Optional[str] = ..., architectures: _Optional[_Iterable[str]] = ..., seeds: _Optional[_Iterable[int]] = ..., label_shares: _Optional[_Iterable[float]] = ..., options: _Optional[_Union[_run_pb2.TrainingOptions, _Mapping]] = ..., state: _Optional[_Union[ComparisonState, str]] = ..., progress: _Optional[float] = ..., eta_s: _Optional[float] = ..., activity: _Optional[str] = ..., error: _Optional[str] = ..., runs: _Optional[_Iterable[_Union[ComparisonRun, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[ComparisonRow, _Mapping]]] = ..., score_name: _Optional[str] = ..., bootstrap_draws: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ComparisonRun(_message.Message):
    __slots__ = ("run_id", "architecture", "seed", "label_share", "state", "progress", "eta_s", "error", "validation_score", "model_digest")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LABEL_SHARE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SCORE_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    architecture: str
    seed: int
    label_share: float
    state: _run_pb2.RunState
    progress: float
    eta_s: float
    error: str
    validation_score: float
    model_digest: str
    def __init__(self, run_id: _Optional[str] = ..., architecture: _Optional[str] = ..., seed: _Optional[int] = ..., label_share: _Optional[float] = ..., state: _Optional[_Union[_run_pb2.RunState, str]] = ..., progress: _Optional[float] = ..., eta_s: _Optional[float] = ..., error: _Optional[str] = ..., validation_score: _Optional[float] = ..., model_digest: _Optional[str] = ...) -> None: ...

class ComparisonRow(_message.Message):
    __slots__ = ("rank", "architecture", "succeeded", "failed", "error", "validation", "test", "parameters", "gflops", "inference_ms", "training_s", "label_efficiency")
    RANK_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    GFLOPS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    TRAINING_S_FIELD_NUMBER: _ClassVar[int]
    LABEL_EFFICIENCY_FIELD_NUMBER: _ClassVar[int]
    rank: int
    architecture: str
    succeeded: int
    failed: int
    error: str
    validation: PartScores
    test: PartScores
    parameters: int
    gflops: float
    inference_ms: float
    training_s: float
    label_efficiency: _containers.RepeatedCompositeFieldContainer[LabelEfficiencyPoint]
    def __init__(self, rank: _Optional[int] = ..., architecture: _Optional[str] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., error: _Optional[str] = ..., validation: _Optional[_Union[PartScores, _Mapping]] = ..., test: _Optional[_Union[PartScores, _Mapping]] = ..., parameters: _Optional[int] = ..., gflops: _Optional[float] = ..., inference_ms: _Optional[float] = ..., training_s: _Optional[float] = ..., label_efficiency: _Optional[_Iterable[_Union[LabelEfficiencyPoint, _Mapping]]] = ...) -> None: ...

class PartScores(_message.Message):
    __slots__ = ("score", "seed_deviation", "difference", "indistinguishable", "macro_auprc", "macro_f1", "brier", "calibration_error", "recordings", "patients")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SEED_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    INDISTINGUISHABLE_FIELD_NUMBER: _ClassVar[int]
    MACRO_AUPRC_FIELD_NUMBER: _ClassVar[int]
    MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    score: _metrics_pb2.Estimate
    seed_deviation: float
    difference: _metrics_pb2.Estimate
    indistinguishable: bool
    macro_auprc: float
    macro_f1: float
    brier: float
    calibration_error: float
    recordings: int
    patients: int
    def __init__(self, score: _Optional[_Union[_metrics_pb2.Estimate, _Mapping]] = ..., seed_deviation: _Optional[float] = ..., difference: _Optional[_Union[_metrics_pb2.Estimate, _Mapping]] = ..., indistinguishable: _Optional[bool] = ..., macro_auprc: _Optional[float] = ..., macro_f1: _Optional[float] = ..., brier: _Optional[float] = ..., calibration_error: _Optional[float] = ..., recordings: _Optional[int] = ..., patients: _Optional[int] = ...) -> None: ...

class LabelEfficiencyPoint(_message.Message):
    __slots__ = ("label_share", "recordings", "patients", "succeeded", "validation", "seed_deviation", "test")
    LABEL_SHARE_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    SEED_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    label_share: float
    recordings: float
    patients: int
    succeeded: int
    validation: _metrics_pb2.Estimate
    seed_deviation: float
    test: _metrics_pb2.Estimate
    def __init__(self, label_share: _Optional[float] = ..., recordings: _Optional[float] = ..., patients: _Optional[int] = ..., succeeded: _Optional[int] = ..., validation: _Optional[_Union[_metrics_pb2.Estimate, _Mapping]] = ..., seed_deviation: _Optional[float] = ..., test: _Optional[_Union[_metrics_pb2.Estimate, _Mapping]] = ...) -> None: ...
