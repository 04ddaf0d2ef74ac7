"""Build a requested data set: wait for its recordings, write shards, then manifest, fact and event.

A repetition after a crash writes the same bytes and ends in the same fact.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from exchangeai import __version__
from exchangeai.bus import Bus, Delivery, FactIndex, Later
from exchangeai.dataset import (
    PARTS,
    ROWS_PER_BATCH,
    DatasetManifest,
    PartManifest,
    Shard,
    encode_manifest,
    manifest_key,
)
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound
from exchangeai.events.v1.dataset_built_pb2 import DatasetBuilt
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.facts import (
    DatasetFact,
    DatasetState,
    JoinReport,
    PartSummary,
    PreprocessedFact,
    RecordingFact,
    RowProblem,
)
from exchangeai.measurements import Verdict
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.store import ObjectStore
from exchangeai.telemetry import stage
from services.preprocess.join import MAX_LISTED
from services.preprocess.request import (
    DatasetRequest,
    RequestedRecording,
    decode_request,
    request_key,
    summarise,
)
from services.preprocess.shards import PartWriter

log = logging.getLogger(__name__)

DURABLE = "preprocess-DatasetRequested"
MAX_DELIVER = 5
POLL_S = 1.0
WAIT_LIMIT_S = 3600.0
"""How long after the request recordings may lack a result; then the data set is built without them."""
PROGRESS_S = 0.5
ASK_FIRST = 100
"""How many pending recordings are looked up each time, to see whether they still exist."""
DELETED = "the recording was deleted"


class DatasetBuilder:
    """Consumes DatasetRequested."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        preprocessed: FactIndex[PreprocessedFact],
        work_dir: Path | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._store = store
        self._preprocessed = preprocessed
        self._work_dir = work_dir
        self._clock = clock
        self._datasets = bus.facts(DatasetFact)
        self._recordings = bus.facts(RecordingFact)

    async def run(self) -> None:
        """Build one data set at a time until cancelled."""
        await self._bus.consume(
            DatasetRequested, DURABLE, self.handle, concurrency=1, max_deliver=MAX_DELIVER
        )

    async def handle(self, event: DatasetRequested, delivery: Delivery) -> None:
        """Build one data set. Raises Later while recordings are being preprocessed, InvalidArgument when
        it cannot be built, which its fact then says."""
        dataset_id = event.dataset_id
        fact = await self._datasets.get(dataset_id)
        if fact is None:
            raise NotFound("the data set was removed before it was built")
        if fact.value.state is not DatasetState.READY:
            try:
                await self._build(dataset_id, fact.value.created_at, delivery)
            except (InvalidArgument, NotFound) as e:
                await self._set(dataset_id, state=DatasetState.FAILED, error=str(e))
                raise
            except Exception as e:
                if delivery.attempt >= MAX_DELIVER and not isinstance(e, Later):
                    why = (
                        str(e)
                        if isinstance(e, ExchangeaiError)
                        else "an internal error; see the service's log"
                    )
                    await self._set(dataset_id, state=DatasetState.FAILED, error=f"building failed: {why}")
                raise
        await self._bus.publish(DatasetBuilt(dataset_id=dataset_id), dedup_id=dataset_id)

    async def _build(self, dataset_id: str, created_at: float, delivery: Delivery) -> None:
        request = decode_request(await self._store.get(request_key(dataset_id)))
        if request.preprocessing_version != PREPROCESSING_VERSION:
            raise InvalidArgument(
                "the signal processing has changed since the request; ask for the data set again"
            )
        left_out = await self._left_out(request, self._clock() > created_at + WAIT_LIMIT_S)
        await self._set(dataset_id, state=DatasetState.BUILDING, progress=0.0, error=None)
        with stage("dataset_build"):
            written = await self._write(dataset_id, request, left_out, delivery)
        summaries = summarise(request.recordings, len(request.classes), left_out)
        _require_parts(summaries, left_out)
        report = _with_left_out(request, left_out)
        manifest = DatasetManifest(
            dataset_id=dataset_id,
            name=request.name,
            task=request.task,
            classes=request.classes,
            parts={
                x.part: PartManifest(
                    shards=written[x.part],
                    recordings=x.recordings,
                    patients=x.patients,
                    positives=x.positives,
                )
                for x in summaries
            },
            preprocessing_version=PREPROCESSING_VERSION,
            code_version=__version__,
            seed=request.seed,
            report=report,
        )
        await self._store.put(manifest_key(dataset_id), encode_manifest(manifest))
        await self._set(
            dataset_id, state=DatasetState.READY, parts=summaries, report=report, progress=1.0, error=None
        )
        log.info("data set built", extra={"fields": {"dataset_id": dataset_id, "left_out": len(left_out)}})

    async def _left_out(self, request: DatasetRequest, waited_long: bool) -> dict[str, str]:
        """Recordings that cannot be used and why, by id. Raises Later while there may come more results."""
        reasons: dict[str, str] = {}
        pending: list[RequestedRecording] = []
        for x in request.recordings:
            fact = self._preprocessed.items.get(x.recording_id)
            if fact is None or fact.preprocessing_version != PREPROCESSING_VERSION:
                pending.append(x)
            elif fact.error is not None:
                reasons[x.recording_id] = fact.error
            elif fact.quality is not None and fact.quality.verdict is Verdict.NOT_ANALYSABLE:
                reasons[x.recording_id] = "not analysable: " + "; ".join(fact.quality.reasons)
        waiting = 0
        for i, x in enumerate(pending):
            if i < ASK_FIRST and await self._recordings.get(x.recording_id) is None:
                reasons[x.recording_id] = DELETED
            elif waited_long:
                reasons[x.recording_id] = "it was not preprocessed within an hour"
            else:
                waiting += 1
        if waiting:
            raise Later(POLL_S, f"{waiting} recordings are still being preprocessed")
        return reasons

    async def _write(
        self, dataset_id: str, request: DatasetRequest, left_out: dict[str, str], delivery: Delivery
    ) -> dict[str, tuple[Shard, ...]]:
        wanted = [x for x in request.recordings if x.recording_id not in left_out]
        done, told_at = 0, self._clock()
        written: dict[str, tuple[Shard, ...]] = {}
        with tempfile.TemporaryDirectory(prefix="dataset-", dir=self._work_dir) as folder:
            for part in PARTS:
                writer = PartWriter(self._store, Path(folder), dataset_id, part, len(request.classes))
                for batch in self._batches([x for x in wanted if x.part == part]):
                    for gone in await writer.add(batch):
                        left_out[gone] = DELETED
                    done += len(batch)
                    await delivery.progress()
                    if delivery.stopping.is_set():
                        raise Later(0.0, "the service is stopping")
                    if self._clock() - told_at >= PROGRESS_S:
                        told_at = self._clock()
                        await self._set(dataset_id, progress=done / len(wanted))
                written[part] = await writer.finish()
                await delivery.progress()
        return written

    def _batches(self, recordings: Sequence[RequestedRecording]) -> Iterator[list[RequestedRecording]]:
        """Some recordings at a time, about as many windows as a writer holds (a long one by itself)."""
        batch: list[RequestedRecording] = []
        windows = 0
        for x in recordings:
            fact = self._preprocessed.items.get(x.recording_id)
            count = fact.windows if fact is not None else 1
            if batch and windows + count > ROWS_PER_BATCH:
                yield batch
                batch, windows = [], 0
            batch.append(x)
            windows += count
        if batch:
            yield batch

    async def _set(self, dataset_id: str, **changes: Any) -> None:
        await self._datasets.change(dataset_id, lambda fact: replace(fact, **changes))


def _require_parts(summaries: Sequence[PartSummary], left_out: dict[str, str]) -> None:
    empty = [x.part for x in summaries if not x.recordings]
    if empty:
        first = next(iter(left_out.values()), "")
        raise InvalidArgument(
            f"the part {empty[0]} is empty: {len(left_out)} recordings cannot be used (first: {first})"
        )


def _with_left_out(request: DatasetRequest, left_out: dict[str, str]) -> JoinReport:
    rows = {x.recording_id: x.row for x in request.recordings}
    problems = [RowProblem(row=rows[id_], reason=reason) for id_, reason in left_out.items()]
    unusable = sorted([*request.report.unusable, *problems], key=lambda x: x.row)
    return replace(request.report, unusable=tuple(unusable[:MAX_LISTED]))
