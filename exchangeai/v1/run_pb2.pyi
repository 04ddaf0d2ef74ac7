import datetime

from buf.validate import validate_pb2 as _validate_pb2
from exchangeai.v1 import metrics_pb2 as _metrics_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_UNSPECIFIED: _ClassVar[Method]
    METHOD_FULL: _ClassVar[Method]
    METHOD_LINEAR_PROBE: _ClassVar[Method]
    METHOD_ATTENTION_HEAD: _ClassVar[Method]

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_QUEUED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_CANCELLING: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]
    RUN_STATE_SUCCEEDED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_PREPARING: _ClassVar[RunState]
    RUN_STATE_EXPORTING: _ClassVar[RunState]
METHOD_UNSPECIFIED: Method
METHOD_FULL: Method
METHOD_LINEAR_PROBE: Method
METHOD_ATTENTION_HEAD: Method
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_QUEUED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_CANCELLING: RunState
RUN_STATE_CANCELLED: RunState
RUN_STATE_SUCCEEDED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_PREPARING: RunState
RUN_STATE_EXPORTING: RunState

class TrainingOptions(_message.Message):
    __slots__ = ("max_epochs", "batch_size", "learning_rate", "patience", "seed", "processes", "method", "layer_decay", "weight_decay", "accumulate", "bfloat16", "compile", "average", "label_smoothing", "mixup", "class_weights", "gradient_clip", "augmentations", "label_share", "find_learning_rate", "int8")
    MAX_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LAYER_DECAY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_FIELD_NUMBER: _ClassVar[int]
    BFLOAT16_FIELD_NUMBER: _ClassVar[int]
    COMPILE_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_FIELD_NUMBER: _ClassVar[int]
    LABEL_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    MIXUP_FIELD_NUMBER: _ClassVar[int]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_CLIP_FIELD_NUMBER: _ClassVar[int]
    AUGMENTATIONS_FIELD_NUMBER: _ClassVar[int]
    LABEL_SHARE_FIELD_NUMBER: _ClassVar[int]
    FIND_LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    INT8_FIELD_NUMBER: _ClassVar[int]
    max_epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    seed: int
    processes: int
    method: Method
    layer_decay: float
    weight_decay: float
    accumulate: int
    bfloat16: bool
    compile: bool
    average: float
    label_smoothing: float
    mixup: float
    class_weights: bool
    gradient_clip: float
    augmentations: Augmentations
    label_share: float
    find_learning_rate: bool
    int8: bool
    def __init__(self, max_epochs: _Optional[int] = ..., batch_size: _Optional[int] = ..., learning_rate: _Optional[float] = ..., patience: _Optional[int] = ..., seed: _Optional[int] = ..., processes: _Optional[int] = ..., method: _Optional[_Union[Method, str]] = ..., layer_decay: _Optional[float] = ..., weight_decay: _Optional[float] = ..., accumulate: _Optional[int] = ..., bfloat16: _Optional[bool] = ..., compile: _Optional[bool] = ..., average: _Optional[float] = ..., label_smoothing: _Optional[float] = ..., mixup: _Optional[float] = ..., class_weights: _Optional[bool] = ..., gradient_clip: _Optional[float] = ..., augmentations: _Optional[_Union[Augmentations, _Mapping]] = ..., label_share: _Optional[float] = ..., find_learning_rate: _Optional[bool] = ..., int8: _Optional[bool] = ...) -> None: ...

class Augmentations(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "model_name", "dataset_id", "architecture", "state", "options", "epochs", "progress", "eta_s", "activity", "error", "test", "model_digest", "model_version", "created_at", "updated_at", "best_epoch", "base_model", "comparison_id", "code_version", "dataset_digest", "rate_search", "int8_form")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    BEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATASET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RATE_SEARCH_FIELD_NUMBER: _ClassVar[int]
    INT8_FORM_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    model_name: str
    dataset_id: str
    architecture: str
    state: RunState
    options: TrainingOptions
    epochs: _containers.RepeatedCompositeFieldContainer[Epoch]
    progress: float
    eta_s: float
    activity: str
    error: str
    test: _metrics_pb2.TestReport
    model_digest: str
    model_version: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    best_epoch: int
    base_model: str
    comparison_id: str
    code_version: str
    dataset_digest: str
    rate_search: RateSearch
    int8_form: Int8Form
    def __init__(self, run_id: _Optional[str] = ..., model_name: _Optional[str] = ..., dataset_id: _Optional[str] = ..., architecture: _Optional[str] = ..., state: _Optional[_Union[RunState, str]] = ..., options: _Optional[_Union[TrainingOptions, _Mapping]] = ..., epochs: _Optional[_Iterable[_Union[Epoch, _Mapping]]] = ..., progress: _Optional[float] = ..., eta_s: _Optional[float] = ..., activity: _Optional[str] = ..., error: _Optional[str] = ..., test: _Optional[_Union[_metrics_pb2.TestReport, _Mapping]] = ..., model_digest: _Optional[str] = ..., model_version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., best_epoch: _Optional[int] = ..., base_model: _Optional[str] = ..., comparison_id: _Optional[str] = ..., code_version: _Optional[str] = ..., dataset_digest: _Optional[str] = ..., rate_search: _Optional[_Union[RateSearch, _Mapping]] = ..., int8_form: _Optional[_Union[Int8Form, _Mapping]] = ...) -> None: ...

class Int8Form(_message.Message):
    __slots__ = ("model_digest", "model_name", "model_version", "loss", "inference_ms", "float32_ms", "reason")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    FLOAT32_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model_digest: str
    model_name: str
    model_version: int
    loss: _metrics_pb2.Estimate
    inference_ms: float
    float32_ms: float
    reason: str
    def __init__(self, model_digest: _Optional[str] = ..., model_name: _Optional[str] = ..., model_version: _Optional[int] = ..., loss: _Optional[_Union[_metrics_pb2.Estimate, _Mapping]] = ..., inference_ms: _Optional[float] = ..., float32_ms: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class RateSearch(_message.Message):
    __slots__ = ("rates", "losses", "steepest", "divergence", "chosen")
    RATES_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    STEEPEST_FIELD_NUMBER: _ClassVar[int]
    DIVERGENCE_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    rates: _containers.RepeatedScalarFieldContainer[float]
    losses: _containers.RepeatedScalarFieldContainer[float]
    steepest: float
    divergence: float
    chosen: float
    def __init__(self, rates: _Optional[_Iterable[float]] = ..., losses: _Optional[_Iterable[float]] = ..., steepest: _Optional[float] = ..., divergence: _Optional[float] = ..., chosen: _Optional[float] = ...) -> None: ...

class Epoch(_message.Message):
    __slots__ = ("epoch", "train_loss", "validation_loss", "validation_macro_auroc", "seconds", "validation_error")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRAIN_LOSS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_LOSS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_MACRO_AUROC_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    train_loss: float
    validation_loss: float
    validation_macro_auroc: float
    seconds: float
    validation_error: float
    def __init__(self, epoch: _Optional[int] = ..., train_loss: _Optional[float] = ..., validation_loss: _Optional[float] = ..., validation_macro_auroc: _Optional[float] = ..., seconds: _Optional[float] = ..., validation_error: _Optional[float] = ...) -> None: ...
