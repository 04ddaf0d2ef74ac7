"""What callers ask of preprocessing: windows, measurements, and data sets to be built."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from exchangeai.bus import Bus, FactIndex
from exchangeai.errors import Conflict, InvalidArgument, NotFound, NotReady
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.facts import DatasetFact, DatasetState, PreprocessedFact, RecordingFact, TestLooksFact
from exchangeai.join_report import ReportKind
from exchangeai.keys import name_key, patient_key
from exchangeai.signal import Windows
from exchangeai.signal import windows as windows_at_rest
from exchangeai.store import ObjectStore
from services.preprocess.analysis import Analysis, analysis_key, decode, windows_key
from services.preprocess.findings import as_csv, report_key
from services.preprocess.known import Keys, KnownRecordings
from services.preprocess.plan import Wish, plan
from services.preprocess.request import request_key


class Catalogue:
    """Answers about preprocessed recordings and data sets."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        datasets: FactIndex[DatasetFact],
        looks: FactIndex[TestLooksFact],
        site_key: str,
        work_dir: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._store = store
        self._index = datasets
        self._looks = looks
        self._work_dir = work_dir
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
        known = KnownRecordings(self._keys)
        # Read from the server, not from a copy, so that whatever was uploaded before this call is seen.
        await self._recordings.each(known.take)
        with tempfile.TemporaryDirectory(prefix="request-", dir=self._work_dir) as folder:
            path = Path(folder) / "request"
            planned = await asyncio.to_thread(plan, wish, known, path)
            dataset_id = planned.dataset_id
            await self._store.put_file(request_key(dataset_id), path)
        for kind, content in planned.findings.files():
            await self._store.put(report_key(dataset_id, kind), content)
        header = planned.request
        fact = DatasetFact(
            dataset_id=dataset_id,
            name=header.name,
            state=DatasetState.QUEUED,
            task=header.task,
            classes=header.classes,
            parts=planned.parts,
            report=planned.report,
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

    def test_looks(self, dataset_id: str) -> int:
        """By how many runs and models the test part was looked at."""
        known = self._looks.items.get(dataset_id)
        return len(known.looks) if known is not None else 0

    async def report(self, dataset_id: str, kind: ReportKind) -> bytes:
        """One kind of the full report as CSV, only its header when there is nothing. Raises NotFound."""
        if await self._datasets.get(dataset_id) is None:
            raise NotFound("there is no such data set")
        try:
            return await self._store.get(report_key(dataset_id, kind))
        except NotFound:
            return as_csv()

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


def _again(old: DatasetFact, new: DatasetFact) -> DatasetFact:
    """A failed data set begins anew; any other stays as it is."""
    return (
        replace(new, created_at=max(new.created_at, old.created_at))
        if old.state is DatasetState.FAILED
        else old
    )
