"""Erases recordings: objects, facts, sources and links; what is left says where they had been used."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from exchangeai.bus import Bus
from exchangeai.errors import NotFound
from exchangeai.facts import DeletionFact, PreprocessedFact, RecordingFact, ResultFact, RunFact
from exchangeai.recording import from_bytes
from exchangeai.results import fact_pattern, object_prefix
from exchangeai.store import ObjectStore
from services.ingest.keys import Link, link_key, recording_key, source_prefix
from services.ingest.signals import Signals

log = logging.getLogger(__name__)

_RESULTS_AT_ONCE = 500


class Erasure:
    """`now` gives seconds since the epoch."""

    def __init__(self, store: ObjectStore, bus: Bus, *, now: Callable[[], float]) -> None:
        self._store = store
        self._recordings = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._signals = Signals(bus)
        self._results = bus.facts(ResultFact)
        self._runs = bus.facts(RunFact)
        self._deletions = bus.facts(DeletionFact)
        self._now = now

    async def delete(self, recording_id: str) -> DeletionFact:
        """Remove a recording with all that was made of it; returns where it had been used.

        Of a source that holds several recordings the bytes go too: they are this person's as well. The fact
        goes last, so that a deletion that was cut off can be repeated. Raises NotFound.
        """
        if await self._recordings.get(recording_id) is None:
            raise NotFound("there is no recording of that id")
        deletion = await self._where_used(recording_id)
        await self._forget_signal(recording_id)
        for folder in {source_prefix(recording_id), *await self._container(recording_id)}:
            for key in await self._store.list(folder):
                await self._store.delete(key)
        await self._store.delete(recording_key(recording_id))
        for suffix in ("npz", "json"):
            await self._store.delete(f"windows/{recording_id}.{suffix}")
        await self._deletions.put(recording_id, deletion)
        # Erasure is the one case in which ingest touches what preprocess and inference wrote.
        await self._preprocessed.delete(recording_id)
        await self._forget_results(recording_id)
        await self._recordings.delete(recording_id)
        log.info(
            "deleted", extra={"fields": {"recording_id": recording_id, "datasets": len(deletion.dataset_ids)}}
        )
        return deletion

    async def deletion(self, recording_id: str) -> DeletionFact:
        """What is kept of an erased recording. Raises NotFound."""
        found = await self._deletions.get(recording_id)
        if found is None:
            raise NotFound("no recording of that id was removed")
        return found.value

    async def _where_used(self, recording_id: str) -> DeletionFact:
        datasets = await self._datasets_with(recording_id)
        used = [x for x in (await self._runs.all()).values() if x.dataset_id in datasets]
        return DeletionFact(
            recording_id=recording_id,
            deleted_at=self._now(),
            dataset_ids=tuple(sorted(datasets)),
            run_ids=tuple(sorted(x.run_id for x in used)),
            model_keys=tuple(sorted(f"{x.model_name}.{x.model_version}" for x in used if x.model_version)),
        )

    async def _datasets_with(self, recording_id: str) -> set[str]:
        requests = [x for x in await self._store.list("datasets/") if x.endswith("/request.json")]
        found: set[str] = set()
        for key in requests:
            try:
                if recording_id.encode() in await self._store.get(key):
                    found.add(key.split("/")[1])
            except NotFound:
                continue
        return found

    async def _forget_signal(self, recording_id: str) -> None:
        try:
            recording = from_bytes(await self._store.get(recording_key(recording_id)))
        except NotFound:
            return
        await self._signals.forget(recording, recording_id)

    async def _forget_results(self, recording_id: str) -> None:
        """After the fact of its preprocessing is gone: who still records one then finds that and takes it
        back."""
        for key in await self._store.list(object_prefix(recording_id)):
            await self._store.delete(key)
        pattern, after = fact_pattern(recording_id), 0
        while found := await self._results.matching([pattern], after=after, most=_RESULTS_AT_ONCE):
            for fact in found:
                await self._results.delete(fact.key)
            after = found[-1].revision

    async def _container(self, recording_id: str) -> list[str]:
        try:
            link = msgspec.json.decode(await self._store.get(link_key(recording_id)), type=Link)
        except NotFound:
            return []
        return [source_prefix(link.source_id)] if link.source_id else []
