"""Data sets at rest: shards of windows with labels, and the manifest; the preprocess → trainer contract.

Objects under `datasets/<dataset_id>/`: `<part>-<5 digits>.arrow` (the shards) and `manifest.json`, written
last. A shard is an uncompressed Arrow IPC file of at most 1024 rows; a row is one window:

    recording_id   utf8                         patient_key    utf8
    window         fixed_size_list<int16>[60000], 12 leads x 5000 samples, lead after lead
    uv_per_lsb     float32                      valid_samples  int32
    label          fixed_size_list<uint8>[C]    sex            utf8, null = unknown
    age_years      int16, null = unknown

Equal data give equal bytes. Shards are read through a memory map: a window costs no copy until it is used.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import ContractViolation
from exchangeai.facts import JoinReport, Task
from exchangeai.leads import STANDARD_12

pa: Any = _untyped

MANIFEST_VERSION = 1
PARTS = ("train", "validation", "test")
MAX_SHARD_ROWS = 1024
"""123 MB: small enough to move and to check, large enough to read in sequence."""
ROWS_PER_BATCH = 64
"""Rows that a writer holds in memory, 8 MB."""
WINDOW_SHAPE = (len(STANDARD_12), 5000)
_WINDOW_VALUES = WINDOW_SHAPE[0] * WINDOW_SHAPE[1]
_SHARD_NAME = re.compile(r"(?:train|validation|test)-[0-9]{5}\.arrow")


class FileSource(Protocol):
    """What `download` needs of a store (`exchangeai.store.BlockingStore` has it)."""

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises NotFound."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, which appears whole or not at all."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One stored shard."""

    key: str
    sha256: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class PartManifest:
    """One part: `positives` counts recordings, in class order; rows are windows."""

    shards: tuple[Shard, ...] = ()
    recordings: int = 0
    patients: int = 0
    positives: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Windows in all shards."""
        return sum(x.rows for x in self.shards)


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """Everything about a data set that is not its windows."""

    version: int = MANIFEST_VERSION
    dataset_id: str
    name: str
    task: Task
    classes: tuple[str, ...]
    parts: dict[str, PartManifest]
    """Keys: `train`, `validation`, `test`; each is there, perhaps without shards."""
    preprocessing_version: str
    code_version: str
    seed: int
    report: JoinReport = field(default_factory=JoinReport)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One window with its labels."""

    recording_id: str
    patient_key: str
    window: npt.NDArray[np.int16]
    """int16 [12, 5000]"""
    uv_per_lsb: float
    valid_samples: int
    label: npt.NDArray[np.uint8]
    """uint8 [C]"""
    sex: str | None = None
    age_years: int | None = None


def manifest_key(dataset_id: str) -> str:
    """Object key of the manifest."""
    return f"datasets/{dataset_id}/manifest.json"


def shard_key(dataset_id: str, part: str, index: int) -> str:
    """Object key of a shard."""
    return f"datasets/{dataset_id}/{part}-{index:05d}.arrow"


