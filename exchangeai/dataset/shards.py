"""Shards: uncompressed Arrow IPC files of windows with labels, written row by row.

Objects under `datasets/<dataset_id>/`: `<part>-<5 digits>.arrow` (the shards) and `manifest.json`, written
last. A shard holds at most 1024 rows; a row is one window:

    recording_id   utf8                         patient_key    utf8
    window         fixed_size_list<int16>[60000], 12 leads x 5000 samples, lead after lead
    uv_per_lsb     float32                      valid_samples  int32
    label          fixed_size_list<uint8>[C], or <float32>[C] for numeric targets, NaN = no value
    sex            utf8, null = unknown         age_years      int16, null = unknown
    device_model   utf8, null = unknown

Equal data give equal bytes. Any reader of Arrow (pyarrow, polars, DuckDB) opens a shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.dataset.manifest import Shard
from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12

pa: Any = _untyped

MAX_SHARD_ROWS = 1024
"""123 MB: small enough to move and to check, large enough to read in sequence."""
ROWS_PER_BATCH = 64
"""Rows that a writer holds in memory, 8 MB."""
WINDOW_SHAPE = (len(STANDARD_12), 5000)
WINDOW_VALUES = WINDOW_SHAPE[0] * WINDOW_SHAPE[1]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One window with its labels."""

    recording_id: str
    patient_key: str
    window: npt.NDArray[np.int16]
    """int16 [12, 5000]"""
    uv_per_lsb: float
    valid_samples: int
    label: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    """uint8 [C] of 0 and 1; float32 [C] when the task is regression"""
    sex: str | None = None
    age_years: int | None = None
    device_model: str | None = None


def label_dtype(task: Task) -> npt.DTypeLike:
    """What a label is stored as: uint8, or float32 for numeric targets."""
    return np.float32 if task is Task.REGRESSION else np.uint8


def schema(classes: int, task: Task = Task.MULTI_LABEL) -> Any:
    """The Arrow schema of a shard with that many classes."""
    return pa.schema([*_columns(classes, task, _fixed(pa.int16(), WINDOW_VALUES))])


def schema_for_exchange(classes: int, task: Task = Task.MULTI_LABEL) -> Any:
    """The same columns with a window as bytes (little-endian int16): what Parquet stores best."""
    return pa.schema([*_columns(classes, task, pa.binary())])


def _columns(classes: int, task: Task, window: Any) -> list[Any]:
    label = pa.from_numpy_dtype(label_dtype(task))
    return [
        pa.field("recording_id", pa.utf8(), nullable=False),
        pa.field("patient_key", pa.utf8(), nullable=False),
        pa.field("window", window, nullable=False),
        pa.field("uv_per_lsb", pa.float32(), nullable=False),
        pa.field("valid_samples", pa.int32(), nullable=False),
        pa.field("label", _fixed(label, classes), nullable=False),
        pa.field("sex", pa.utf8()),
        pa.field("age_years", pa.int16()),
        pa.field("device_model", pa.utf8()),
    ]


class ShardWriter:
    """Writes one shard row by row, holding at most 64 rows in memory; a context manager."""

    def __init__(self, path: Path, classes: int, task: Task = Task.MULTI_LABEL) -> None:
        self.rows = 0
        self._path = path
        self._classes = classes
        self._schema = schema(classes, task)
        self._dtype = np.dtype(label_dtype(task))
        self._held: list[Row] = []
        self._sink: Any = pa.OSFile(str(path), "wb")
        self._writer: Any = pa.ipc.new_file(self._sink, self._schema)

    def add(self, row: Row) -> None:
        """Append a row. Raises ContractViolation for a wrong shape, ValueError when the shard is full."""
        if row.window.shape != WINDOW_SHAPE or row.window.dtype != np.int16:
            raise ContractViolation(
                f"a window is {row.window.dtype} {row.window.shape}, not int16 [12, 5000]"
            )
        if row.label.shape != (self._classes,) or row.label.dtype != self._dtype:
            raise ContractViolation(
                f"a label is {row.label.dtype} {row.label.shape}, not {self._dtype} [{self._classes}]"
            )
        if self.rows == MAX_SHARD_ROWS:
            raise ValueError("the shard is full")
        self._held.append(row)
        self.rows += 1
        if len(self._held) == ROWS_PER_BATCH:
            self._flush()

    def finish(self, key: str) -> Shard:
        """Close the file and describe it."""
        self._flush()
        self._close()
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Shard(key=key, sha256=digest, rows=self.rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_batch(_batch(self._held, self._schema))
            self._held.clear()

    def _close(self) -> None:
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()


def write_shard(
    path: Path, rows: Sequence[Row], classes: int, key: str, task: Task = Task.MULTI_LABEL
) -> Shard:
    """Write at most 1024 rows as one shard."""
    with ShardWriter(path, classes, task) as writer:
        for row in rows:
            writer.add(row)
        return writer.finish(key)


def _fixed(kind: Any, size: int) -> Any:
    return pa.list_(pa.field("item", kind, nullable=False), size)


def _batch(rows: Sequence[Row], wanted: Any) -> Any:
    windows = np.concatenate([x.window.reshape(-1) for x in rows])
    labels = np.concatenate([x.label for x in rows])
    columns: list[Any] = [
        pa.array([x.recording_id for x in rows], pa.utf8()),
        pa.array([x.patient_key for x in rows], pa.utf8()),
        pa.FixedSizeListArray.from_arrays(pa.array(windows), type=wanted.field("window").type),
        pa.array([x.uv_per_lsb for x in rows], pa.float32()),
        pa.array([x.valid_samples for x in rows], pa.int32()),
        pa.FixedSizeListArray.from_arrays(pa.array(labels), type=wanted.field("label").type),
        pa.array([x.sex for x in rows], pa.utf8()),
        pa.array([x.age_years for x in rows], pa.int16()),
        pa.array([x.device_model for x in rows], pa.utf8()),
    ]
    return pa.record_batch(columns, schema=wanted)
