from buf.validate import validate_pb2 as _validate_pb2
from exchangeai.v1 import dataset_pb2 as _dataset_pb2
from exchangeai.v1 import measurements_pb2 as _measurements_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RepeatedRows(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPEATED_ROWS_UNSPECIFIED: _ClassVar[RepeatedRows]
    REPEATED_ROWS_UNION: _ClassVar[RepeatedRows]
    REPEATED_ROWS_FIRST: _ClassVar[RepeatedRows]
REPEATED_ROWS_UNSPECIFIED: RepeatedRows
REPEATED_ROWS_UNION: RepeatedRows
REPEATED_ROWS_FIRST: RepeatedRows

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
    __slots__ = ("name", "table", "columns", "task", "classes", "split", "dialect", "repeated_rows", "fewest_patients", "keep_unlabelled")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    REPEATED_ROWS_FIELD_NUMBER: _ClassVar[int]
    FEWEST_PATIENTS_FIELD_NUMBER: _ClassVar[int]
    KEEP_UNLABELLED_FIELD_NUMBER: _ClassVar[int]
    name: str
    table: bytes
    columns: TableColumns
    task: _dataset_pb2.Task
    classes: _containers.RepeatedScalarFieldContainer[str]
    split: Split
    dialect: TableDialect
    repeated_rows: RepeatedRows
    fewest_patients: int
    keep_unlabelled: bool
    def __init__(self, name: _Optional[str] = ..., table: _Optional[bytes] = ..., columns: _Optional[_Union[TableColumns, _Mapping]] = ..., task: _Optional[_Union[_dataset_pb2.Task, str]] = ..., classes: _Optional[_Iterable[str]] = ..., split: _Optional[_Union[Split, _Mapping]] = ..., dialect: _Optional[_Union[TableDialect, _Mapping]] = ..., repeated_rows: _Optional[_Union[RepeatedRows, str]] = ..., fewest_patients: _Optional[int] = ..., keep_unlabelled: _Optional[bool] = ...) -> None: ...

class TableDialect(_message.Message):
    __slots__ = ("separator", "encoding", "decimal", "label_separator", "sheet", "synonyms")
    class SynonymsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DECIMAL_FIELD_NUMBER: _ClassVar[int]
    LABEL_SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    SHEET_FIELD_NUMBER: _ClassVar[int]
    SYNONYMS_FIELD_NUMBER: _ClassVar[int]
    separator: str
    encoding: str
    decimal: str
    label_separator: str
    sheet: str
    synonyms: _containers.ScalarMap[str, str]
    def __init__(self, separator: _Optional[str] = ..., encoding: _Optional[str] = ..., decimal: _Optional[str] = ..., label_separator: _Optional[str] = ..., sheet: _Optional[str] = ..., synonyms: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TableColumns(_message.Message):
    __slots__ = ("recording", "label", "patient", "part", "time", "label_columns", "part_values")
    class PartValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LABEL_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PART_VALUES_FIELD_NUMBER: _ClassVar[int]
    recording: str
    label: str
    patient: str
    part: str
    time: str
    label_columns: _containers.RepeatedScalarFieldContainer[str]
    part_values: _containers.ScalarMap[str, str]
    def __init__(self, recording: _Optional[str] = ..., label: _Optional[str] = ..., patient: _Optional[str] = ..., part: _Optional[str] = ..., time: _Optional[str] = ..., label_columns: _Optional[_Iterable[str]] = ..., part_values: _Optional[_Mapping[str, str]] = ...) -> None: ...

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

class GetDatasetReportRequest(_message.Message):
    __slots__ = ("dataset_id", "kind")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    kind: _dataset_pb2.ReportKind
    def __init__(self, dataset_id: _Optional[str] = ..., kind: _Optional[_Union[_dataset_pb2.ReportKind, str]] = ...) -> None: ...

class GetDatasetReportResponse(_message.Message):
    __slots__ = ("csv",)
    CSV_FIELD_NUMBER: _ClassVar[int]
    csv: bytes
    def __init__(self, csv: _Optional[bytes] = ...) -> None: ...
