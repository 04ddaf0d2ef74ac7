"""Takes recordings in: read, de-identify, store, tell the others; and removes them again.

Order of effects: source objects, recording object, fact, event. Whatever is cut off in between is completed
by sending the same bytes again, or by the sweeper. The id is the digest of the bytes, so nothing is ever
stored twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import msgspec

from exchangeai.bus import Bus, Fact
from exchangeai.errors import Conflict, NotFound, TooLarge, UnreadableFile
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import LeadFact, PreprocessedFact, RecordingFact
from exchangeai.formats import ReadOptions, ReadResult, group_files
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.keys import name_key, patient_key
from exchangeai.recording import Recording, from_bytes, source_digest, to_bytes
from exchangeai.store import ObjectStore
from exchangeai.telemetry import UPLOADS, stage
from services.ingest.receiving import UploadedFile

log = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one record of an upload."""

    file_names: tuple[str, ...]
    fact: RecordingFact
    duplicate: bool


class _Link(msgspec.Struct, frozen=True):
    """The way back from a recording to its source, for the site alone: it never leaves `sources`."""

    file_names: list[str]
    patient_id: str | None


class Ingest:
    """The service's logic. `now` gives seconds since the epoch."""

    def __init__(
        self,
        store: ObjectStore,
        bus: Bus,
        reader: SandboxedReader,
        *,
        site_key: str,
        keep_sources: bool,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._bus = bus
        self._facts = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._reader = reader
        self._site_key = site_key
        self._keep_sources = keep_sources
        self._now = now

    async def upload(self, files: Sequence[UploadedFile]) -> list[Outcome]:
        """Ingest all records among the files; one that cannot be read is an outcome, not an error.

        Raises Overloaded or Unavailable when a server cannot take more; sending all again is safe.
        """
        by_name = {x.name: x for x in files}
        groups = group_files(list(by_name), {x.name: x.data for x in files})
        room = asyncio.Semaphore(_RECORDS_AT_ONCE)

        async def one(names: tuple[str, ...]) -> Outcome:
            async with room:
                return await self._record([by_name[x] for x in names])

        # All finish before one failure is told, so that nothing goes on behind the caller's back.
        ended = await asyncio.gather(*(one(x) for x in groups), return_exceptions=True)
        outcomes: list[Outcome] = []
        for result in ended:
            if isinstance(result, BaseException):
                raise result
            outcomes.append(result)
        return outcomes

    async def get(self, recording_id: str) -> tuple[RecordingFact, PreprocessedFact | None]:
        """A recording's facts. Raises NotFound."""
        fact, done = await asyncio.gather(self._facts.get(recording_id), self._preprocessed.get(recording_id))
        if fact is None:
            raise NotFound("there is no recording of that id")
        return fact.value, done.value if done else None

    async def signal(self, recording_id: str) -> Recording:
        """A readable recording with its samples. Raises NotFound."""
        fact, _ = await self.get(recording_id)
        if not fact.readable:
            raise NotFound("this recording could not be read, so it has no signal; see its error")
        return from_bytes(await self._store.get(_recording_key(recording_id)))

    async def delete(self, recording_id: str) -> list[str]:
        """Remove a recording with all that was made of it; returns the data sets that contain it.

        The fact goes last, so that a deletion that was cut off can be repeated. Raises NotFound.
        """
        await self.get(recording_id)
        used_in = await self._datasets_with(recording_id)
        for key in await self._store.list(_source_prefix(recording_id)):
            await self._store.delete(key)
        await self._store.delete(_recording_key(recording_id))
        for suffix in ("npz", "json"):
            await self._store.delete(f"windows/{recording_id}.{suffix}")
        # Erasure is the one case in which ingest touches what preprocess wrote.
        await self._preprocessed.delete(recording_id)
        await self._facts.delete(recording_id)
        log.info("deleted", extra={"fields": {"recording_id": recording_id, "datasets": len(used_in)}})
        return used_in

    async def announce(self, fact: RecordingFact, again: str = "") -> None:
        """Publish that a recording awaits preprocessing; `again` sets a repetition apart."""
        # The time sets a recording that was deleted and sent again apart from its first life.
        dedup_id = f"{fact.recording_id}.{round(fact.ingested_at * 1e6)}{again}"
        await self._bus.publish(RecordingIngested(recording_id=fact.recording_id), dedup_id=dedup_id)

    async def _record(self, group: Sequence[UploadedFile]) -> Outcome:
        files = {x.name: x.data for x in group}
        names = tuple(files)
        recording_id = source_digest(files)
        known = await self._facts.get(recording_id)
        if known is not None and known.value.readable:
            return await self._again(known.value, names)
        options = next((x.options for x in group if x.options != ReadOptions()), ReadOptions())
        fact, result = await self._read(recording_id, files, options)
        if known is not None and result is None:
            # Still unreadable, perhaps for another reason now that more was stated.
            fact = dataclasses.replace(fact, ingested_at=known.value.ingested_at)
            await self._facts.put(recording_id, fact)
            return Outcome(file_names=names, fact=fact, duplicate=True)
        return await self._store_new(fact, result, files, known)

    async def _again(self, fact: RecordingFact, names: Sequence[str]) -> Outcome:
        keys = self._name_keys(names)
        if not set(keys) <= set(fact.name_keys):
            fact = await self._facts.change(
                fact.recording_id,
                lambda x: dataclasses.replace(x, name_keys=tuple(sorted({*x.name_keys, *keys}))),
            )
        if await self._preprocessed.get(fact.recording_id) is None:
            await self.announce(fact)
        UPLOADS.labels(fact.format, "duplicate").inc()
        return Outcome(file_names=tuple(names), fact=fact, duplicate=True)

    async def _read(
        self, recording_id: str, files: Mapping[str, bytes], options: ReadOptions
    ) -> tuple[RecordingFact, ReadResult | None]:
        fact = RecordingFact(
            recording_id=recording_id,
            name_keys=self._name_keys(tuple(files)),
            ingested_at=self._now(),
            source_size_bytes=sum(len(x) for x in files.values()),
        )
        try:
            with stage("read"):
                result = (await self._reader.read(files, options))[0]
        except (UnreadableFile, TooLarge) as e:
            UPLOADS.labels("", type(e).__name__).inc()
            return dataclasses.replace(fact, error_reason=type(e).__name__, error_message=str(e)), None
        identifier = result.identifiers.patient_id
        patient = dataclasses.replace(
            result.recording.patient,
            patient_key=patient_key(self._site_key, identifier) if identifier else None,
        )
        recording = dataclasses.replace(result.recording, patient=patient)
        UPLOADS.labels(recording.format, "read").inc()
        return _described(fact, recording), dataclasses.replace(result, recording=recording)

    async def _store_new(
        self,
        fact: RecordingFact,
        result: ReadResult | None,
        files: Mapping[str, bytes],
        known: Fact[RecordingFact] | None,
    ) -> Outcome:
        recording_id = fact.recording_id
        if self._keep_sources:
            with stage("store_source"):
                await self._store_sources(recording_id, files, result)
        if result is not None:
            with stage("store_recording"):
                await self._store.put(_recording_key(recording_id), to_bytes(result.recording))
        try:
            if known is None:
                await self._facts.create(recording_id, fact)
            else:
                await self._facts.update(recording_id, fact, known.revision)
        except Conflict:
            # The same bytes came in twice at once; whoever wrote the fact wins.
            existing, _ = await self.get(recording_id)
            if existing.readable:
                return await self._again(existing, tuple(files))
            return Outcome(file_names=tuple(files), fact=existing, duplicate=True)
        if result is not None:
            await self.announce(fact)
        log.info(
            "ingested",
            extra={
                "fields": {"recording_id": recording_id, "format": fact.format, "error": fact.error_reason}
            },
        )
        return Outcome(file_names=tuple(files), fact=fact, duplicate=False)

    async def _store_sources(
        self, recording_id: str, files: Mapping[str, bytes], result: ReadResult | None
    ) -> None:
        prefix = _source_prefix(recording_id)
        names = sorted(files)
        link = _Link(names, result.identifiers.patient_id if result else None)
        for i, name in enumerate(names):
            await self._store.put(f"{prefix}{i}.bin", files[name])
        await self._store.put(f"{prefix}link.json", msgspec.json.encode(link))

    async def _datasets_with(self, recording_id: str) -> list[str]:
        requests = [x for x in await self._store.list("datasets/") if x.endswith("/request.json")]
        found: list[str] = []
        for key in requests:
            try:
                if recording_id.encode() in await self._store.get(key):
                    found.append(key.split("/")[1])
            except NotFound:
                continue
        return found

    def _name_keys(self, names: Sequence[str]) -> tuple[str, ...]:
        spellings = {y for x in names for y in (x, PurePath(x).stem)}
        return tuple(sorted(name_key(self._site_key, x) for x in spellings))


def _described(fact: RecordingFact, recording: Recording) -> RecordingFact:
    return dataclasses.replace(
        fact,
        format=recording.format,
        leads=tuple(
            LeadFact(
                name=x.name,
                sampling_rate_hz=x.sampling_rate_hz,
                sample_count=x.samples.size,
                unit=x.unit,
                derived=x.derived,
            )
            for x in recording.leads
        ),
        duration_s=recording.duration_s,
        patient=recording.patient,
        acquisition_year=recording.acquisition_year,
        device_model=recording.device_model,
        warnings=recording.warnings,
    )


def _recording_key(recording_id: str) -> str:
    return f"recordings/{recording_id}.npz"


def _source_prefix(recording_id: str) -> str:
    return f"sources/{recording_id}/"
