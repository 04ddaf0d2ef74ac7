"""Build a requested data set: wait for its recordings, write shards, then manifest, fact and event.

Memory does not grow with the windows: a request is a file that is read along, and of each recording some
bytes are held. A repetition after a crash goes on after the last stored shard and ends in the same bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from exchangeai import __version__
from exchangeai.bus import Bus, Delivery, Later
from exchangeai.dataset import (
    PARTS,
    ROWS_PER_BATCH,
    DatasetManifest,
    PartManifest,
    croissant_key,
    encode_croissant,
    encode_manifest,
    manifest_key,
)
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound
from exchangeai.events.v1.dataset_built_pb2 import DatasetBuilt
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.facts import DatasetFact, DatasetState, PartSummary
from exchangeai.join_report import JoinReport, ReportKind
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.store import ObjectStore
from exchangeai.telemetry import stage
from services.preprocess.findings import report_key
from services.preprocess.join import MAX_LISTED
from services.preprocess.request import StoredRequest, request_key, summarise
from services.preprocess.settled import DELETED, Settled, Settling
from services.preprocess.shards import PartProgress, PartWriter, Placed

log = logging.getLogger(__name__)

DURABLE = "preprocess-DatasetRequested"
MAX_DELIVER = 5
WAIT_LIMIT_S = 3600.0
"""How long after the request recordings may lack a result; then the data set is built without them."""
PROGRESS_S = 0.5


def progress_key(dataset_id: str) -> str:
    """Object key of what a build that goes on has reached; removed when the data set is ready."""
    return f"datasets/{dataset_id}/progress.json"


@dataclass(frozen=True, kw_only=True)
class BuildProgress:
    """What a build has reached, by part."""

    left_out_sha256: str = ""
    """Of the recordings that were not used; when others are left out now, the build begins anew."""
    parts: dict[str, PartProgress] = field(default_factory=dict[str, PartProgress])


class DatasetBuilder:
    """Consumes DatasetRequested."""

    def __init__(
        self, bus: Bus, store: ObjectStore, work_dir: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._bus = bus
        self._store = store
        self._work_dir = work_dir
        self._clock = clock
        self._datasets = bus.facts(DatasetFact)
        self._settling = Settling(bus)
        self._settled: dict[str, Settled] = {}

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
                with tempfile.TemporaryDirectory(prefix="dataset-", dir=self._work_dir) as folder:
                    await self._build(dataset_id, fact.value, delivery, Path(folder))
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

    async def _build(self, dataset_id: str, fact: DatasetFact, delivery: Delivery, folder: Path) -> None:
        await self._store.get_file(request_key(dataset_id), folder / "request")
        request = StoredRequest(folder / "request")
        if request.header.preprocessing_version != PREPROCESSING_VERSION:
            raise InvalidArgument(
                "the signal processing has changed since the request; ask for the data set again"
            )
        settled = await self._settle(dataset_id, request, fact.created_at, delivery)
        await self._set(dataset_id, state=DatasetState.BUILDING, progress=0.0, error=None)
        with stage("dataset_build"):
            written = await self._write(dataset_id, request, settled, delivery, folder)
        self._settled.pop(dataset_id, None)
        header = request.header
        summaries = await asyncio.to_thread(
            summarise, request.recordings(), len(header.classes), settled.left_out.__contains__
        )
        _require_parts(summaries, settled.left_out)
        report = _with_left_out(header.report, settled)
        manifest = DatasetManifest(
            dataset_id=dataset_id,
            name=header.name,
            task=header.task,
            classes=header.classes,
            parts={
                x.part: PartManifest(
                    shards=written[x.part].shards,
                    recordings=x.recordings,
                    patients=x.patients,
                    positives=x.positives,
                )
                for x in summaries
            },
            preprocessing_version=PREPROCESSING_VERSION,
            code_version=__version__,
            seed=header.seed,
            report=report,
        )
        for kind, content in settled.findings.files():
            await self._store.put(report_key(dataset_id, kind), content)
        await self._store.put(croissant_key(dataset_id), encode_croissant(manifest))
        await self._store.put(manifest_key(dataset_id), encode_manifest(manifest))
        # What the request found beyond its digest stays: recordings that no row names.
        unnamed = {k: n for k, n in fact.report.counts.items() if k == ReportKind.UNMATCHED_RECORDING}
        await self._set(
            dataset_id,
            state=DatasetState.READY,
            parts=summaries,
            report=replace(report, counts={**report.counts, **unnamed}),
            progress=1.0,
            error=None,
        )
        await self._store.delete(progress_key(dataset_id))
        log.info(
            "data set built",
            extra={"fields": {"dataset_id": dataset_id, "left_out": len(settled.left_out)}},
        )

    async def _settle(
        self, dataset_id: str, request: StoredRequest, created_at: float, delivery: Delivery
    ) -> Settled:
        """Which recordings can be used; while some have no result yet, what is known is kept."""
        settled = self._settled.setdefault(dataset_id, Settled())
        waited_long = self._clock() > created_at + WAIT_LIMIT_S
        await self._settling.go_on(request, settled, waited_long=waited_long, beat=delivery.progress)
        return settled

    async def _write(
        self,
        dataset_id: str,
        request: StoredRequest,
        settled: Settled,
        delivery: Delivery,
        folder: Path,
    ) -> dict[str, PartProgress]:
        header = request.header
        left_out_sha256 = hashlib.sha256("\n".join(sorted(settled.left_out)).encode()).hexdigest()
        reached = dict(await self._reached(dataset_id, left_out_sha256))
        told_at = self._clock()
        for part in PARTS:
            begin = reached.get(part, PartProgress())
            if begin.finished:
                continue

            async def shipped(now: PartProgress, part: str = part) -> None:
                reached[part] = now
                progress = BuildProgress(left_out_sha256=left_out_sha256, parts=reached)
                await self._store.put(progress_key(dataset_id), msgspec.json.encode(progress))

            writer = PartWriter(
                self._store, folder, dataset_id, part, len(header.classes), header.task, begin, shipped
            )
            batches: Iterator[list[Placed]] = _batches(request, part, settled.windows, begin)
            ahead = asyncio.create_task(writer.load(next(batches, list[Placed]())))
            try:
                for batch in batches:
                    loaded = await ahead
                    ahead = asyncio.create_task(writer.load(batch))
                    await writer.add(loaded)
                    await delivery.progress()
                    if delivery.stopping.is_set():
                        raise Later(0.0, "the service is stopping")
                    if self._clock() - told_at >= PROGRESS_S:
                        told_at = self._clock()
                        await self._set(dataset_id, progress=batch[0].index / header.recordings)
                await writer.add(await ahead)
            finally:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)
            await writer.finish()
            await delivery.progress()
        gone = {id_ for x in reached.values() for id_ in x.gone}
        for x in request.recordings() if gone else ():
            if x.recording_id in gone:
                settled.leave_out(x, ReportKind.NOT_PREPROCESSED, DELETED)
        return reached

    async def _reached(self, dataset_id: str, left_out_sha256: str) -> dict[str, PartProgress]:
        """What an earlier attempt at the same recordings has stored."""
        try:
            stored = await self._store.get(progress_key(dataset_id))
        except NotFound:
            return {}
        progress = msgspec.json.decode(stored, type=BuildProgress)
        return progress.parts if progress.left_out_sha256 == left_out_sha256 else {}

    async def _set(self, dataset_id: str, **changes: Any) -> None:
        await self._datasets.change(dataset_id, lambda fact: replace(fact, **changes))


def _batches(
    request: StoredRequest, part: str, windows: Sequence[int], begin: PartProgress
) -> Iterator[list[Placed]]:
    """Some recordings at a time, about as many windows as a writer holds (a long one by itself)."""
    batch: list[Placed] = []
    held = 0
    for index, x in enumerate(request.recordings()):
        if x.part != part or index < begin.next_index or not windows[index]:
            continue
        if batch and held + windows[index] > ROWS_PER_BATCH:
            yield batch
            batch, held = [], 0
        skip = begin.skip if index == begin.next_index else 0
        batch.append(Placed(index=index, recording=x, skip=skip))
        held += windows[index]
    if batch:
        yield batch


def _require_parts(summaries: Sequence[PartSummary], left_out: dict[str, str]) -> None:
    empty = [x.part for x in summaries if not x.recordings]
    if empty:
        first = next(iter(left_out.values()), "")
        raise InvalidArgument(
            f"the part {empty[0]} is empty: {len(left_out)} recordings cannot be used (first: {first})"
        )


def _with_left_out(report: JoinReport, settled: Settled) -> JoinReport:
    problems = settled.findings.problems((ReportKind.POOR_QUALITY, ReportKind.NOT_PREPROCESSED), MAX_LISTED)
    unusable = sorted([*report.unusable, *problems], key=lambda x: x.row)
    return replace(
        report,
        unusable=tuple(unusable[:MAX_LISTED]),
        counts={**report.counts, **settled.findings.counts()},
    )
