"""What callers ask of preprocessing: windows, measurements, and data sets to be built."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from exchangeai.bus import Bus, FactIndex
from exchangeai.errors import Conflict, InvalidArgument, NotFound, NotReady
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.facts import DatasetFact, DatasetState, PreprocessedFact, RecordingFact, Task
from exchangeai.keys import name_key, patient_key
from exchangeai.signal import PREPROCESSING_VERSION, Windows
from exchangeai.signal import windows as windows_at_rest
from exchangeai.store import ObjectStore
from services.preprocess.analysis import Analysis, analysis_key, decode, windows_key
from services.preprocess.join import Joined, Keys, join
from services.preprocess.request import (
    DatasetRequest,
    RequestedRecording,
    encode_request,
    request_id,
    request_key,
    summarise,
)
from services.preprocess.split import Shares, split
from services.preprocess.table import Columns, parse_table


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A data set as the caller describes it."""

    name: str
    table: bytes
    columns: Columns
    task: Task
    classes: tuple[str, ...]
    shares: Shares


class Catalogue:
    """Answers about preprocessed recordings and data sets."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        datasets: FactIndex[DatasetFact],
        site_key: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._store = store
        self._index = datasets
        self._clock = clock
        self._recordings = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._datasets = bus.facts(DatasetFact)
        self._keys = Keys(
            name=lambda name: name_key(site_key, name), patient=lambda patient: patient_key(site_key, patient)
        )

    async def windows(self, recording_id: str) -> Windows:
        """The tensor contract of a recording. Raises NotFound, NotReady, InvalidArgument."""
        return windows_at_rest.from_bytes(await self._stored(recording_id, windows_key(recording_id)))

    async def analysis(self, recording_id: str) -> Analysis:
        """Measurements and quality. Raises NotFound, NotReady, InvalidArgument."""
        return decode(await self._stored(recording_id, analysis_key(recording_id)))

    async def build(self, wish: Wish) -> DatasetFact:
        """Join, split, store the request and queue the build; an equal request is the same data set.

        Raises InvalidArgument for a table, join or split that cannot become a data set. One that failed
        before is queued again.
        """
        # Read from the server, not from a copy, so that whatever was uploaded before this call is seen.
        recordings = list((await self._recordings.all()).values())
        request = await asyncio.to_thread(_request, wish, recordings, self._keys)
        encoded = encode_request(request)
        dataset_id = request_id(encoded)
        await self._store.put(request_key(dataset_id), encoded)
        fact = DatasetFact(
            dataset_id=dataset_id,
            name=request.name,
            state=DatasetState.QUEUED,
            task=request.task,
            classes=request.classes,
            parts=summarise(request.recordings, len(request.classes)),
            report=request.report,
            created_at=self._clock(),
        )
        dedup_id = dataset_id
        try:
            await self._datasets.create(dataset_id, fact)
        except Conflict:
            now = fact
            fact = await self._datasets.change(dataset_id, lambda old: _again(old, now))
            dedup_id = f"{dataset_id}:{fact.created_at}"
        if fact.state is DatasetState.QUEUED:
            await self._bus.publish(DatasetRequested(dataset_id=dataset_id), dedup_id=dedup_id)
        return fact

    async def watch(self, dataset_id: str) -> AsyncIterator[DatasetFact]:
        """The data set now and at each change, until it is ready or has failed. Raises NotFound."""
        now = await self._datasets.get(dataset_id)
        if now is None:
            raise NotFound("there is no such data set")
        # Our copy of the facts may be a moment behind the caller's knowledge.
        await self._index.wait(dataset_id, lambda x: x is not None and x.created_at >= now.value.created_at)
        async for _, fact in self._index.changes(dataset_id):
            if fact is None:
                raise NotFound("the data set was removed")
            yield fact
            if fact.state in (DatasetState.READY, DatasetState.FAILED):
                return

    def datasets(self) -> list[DatasetFact]:
        """All data sets, newest first."""
        return sorted(self._index.items.values(), key=lambda x: (-x.created_at, x.dataset_id))

    async def _stored(self, recording_id: str, key: str) -> bytes:
        done = await self._preprocessed.get(recording_id)
        if done is not None and done.value.error is None:
            return await self._store.get(key)
        if done is not None:
            raise InvalidArgument(f"the recording cannot be analysed: {done.value.error}")
        recording = await self._recordings.get(recording_id)
        if recording is None:
            raise NotFound("there is no such recording")
        if not recording.value.readable:
            raise InvalidArgument(f"the file could not be read: {recording.value.error_message}")
        raise NotReady("the recording is being preprocessed; ask again in a moment")


def _request(wish: Wish, recordings: Sequence[RecordingFact], keys: Keys) -> DatasetRequest:
    rows = parse_table(wish.table, wish.columns)
    joined: Joined = join(rows, recordings, wish.classes, wish.task, keys)
    parts = split(joined.members, joined.classes, wish.shares, given=bool(wish.columns.part))
    members = sorted(joined.members, key=lambda x: (parts[x.recording_id], x.recording_id))
    return DatasetRequest(
        name=wish.name,
        task=wish.task,
        classes=joined.classes,
        recordings=tuple(
            RequestedRecording(
                row=x.row,
                recording_id=x.recording_id,
                patient_key=x.patient_key,
                part=parts[x.recording_id],
                labels=x.labels,
                sex=x.sex,
                age_years=x.age_years,
            )
            for x in members
        ),
        seed=wish.shares.seed,
        preprocessing_version=PREPROCESSING_VERSION,
        report=joined.report,
    )


def _again(old: DatasetFact, new: DatasetFact) -> DatasetFact:
    """A failed data set begins anew; any other stays as it is."""
    return (
        replace(new, created_at=max(new.created_at, old.created_at))
        if old.state is DatasetState.FAILED
        else old
    )
