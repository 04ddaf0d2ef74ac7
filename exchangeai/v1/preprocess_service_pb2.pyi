from buf.validate import validate_pb2 as _validate_pb2
from exchangeai.v1 import dataset_pb2 as _dataset_pb2
from exchangeai.v1 import measurements_pb2 as _measurements_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetWindowsRequest(_message.Message):
    __slots__ = ("recording_id", "first", "count")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    first: int
    count: int
    def __init__(self, recording_id: _Optional[str] = ..., first: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetWindowsResponse(_message.Message):
    __slots__ = ("shape", "values_mv", "valid_samples", "total", "missing_leads")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_MV_FIELD_NUMBER: _ClassVar[int]
    VALID_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MISSING_LEADS_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    values_mv: bytes
    valid_samples: _containers.RepeatedScalarFieldContainer[int]
    total: int
    missing_leads: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., values_mv: _Optional[bytes] = ..., valid_samples: _Optional[_Iterable[int]] = ..., total: _Optional[int] = ..., missing_leads: _Optional[_Iterable[str]] = ...) -> None: ...

class GetMeasurementsRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class GetMeasurementsResponse(_message.Message):
    __slots__ = ("measurements", "quality")
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    measurements: _measurements_pb2.Measurements
    quality: _measurements_pb2.Quality
    def __init__(self, measurements: _Optional[_Union[_measurements_pb2.Measurements, _Mapping]] = ..., quality: _Optional[_Union[_measurements_pb2.Quality, _Mapping]] = ...) -> None: ...

class BuildDatasetRequest(_message.Message):
    __slots__ = ("name", "table", "columns", "task", "classes", "split")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    table: bytes
    columns: TableColumns
    task: _dataset_pb2.Task
    classes: _containers.RepeatedScalarFieldContainer[str]
    split: Split
    def __init__(self, name: _Optional[str] = ..., table: _Optional[bytes] = ..., columns: _Optional[_Union[TableColumns, _Mapping]] = ..., task: _Optional[_Union[_dataset_pb2.Task, str]] = ..., classes: _Optional[_Iterable[str]] = ..., split: _Optional[_Union[Split, _Mapping]] = ...) -> None: ...

class TableColumns(_message.Message):
    __slots__ = ("recording", "label", "patient", "part")
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    recording: str
    label: str
    patient: str
    part: str
    def __init__(self, recording: _Optional[str] = ..., label: _Optional[str] = ..., patient: _Optional[str] = ..., part: _Optional[str] = ...) -> None: ...

class Split(_message.Message):
    __slots__ = ("validation", "test", "seed")
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    validation: float
    test: float
    seed: int
    def __init__(self, validation: _Optional[float] = ..., test: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class BuildDatasetResponse(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: _dataset_pb2.Dataset
    def __init__(self, dataset: _Optional[_Union[_dataset_pb2.Dataset, _Mapping]] = ...) -> None: ...

class WatchDatasetRequest(_message.Message):
    __slots__ = ("dataset_id",)
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    def __init__(self, dataset_id: _Optional[str] = ...) -> None: ...

class WatchDatasetResponse(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: _dataset_pb2.Dataset
    def __init__(self, dataset: _Optional[_Union[_dataset_pb2.Dataset, _Mapping]] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets",)
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[_dataset_pb2.Dataset]
    def __init__(self, datasets: _Optional[_Iterable[_Union[_dataset_pb2.Dataset, _Mapping]]] = ...) -> None: ...
