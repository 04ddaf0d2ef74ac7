"""Write one part of a data set shard by shard: windows come from the store, finished shards go back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exchangeai.dataset import MAX_SHARD_ROWS, Row, Shard, ShardWriter, shard_key
from exchangeai.errors import NotFound
from exchangeai.signal import windows as windows_at_rest
from exchangeai.store import ObjectStore
from services.preprocess.analysis import windows_key
from services.preprocess.request import RequestedRecording


class PartWriter:
    """Holds the rows of one `add` and one open shard file; nothing grows with the data set."""

    def __init__(self, store: ObjectStore, folder: Path, dataset_id: str, part: str, classes: int) -> None:
        self._store = store
        self._folder = folder
        self._dataset_id = dataset_id
        self._part = part
        self._classes = classes
        self._writer: ShardWriter | None = None
        self._shards: list[Shard] = []

    async def add(self, recordings: Sequence[RequestedRecording]) -> list[str]:
        """Append the windows of recordings; returns the ids of those whose windows are gone."""
        loaded = await asyncio.gather(*(self._load(x) for x in recordings))
        rows = [row for found in loaded if found is not None for row in found]
        while rows:
            writer = self._writer or ShardWriter(self._path, self._classes)
            self._writer = writer
            space = MAX_SHARD_ROWS - writer.rows
            await asyncio.to_thread(_append, writer, rows[:space])
            rows = rows[space:]
            if writer.rows == MAX_SHARD_ROWS:
                await self._ship(writer)
        return [x.recording_id for x, found in zip(recordings, loaded, strict=True) if found is None]

    async def finish(self) -> tuple[Shard, ...]:
        """Store the last shard and name all of them."""
        if self._writer is not None:
            await self._ship(self._writer)
        return tuple(self._shards)

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

    async def _load(self, recording: RequestedRecording) -> list[Row] | None:
        try:
            stored = await self._store.get(windows_key(recording.recording_id))
        except NotFound:
            return None
        windows = windows_at_rest.from_bytes(stored)
        label = np.zeros(self._classes, np.uint8)
        label[list(recording.labels)] = 1
        return [
            Row(
                recording_id=recording.recording_id,
                patient_key=recording.patient_key,
                window=window,
                uv_per_lsb=windows.uv_per_lsb,
                valid_samples=int(valid),
                label=label,
                sex=recording.sex,
                age_years=recording.age_years,
            )
            for window, valid in zip(windows.values, windows.valid_samples, strict=True)
        ]


def _append(writer: ShardWriter, rows: Sequence[Row]) -> None:
    for row in rows:
        writer.add(row)
