"""Preprocess each ingested recording: windows, measurements, fact, event, in this order.

Any crash in between repeats the work to the same bytes; a recording deleted meanwhile leaves nothing.
"""

from __future__ import annotations

import asyncio
import logging

from exchangeai.bus import Bus, Delivery
from exchangeai.errors import InvalidArgument
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.events.v1.recording_preprocessed_pb2 import RecordingPreprocessed
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.store import ObjectStore
from exchangeai.telemetry import stage
from services.preprocess.analysis import analyse, analysis_key, encode, windows_key

log = logging.getLogger(__name__)

DURABLE = "preprocess-RecordingIngested"
MAX_DELIVER = 5


class PreprocessWorker:
    """Consumes RecordingIngested."""

    def __init__(self, bus: Bus, store: ObjectStore) -> None:
        self._bus = bus
        self._store = store
        self._recordings = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)

    async def run(self, concurrency: int) -> None:
        """Work until cancelled; then finish what is in flight."""
        await self._bus.consume(
            RecordingIngested, DURABLE, self.handle, concurrency=concurrency, max_deliver=MAX_DELIVER
        )

    async def handle(self, event: RecordingIngested, delivery: Delivery) -> None:
        """Preprocess one recording. Raises InvalidArgument when it cannot be; its fact says why."""
        recording_id = event.recording_id
        done = await self._preprocessed.get(recording_id)
        finished = done is not None and done.value.preprocessing_version == PREPROCESSING_VERSION
        if not (done and finished and done.value.error is None):
            try:
                await self._preprocess(recording_id)
            except InvalidArgument as e:
                await self._fail(recording_id, str(e))
                raise
            except Exception:
                # The queue gives up after this attempt, and whoever waits for the recording must learn it.
                if delivery.attempt >= MAX_DELIVER:
                    await self._fail(
                        recording_id, "preprocessing failed several times; see the service's log"
                    )
                raise
        await self._bus.publish(RecordingPreprocessed(recording_id=recording_id), dedup_id=recording_id)

    async def republish_outdated(self) -> None:
        """Queue again what another version of the signal code has preprocessed."""
        facts = await self._preprocessed.all()
        outdated = [x for x, fact in facts.items() if fact.preprocessing_version != PREPROCESSING_VERSION]
        for recording_id in outdated:
            event = RecordingIngested(recording_id=recording_id)
            await self._bus.publish(event, dedup_id=f"{recording_id}:{PREPROCESSING_VERSION}")
        if outdated:
            log.info("queued again after a change of version", extra={"fields": {"count": len(outdated)}})

    async def _preprocess(self, recording_id: str) -> None:
        if await self._recordings.get(recording_id) is None:
            return
        with stage("preprocess_read"):
            stored = await self._store.get(f"recordings/{recording_id}.npz")
        with stage("preprocess_compute"):
            windows, analysis = await asyncio.to_thread(analyse, stored)
        with stage("preprocess_write"):
            await self._store.put(windows_key(recording_id), windows)
            await self._store.put(analysis_key(recording_id), encode(analysis))
        await self._preprocessed.put(
            recording_id,
            PreprocessedFact(
                recording_id=recording_id,
                preprocessing_version=PREPROCESSING_VERSION,
                windows=analysis.windows,
                quality=analysis.quality,
            ),
        )
        if await self._recordings.get(recording_id) is None:
            await self._store.delete(windows_key(recording_id))
            await self._store.delete(analysis_key(recording_id))
            await self._preprocessed.delete(recording_id)

    async def _fail(self, recording_id: str, why: str) -> None:
        await self._preprocessed.put(
            recording_id,
            PreprocessedFact(
                recording_id=recording_id, preprocessing_version=PREPROCESSING_VERSION, error=why
            ),
        )