def encode_manifest(manifest: DatasetManifest) -> bytes:
    """JSON, UTF-8; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(data: bytes) -> DatasetManifest:
    """Read and check a manifest. Raises ContractViolation, which says what is wrong."""
    try:
        manifest = msgspec.json.decode(data, type=DatasetManifest)
    except msgspec.MsgspecError as e:
        raise ContractViolation(f"the data set's manifest is malformed: {e}") from e
    if manifest.version != MANIFEST_VERSION:
        raise ContractViolation(
            f"the data set's manifest has version {manifest.version}; this program reads {MANIFEST_VERSION}"
        )
    if set(manifest.parts) != set(PARTS) or not manifest.classes:
        raise ContractViolation(
            f"the data set's manifest must name its classes and the parts {', '.join(PARTS)}"
        )
    for part, stored in manifest.parts.items():
        for shard in stored.shards:
            name = shard.key.rpartition("/")[2]
            if not _SHARD_NAME.fullmatch(name) or not name.startswith(part):
                raise ContractViolation(f"the data set's manifest names a shard of {part} that is none")
    return manifest


def schema(classes: int) -> Any:
    """The Arrow schema of a shard with that many classes."""
    fields: list[Any] = [
        pa.field("recording_id", pa.utf8(), nullable=False),
        pa.field("patient_key", pa.utf8(), nullable=False),
        pa.field("window", _fixed(pa.int16(), _WINDOW_VALUES), nullable=False),
        pa.field("uv_per_lsb", pa.float32(), nullable=False),
        pa.field("valid_samples", pa.int32(), nullable=False),
        pa.field("label", _fixed(pa.uint8(), classes), nullable=False),
        pa.field("sex", pa.utf8()),
        pa.field("age_years", pa.int16()),
    ]
    return pa.schema(fields)


class ShardWriter:
    """Writes one shard row by row, holding at most 64 rows in memory; a context manager."""

    def __init__(self, path: Path, classes: int) -> None:
        self.rows = 0
        self._path = path
        self._classes = classes
        self._held: list[Row] = []
        self._sink: Any = pa.OSFile(str(path), "wb")
        self._writer: Any = pa.ipc.new_file(self._sink, schema(classes))

    def add(self, row: Row) -> None:
        """Append a row. Raises ContractViolation for a wrong shape, ValueError when the shard is full."""
        if row.window.shape != WINDOW_SHAPE or row.window.dtype != np.int16:
            raise ContractViolation(
                f"a window is {row.window.dtype} {row.window.shape}, not int16 [12, 5000]"
            )
        if row.label.shape != (self._classes,):
            raise ContractViolation(f"a label is {row.label.shape}, not [{self._classes}]")
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
            self._writer.write_batch(_batch(self._held, self._classes))
            self._held.clear()

    def _close(self) -> None:
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()


def write_shard(path: Path, rows: Sequence[Row], classes: int, key: str) -> Shard:
    """Write at most 1024 rows as one shard."""
    with ShardWriter(path, classes) as writer:
        for row in rows:
            writer.add(row)
        return writer.finish(key)


class WindowArray:
    """Read-only int16 [N, 12, 5000] over several memory maps; index it like an array."""

    dtype = np.dtype(np.int16)

    def __init__(self, chunks: Sequence[npt.NDArray[np.int16]]) -> None:
        self._chunks = list(chunks)
        self._starts = np.cumsum([0, *(len(x) for x in self._chunks)])
        self.shape = (int(self._starts[-1]), *WINDOW_SHAPE)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[np.int16]:
        """An integer gives a view [12, 5000]; a slice, a mask or integers give a copy [n, 12, 5000]."""
        if hasattr(index, "__index__") and np.ndim(index) == 0:
            return self._row(range(len(self))[operator.index(index)])
        chosen = np.arange(len(self))[index]
        out = np.empty((len(chosen), *WINDOW_SHAPE), np.int16)
        for i, row in enumerate(chosen):
            out[i] = self._row(int(row))
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _row(self, row: int) -> npt.NDArray[np.int16]:
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._chunks[chunk][row - int(self._starts[chunk])]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a data set, open for reading; every field has one entry per window."""

    values: WindowArray
    """int16 [N, 12, 5000], memory-mapped"""
    uv_per_lsb: npt.NDArray[np.float32]
    valid_samples: npt.NDArray[np.int32]
    labels: npt.NDArray[np.uint8]
    """uint8 [N, C]"""
    recording_ids: list[str]
    patient_keys: list[str]
    sex: list[str | None]
    age_years: list[int | None]

    def __len__(self) -> int:
        return len(self.values)

    def millivolts(self, index: Any) -> npt.NDArray[np.float32]:
        """The chosen windows (slice, mask or integers) as models take them: float32 [n, 12, 5000], mV."""
        scale: npt.NDArray[np.float32] = (self.uv_per_lsb[index] / np.float32(1000))[:, None, None]
        return np.multiply(self.values[index], scale, dtype=np.float32)


