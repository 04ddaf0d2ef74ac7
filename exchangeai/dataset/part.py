"""One part of a data set, open for reading: memory-mapped windows, gathered as float32 millivolts.

Shapes: N windows, C classes, n chosen windows.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.dataset.manifest import PARTS, DatasetManifest, Shard
from exchangeai.dataset.shards import WINDOW_SHAPE, WINDOW_VALUES, label_dtype, schema
from exchangeai.errors import ContractViolation

pa: Any = _untyped
_ROW_BYTES = 2 * WINDOW_VALUES
_ASKED_BYTES = 4 * _ROW_BYTES
"""Linux cuts a request off at what the device takes at once, often 512 KiB."""


@dataclass(frozen=True, kw_only=True)
class ShardFile:
    """Where a shard lies on this machine, and which rows of the part it holds: `first` to `first + rows`."""

    path: Path
    first: int
    rows: int
    offsets: npt.NDArray[np.int64]
    """int64 [rows]: where in the file each window begins."""


class WindowArray:
    """Read-only int16 [N, 12, 5000] over several memory maps; index it like an array."""

    dtype = np.dtype(np.int16)

    def __init__(self, chunks: Sequence[npt.NDArray[np.int16]]) -> None:
        self._chunks = list(chunks)
        self._flat = [x.reshape(-1, WINDOW_VALUES) for x in self._chunks]
        self._starts = np.cumsum([0, *(len(x) for x in self._chunks)])
        self.shape = (int(self._starts[-1]), *WINDOW_SHAPE)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[np.int16]:
        """An integer gives a view [12, 5000]; a slice, a mask or integers give a copy [n, 12, 5000]."""
        if hasattr(index, "__index__") and np.ndim(index) == 0:
            row = range(len(self))[operator.index(index)]
            chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
            return self._chunks[chunk][row - int(self._starts[chunk])]
        chosen = np.arange(len(self))[index]
        out = np.empty((len(chosen), *WINDOW_SHAPE), np.int16)
        for i, row in enumerate(self.views(chosen)):
            out[i] = row
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def views(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int16]]:
        """Views [12, 5000] of the rows, which must exist; one search for all of them."""
        return [self._chunks[c][r] for c, r in self._places(rows)]

    def cast(self, rows: npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
        """Write the rows, which must exist, to `out`, C-contiguous float32 [n, 12, 5000]."""
        flat = out.reshape(len(out), WINDOW_VALUES)
        for i, (chunk, within) in enumerate(self._places(rows)):
            flat[i] = self._flat[chunk][within]

    def _places(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """(chunk, place in it) of each row."""
        chunks = np.searchsorted(self._starts, rows, side="right") - 1
        return zip(chunks.tolist(), (rows - self._starts[chunks]).tolist(), strict=True)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a data set, open for reading; every field has one entry per window."""

    values: WindowArray
    """int16 [N, 12, 5000], memory-mapped"""
    uv_per_lsb: npt.NDArray[np.float32]
    valid_samples: npt.NDArray[np.int32]
    labels: npt.NDArray[Any]
    """uint8 [N, C]; float32 [N, C] when the task is regression, NaN = no value"""
    recording_ids: list[str]
    patient_keys: list[str]
    sex: list[str | None]
    age_years: list[int | None]
    device_model: list[str | None]
    files: tuple[ShardFile, ...] = ()
    """The shards in the order of their rows."""

    def __len__(self) -> int:
        return len(self.values)

    def steps(self, index: Any, out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
        """The chosen windows (slice, mask or integers) as stored, but float32 [n, 12, 5000].

        Times `mv_per_step` they are millivolts: for callers that multiply anyway, because a pass of its own
        costs a quarter of what gathering and casting cost. `out`, C-contiguous float32 [at least n, 12,
        5000], takes the values and is returned as far as it was filled: a loop that gives the same `out`
        again saves the page faults of fresh memory, which cost more than the conversion. Raises ValueError
        for another `out`.
        """
        rows, filled = self._room(index, out)
        self.values.cast(rows, filled)
        return filled

    def mv_per_step(self, index: Any) -> npt.NDArray[np.float32]:
        """What a step of each chosen window is, float32 [n, 1, 1], mV."""
        return (self.uv_per_lsb[index] / np.float32(1000)).reshape(-1, 1, 1)

    def millivolts(self, index: Any, out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
        """The chosen windows as models take them, float32 [n, 12, 5000], mV; `index` and `out` as in `steps`.

        Each window is cast and scaled while it is in the core's cache.
        """
        rows, filled = self._room(index, out)
        scales_mv = self.mv_per_step(rows).reshape(-1)
        for window, target, scale in zip(self.values.views(rows), filled, scales_mv, strict=True):
            target[...] = window
            np.multiply(target, scale, out=target)
        return filled

    def _room(
        self, index: Any, out: npt.NDArray[np.float32] | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The chosen rows, and where they go."""
        rows = np.arange(len(self))[index]
        filled = np.empty((len(rows), *WINDOW_SHAPE), np.float32) if out is None else out[: len(rows)]
        fits = filled.dtype == np.float32 and filled.shape == (len(rows), *WINDOW_SHAPE)
        if not fits or not filled.flags.c_contiguous:
            raise ValueError(
                f"out is {filled.dtype} {filled.shape}, not C-contiguous float32 [{len(rows)}, 12, 5000]"
            )
        return rows, filled

    def will_need(self, index: Any) -> None:
        """Ask the system to read these windows from the disk soon; returns at once."""
        rows = np.sort(np.arange(len(self))[index])
        if not hasattr(os, "posix_fadvise"):  # a hint, which not every system takes
            return
        for file in self.files:
            here = rows[np.searchsorted(rows, file.first) : np.searchsorted(rows, file.first + file.rows)]
            if not len(here):
                continue
            descriptor = os.open(file.path, os.O_RDONLY)
            try:
                for offset, count in _runs(file.offsets[here - file.first]):
                    os.posix_fadvise(descriptor, offset, count, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)


def open_part(
    folder: Path, manifest: DatasetManifest, part: Literal["train", "validation", "test"] | str
) -> Part:
    """Map one part that `download` has put into `folder`. Raises ContractViolation when it is damaged."""
    if part not in manifest.parts:
        raise ContractViolation(f"a data set has the parts {', '.join(PARTS)}, not {part!r}")
    classes = len(manifest.classes)
    batches: list[Any] = []
    files: list[ShardFile] = []
    first = 0
    for shard in manifest.parts[part].shards:
        path = folder / shard.key.rpartition("/")[2]
        found, base = open_shard(folder, manifest, shard)
        offsets = np.concatenate([np.empty(0, np.int64), *(_offsets(x, base) for x in found)])
        files.append(ShardFile(path=path, first=first, rows=shard.rows, offsets=offsets))
        batches.extend(found)
        first += shard.rows
    return Part(
        values=WindowArray([_values(x, "window").reshape(-1, *WINDOW_SHAPE) for x in batches]),
        uv_per_lsb=_joined(batches, "uv_per_lsb", np.float32),
        valid_samples=_joined(batches, "valid_samples", np.int32),
        labels=_joined(batches, "label", label_dtype(manifest.task)).reshape(-1, classes),
        recording_ids=_texts(batches, "recording_id"),
        patient_keys=_texts(batches, "patient_key"),
        sex=_texts(batches, "sex"),
        age_years=_texts(batches, "age_years"),
        device_model=_texts(batches, "device_model"),
        files=tuple(files),
    )


def open_shard(folder: Path, manifest: DatasetManifest, shard: Shard) -> tuple[list[Any], int]:
    """(Arrow record batches of a shard, the address at which its file is mapped).

    Raises ContractViolation when it is damaged.
    """
    name = shard.key.rpartition("/")[2]
    try:
        source: Any = pa.memory_map(str(folder / name), "r")
        base: int = source.read_buffer(1).address
        reader: Any = pa.ipc.open_file(source)
        found = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    except (OSError, pa.ArrowInvalid) as e:
        raise ContractViolation(f"the shard {name} cannot be read ({type(e).__name__})") from e
    wanted = schema(len(manifest.classes), manifest.task)
    if not reader.schema.equals(wanted) or sum(x.num_rows for x in found) != shard.rows:
        raise ContractViolation(f"the shard {name} has other columns or rows than the manifest says")
    return found, base


def _values(batch: Any, name: str) -> npt.NDArray[Any]:
    column = batch.column(name)
    flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    return flat.to_numpy(zero_copy_only=True)


def _runs(offsets: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of neighbours together, as far as systems read ahead for one request."""
    begin = end = int(offsets[0])
    for offset in offsets.tolist():
        if end > begin and (offset != end or end - begin >= _ASKED_BYTES):
            yield begin, end - begin
            begin = offset
        end = offset + _ROW_BYTES
    yield begin, end - begin


def _offsets(batch: Any, base: int) -> npt.NDArray[np.int64]:
    """Where in its file, mapped at `base`, each window of a batch begins."""
    begin: int = _values(batch, "window").__array_interface__["data"][0]
    rows: int = batch.num_rows
    return begin - base + _ROW_BYTES * np.arange(rows, dtype=np.int64)


def _joined(batches: Sequence[Any], name: str, dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *(_values(x, name) for x in batches)])


def _texts(batches: Sequence[Any], name: str) -> list[Any]:
    return [x for batch in batches for x in batch.column(name).to_pylist()]
