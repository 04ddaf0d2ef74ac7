"""Write one part of a data set shard by shard: windows come from the store, finished shards go back to it.

After each shard the place that was reached is stored too, so that a build cut off anywhere goes on with the
next shard and ends in the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exchangeai.dataset import MAX_SHARD_ROWS, Row, Shard, ShardWriter, shard_key
from exchangeai.errors import NotFound
from exchangeai.facts import Task
from exchangeai.signal import windows as windows_at_rest
from exchangeai.store import ObjectStore
from services.preprocess.analysis import windows_key
from services.preprocess.request import RequestedRecording


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A recording and its place in the request."""

    index: int
    recording: RequestedRecording
    skip: int = 0
    """Windows that are in finished shards already."""


@dataclass(frozen=True, kw_only=True)
class PartProgress:
    """How far a part has come: what its finished shards hold."""

    shards: tuple[Shard, ...] = ()
    next_index: int = 0
    """The first recording of the request that has windows outside them."""
    skip: int = 0
    """How many of its windows they hold."""
    gone: tuple[str, ...] = ()
    """Recordings whose windows were deleted meanwhile."""
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The rows of some recordings, each with the place that is reached when it is written."""

    rows: list[tuple[Row, int, int]]
    gone: tuple[str, ...]


class PartWriter:
    """Holds one open shard file and the rows of the batch in hand; nothing grows with the data set.

    `shipped` is told after each shard that has been stored.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: Path,
        dataset_id: str,
        part: str,
        classes: int,
        task: Task,
        begin: PartProgress,
        shipped: Callable[[PartProgress], Awaitable[None]],
    ) -> None:
        self._store = store
        self._folder = folder
        self._dataset_id = dataset_id
        self._part = part
        self._classes = classes
        self._task = task
        self._shipped = shipped
        self._writer: ShardWriter | None = None
        self._shards = list(begin.shards)
        self._reached = (begin.next_index, begin.skip)
        self._gone = list(begin.gone)

    async def load(self, recordings: Sequence[Placed]) -> Loaded:
        """Fetch the windows of recordings; may run while another batch is being added."""
        loaded = await asyncio.gather(*(self._rows(x) for x in recordings))
        return Loaded(
            rows=[row for found in loaded if found is not None for row in found],
            gone=tuple(
                x.recording.recording_id for x, found in zip(recordings, loaded, strict=True) if found is None
            ),
        )

    async def add(self, loaded: Loaded) -> None:
        """Append rows; stores each shard that becomes full."""
        self._gone.extend(loaded.gone)
        rows = loaded.rows
        while rows:
            writer = self._writer or ShardWriter(self._path, self._classes, self._task)
            self._writer = writer
            space = MAX_SHARD_ROWS - writer.rows
            await asyncio.to_thread(_append, writer, [x[0] for x in rows[:space]])
            last = rows[:space][-1]
            self._reached = (last[1], last[2])
            rows = rows[space:]
            if writer.rows == MAX_SHARD_ROWS:
                await self._ship(writer)

    async def finish(self) -> PartProgress:
        """Store the last shard and name all of them."""
        if self._writer is not None:
            await self._ship(self._writer)
        done = self._progress(finished=True)
        await self._shipped(done)
        return done

    def _progress(self, *, finished: bool) -> PartProgress:
        return PartProgress(
            shards=tuple(self._shards),
            next_index=self._reached[0],
            skip=self._reached[1],
            gone=tuple(self._gone),
            finished=finished,
        )

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._part}-{len(self._shards):05d}.arrow"

    async def _ship(self, writer: ShardWriter) -> None:
        path = self._path
        shard = await asyncio.to_thread(
            writer.finish, shard_key(self._dataset_id, self._part, len(self._shards))
        )
        await self._store.put_file(shard.key, path)
        path.unlink()
        self._shards.append(shard)
        self._writer = None
        await self._shipped(self._progress(finished=False))

    async def _rows(self, place: Placed) -> list[tuple[Row, int, int]] | None:
        x = place.recording
        try:
            stored = await self._store.get(windows_key(x.recording_id))
        except NotFound:
            return None
        windows = windows_at_rest.from_bytes(stored)
        label = _label(x, self._classes, self._task)
        rows: list[tuple[Row, int, int]] = []
        for i in range(place.skip, len(windows)):
            row = Row(
                recording_id=x.recording_id,
                patient_key=x.patient_key,
                window=windows.values[i],
                uv_per_lsb=windows.uv_per_lsb,
                valid_samples=int(windows.valid_samples[i]),
                label=label,
                sex=x.sex,
                age_years=x.age_years,
                device_model=x.device_model,
            )
            last = i + 1 == len(windows)
            rows.append((row, place.index + last, 0 if last else i + 1))
        return rows


def _label(
    x: RequestedRecording, classes: int, task: Task
) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    if task is Task.REGRESSION:
        return np.array([np.nan if v is None else v for v in x.values], np.float32)
    label = np.zeros(classes, np.uint8)
    label[list(x.labels)] = 1
    return label


def _append(writer: ShardWriter, rows: Sequence[Row]) -> None:
    for row in rows:
        writer.add(row)