def open_part(
    folder: Path, manifest: DatasetManifest, part: Literal["train", "validation", "test"] | str
) -> Part:
    """Map one part that `download` has put into `folder`. Raises ContractViolation when it is damaged."""
    if part not in manifest.parts:
        raise ContractViolation(f"a data set has the parts {', '.join(PARTS)}, not {part!r}")
    classes = len(manifest.classes)
    batches: list[Any] = []
    for shard in manifest.parts[part].shards:
        name = shard.key.rpartition("/")[2]
        try:
            reader: Any = pa.ipc.open_file(pa.memory_map(str(folder / name), "r"))
            found = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except (OSError, pa.ArrowInvalid) as e:
            raise ContractViolation(f"the shard {name} cannot be read ({type(e).__name__})") from e
        if not reader.schema.equals(schema(classes)) or sum(x.num_rows for x in found) != shard.rows:
            raise ContractViolation(f"the shard {name} has other columns or rows than the manifest says")
        batches.extend(found)
    return Part(
        values=WindowArray([_values(x, "window").reshape(-1, *WINDOW_SHAPE) for x in batches]),
        uv_per_lsb=_joined(batches, "uv_per_lsb", np.float32),
        valid_samples=_joined(batches, "valid_samples", np.int32),
        labels=_joined(batches, "label", np.uint8).reshape(-1, classes),
        recording_ids=_texts(batches, "recording_id"),
        patient_keys=_texts(batches, "patient_key"),
        sex=_texts(batches, "sex"),
        age_years=_texts(batches, "age_years"),
    )


def download(store: FileSource, dataset_id: str, folder: Path) -> DatasetManifest:
    """Bring a data set into `folder`, keeping files that are already there and whole.

    Several processes may do so at once: each file appears under its name by one rename. Raises NotFound
    when the data set has no manifest (it is not complete), ContractViolation when a digest is wrong.
    """
    manifest = decode_manifest(store.get(manifest_key(dataset_id)))
    folder.mkdir(parents=True, exist_ok=True)
    for stored in manifest.parts.values():
        for shard in stored.shards:
            name = shard.key.rpartition("/")[2]
            if _digest(folder / name) == shard.sha256:
                continue
            store.get_file(shard.key, folder / name)
            if _digest(folder / name) != shard.sha256:
                raise ContractViolation(f"the shard {name} differs from the data set's manifest")
    return manifest


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _fixed(kind: Any, size: int) -> Any:
    return pa.list_(pa.field("item", kind, nullable=False), size)


def _batch(rows: Sequence[Row], classes: int) -> Any:
    windows = np.concatenate([x.window.reshape(-1) for x in rows])
    labels = np.concatenate([x.label for x in rows])
    columns: list[Any] = [
        pa.array([x.recording_id for x in rows], pa.utf8()),
        pa.array([x.patient_key for x in rows], pa.utf8()),
        pa.FixedSizeListArray.from_arrays(pa.array(windows), type=_fixed(pa.int16(), _WINDOW_VALUES)),
        pa.array([x.uv_per_lsb for x in rows], pa.float32()),
        pa.array([x.valid_samples for x in rows], pa.int32()),
        pa.FixedSizeListArray.from_arrays(pa.array(labels), type=_fixed(pa.uint8(), classes)),
        pa.array([x.sex for x in rows], pa.utf8()),
        pa.array([x.age_years for x in rows], pa.int16()),
    ]
    return pa.record_batch(columns, schema=schema(classes))


def _values(batch: Any, name: str) -> npt.NDArray[Any]:
    column = batch.column(name)
    flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    return flat.to_numpy(zero_copy_only=True)


def _joined(batches: Sequence[Any], name: str, dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *(_values(x, name) for x in batches)])


def _texts(batches: Sequence[Any], name: str) -> list[Any]:
    return [x for batch in batches for x in batch.column(name).to_pylist()]
