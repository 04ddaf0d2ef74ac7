import datetime

from buf.validate import validate_pb2 as _validate_pb2
from exchangeai.v1 import measurements_pb2 as _measurements_pb2
from exchangeai.v1 import model_pb2 as _model_pb2
from exchangeai.v1 import prediction_pb2 as _prediction_pb2
from exchangeai.v1 import recording_pb2 as _recording_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResultFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_FORMAT_UNSPECIFIED: _ClassVar[ResultFormat]
    RESULT_FORMAT_CSV: _ClassVar[ResultFormat]
    RESULT_FORMAT_PARQUET: _ClassVar[ResultFormat]
    RESULT_FORMAT_FHIR: _ClassVar[ResultFormat]
    RESULT_FORMAT_DICOM_SR: _ClassVar[ResultFormat]
RESULT_FORMAT_UNSPECIFIED: ResultFormat
RESULT_FORMAT_CSV: ResultFormat
RESULT_FORMAT_PARQUET: ResultFormat
RESULT_FORMAT_FHIR: ResultFormat
RESULT_FORMAT_DICOM_SR: ResultFormat

class PredictRequest(_message.Message):
    __slots__ = ("model_name", "model_version", "recording_id", "files", "tensor", "age_years", "include_saliency", "include_embedding", "record_result", "alias")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    AGE_YEARS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SALIENCY_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    RECORD_RESULT_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    model_version: int
    recording_id: str
    files: EcgFiles
    tensor: EcgTensor
    age_years: int
    include_saliency: bool
    include_embedding: bool
    record_result: bool
    alias: str
    def __init__(self, model_name: _Optional[str] = ..., model_version: _Optional[int] = ..., recording_id: _Optional[str] = ..., files: _Optional[_Union[EcgFiles, _Mapping]] = ..., tensor: _Optional[_Union[EcgTensor, _Mapping]] = ..., age_years: _Optional[int] = ..., include_saliency: _Optional[bool] = ..., include_embedding: _Optional[bool] = ..., record_result: _Optional[bool] = ..., alias: _Optional[str] = ...) -> None: ...

class EcgFiles(_message.Message):
    __slots__ = ("files", "options")
    FILES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[EcgFile]
    options: _recording_pb2.ReadOptions
    def __init__(self, files: _Optional[_Iterable[_Union[EcgFile, _Mapping]]] = ..., options: _Optional[_Union[_recording_pb2.ReadOptions, _Mapping]] = ...) -> None: ...

class EcgFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class EcgTensor(_message.Message):
    __slots__ = ("shape", "values_mv", "valid_samples")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_MV_FIELD_NUMBER: _ClassVar[int]
    VALID_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    values_mv: bytes
    valid_samples: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., values_mv: _Optional[bytes] = ..., valid_samples: _Optional[_Iterable[int]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("findings", "windows", "quality", "provenance", "refusals", "notes", "ood", "embedding")
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    OOD_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    windows: _containers.RepeatedCompositeFieldContainer[WindowFindings]
    quality: _measurements_pb2.Quality
    provenance: Provenance
    refusals: _containers.RepeatedCompositeFieldContainer[_prediction_pb2.Refusal]
    notes: _containers.RepeatedScalarFieldContainer[str]
    ood: _prediction_pb2.OutOfDistribution
    embedding: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., windows: _Optional[_Iterable[_Union[WindowFindings, _Mapping]]] = ..., quality: _Optional[_Union[_measurements_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., refusals: _Optional[_Iterable[_Union[_prediction_pb2.Refusal, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ..., ood: _Optional[_Union[_prediction_pb2.OutOfDistribution, _Mapping]] = ..., embedding: _Optional[_Iterable[float]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("name", "probability", "threshold", "present", "value", "low", "high", "conformal", "code")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CONFORMAL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    probability: float
    threshold: float
    present: bool
    value: float
    low: float
    high: float
    conformal: _prediction_pb2.ConformalVerdict
    code: str
    def __init__(self, name: _Optional[str] = ..., probability: _Optional[float] = ..., threshold: _Optional[float] = ..., present: _Optional[bool] = ..., value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., conformal: _Optional[_Union[_prediction_pb2.ConformalVerdict, str]] = ..., code: _Optional[str] = ...) -> None: ...

class WindowFindings(_message.Message):
    __slots__ = ("start_s", "findings", "ood", "saliency", "embedding")
    START_S_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    OOD_FIELD_NUMBER: _ClassVar[int]
    SALIENCY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    start_s: float
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    ood: _prediction_pb2.OutOfDistribution
    saliency: _prediction_pb2.Saliency
    embedding: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, start_s: _Optional[float] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., ood: _Optional[_Union[_prediction_pb2.OutOfDistribution, _Mapping]] = ..., saliency: _Optional[_Union[_prediction_pb2.Saliency, _Mapping]] = ..., embedding: _Optional[_Iterable[float]] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("model_name", "model_version", "model_digest", "input_digest", "code_version", "preprocessing_version", "request_id", "notice", "runtime_version", "model_role")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_ROLE_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    model_version: int
    model_digest: str
    input_digest: str
    code_version: str
    preprocessing_version: str
    request_id: str
    notice: str
    runtime_version: str
    model_role: str
    def __init__(self, model_name: _Optional[str] = ..., model_version: _Optional[int] = ..., model_digest: _Optional[str] = ..., input_digest: _Optional[str] = ..., code_version: _Optional[str] = ..., preprocessing_version: _Optional[str] = ..., request_id: _Optional[str] = ..., notice: _Optional[str] = ..., runtime_version: _Optional[str] = ..., model_role: _Optional[str] = ...) -> None: ...

class PredictBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[PredictRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[PredictRequest, _Mapping]]] = ...) -> None: ...

class PredictBatchResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: PredictRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[PredictRequest, _Mapping]] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("id", "outcome")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    id: str
    outcome: Outcome
    def __init__(self, id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: PredictResponse
    error: CallError
    def __init__(self, response: _Optional[_Union[PredictResponse, _Mapping]] = ..., error: _Optional[_Union[CallError, _Mapping]] = ...) -> None: ...

class CallError(_message.Message):
    __slots__ = ("code", "reason", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ResultFilter(_message.Message):
    __slots__ = ("recording_id", "model_name", "model_version")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    model_name: str
    model_version: int
    def __init__(self, recording_id: _Optional[str] = ..., model_name: _Optional[str] = ..., model_version: _Optional[int] = ...) -> None: ...

class ListResultsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: ResultFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[ResultFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListResultsResponse(_message.Message):
    __slots__ = ("results", "next_page_token")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    next_page_token: str
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("recording_id", "answer", "recorded_at")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    answer: PredictResponse
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, recording_id: _Optional[str] = ..., answer: _Optional[_Union[PredictResponse, _Mapping]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExportResultsRequest(_message.Message):
    __slots__ = ("filter", "format")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    filter: ResultFilter
    format: ResultFormat
    def __init__(self, filter: _Optional[_Union[ResultFilter, _Mapping]] = ..., format: _Optional[_Union[ResultFormat, str]] = ...) -> None: ...

class ExportResultsResponse(_message.Message):
    __slots__ = ("file_name", "chunk")
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    file_name: str
    chunk: bytes
    def __init__(self, file_name: _Optional[str] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...

class ImportModelRequest(_message.Message):
    __slots__ = ("name", "chunk", "signature", "card", "figures")
    class FiguresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    name: str
    chunk: bytes
    signature: bytes
    card: str
    figures: _containers.ScalarMap[str, bytes]
    def __init__(self, name: _Optional[str] = ..., chunk: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., card: _Optional[str] = ..., figures: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class ImportModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class ApproveModelRequest(_message.Message):
    __slots__ = ("name", "version", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class ApproveModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class ExportModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ExportModelResponse(_message.Message):
    __slots__ = ("chunk", "signature", "version")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    signature: bytes
    version: int
    def __init__(self, chunk: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class GetModelCardRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetModelCardResponse(_message.Message):
    __slots__ = ("markdown", "figures")
    class FiguresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    MARKDOWN_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    markdown: str
    figures: _containers.ScalarMap[str, bytes]
    def __init__(self, markdown: _Optional[str] = ..., figures: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class ListServingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListServingResponse(_message.Message):
    __slots__ = ("serving",)
    SERVING_FIELD_NUMBER: _ClassVar[int]
    serving: _containers.RepeatedCompositeFieldContainer[Serving]
    def __init__(self, serving: _Optional[_Iterable[_Union[Serving, _Mapping]]] = ...) -> None: ...

class Serving(_message.Message):
    __slots__ = ("name", "champion", "answering", "previous", "canary", "canary_share", "shadow", "changed_by", "changed_at", "agreement", "problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    CANARY_SHARE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    champion: int
    answering: int
    previous: _containers.RepeatedScalarFieldContainer[int]
    canary: int
    canary_share: float
    shadow: int
    changed_by: str
    changed_at: _timestamp_pb2.Timestamp
    agreement: ShadowAgreement
    problem: str
    def __init__(self, name: _Optional[str] = ..., champion: _Optional[int] = ..., answering: _Optional[int] = ..., previous: _Optional[_Iterable[int]] = ..., canary: _Optional[int] = ..., canary_share: _Optional[float] = ..., shadow: _Optional[int] = ..., changed_by: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., agreement: _Optional[_Union[ShadowAgreement, _Mapping]] = ..., problem: _Optional[str] = ...) -> None: ...

class ShadowAgreement(_message.Message):
    __slots__ = ("compared", "differing", "max_difference", "dropped", "failed")
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_FIELD_NUMBER: _ClassVar[int]
    MAX_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    compared: int
    differing: int
    max_difference: float
    dropped: int
    failed: int
    def __init__(self, compared: _Optional[int] = ..., differing: _Optional[int] = ..., max_difference: _Optional[float] = ..., dropped: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class SetChampionRequest(_message.Message):
    __slots__ = ("name", "version", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class SetChampionResponse(_message.Message):
    __slots__ = ("serving",)
    SERVING_FIELD_NUMBER: _ClassVar[int]
    serving: Serving
    def __init__(self, serving: _Optional[_Union[Serving, _Mapping]] = ...) -> None: ...

class SetCanaryRequest(_message.Message):
    __slots__ = ("name", "version", "share", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    share: float
    by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., share: _Optional[float] = ..., by: _Optional[str] = ...) -> None: ...

class SetCanaryResponse(_message.Message):
    __slots__ = ("serving",)
    SERVING_FIELD_NUMBER: _ClassVar[int]
    serving: Serving
    def __init__(self, serving: _Optional[_Union[Serving, _Mapping]] = ...) -> None: ...

class SetShadowRequest(_message.Message):
    __slots__ = ("name", "version", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class SetShadowResponse(_message.Message):
    __slots__ = ("serving",)
    SERVING_FIELD_NUMBER: _ClassVar[int]
    serving: Serving
    def __init__(self, serving: _Optional[_Union[Serving, _Mapping]] = ...) -> None: ...

class RollBackRequest(_message.Message):
    __slots__ = ("name", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    by: str
    def __init__(self, name: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class RollBackResponse(_message.Message):
    __slots__ = ("serving",)
    SERVING_FIELD_NUMBER: _ClassVar[int]
    serving: Serving
    def __init__(self, serving: _Optional[_Union[Serving, _Mapping]] = ...) -> None: ...

class DeprecateModelRequest(_message.Message):
    __slots__ = ("name", "version", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class DeprecateModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...
