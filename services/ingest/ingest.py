"""Takes recordings in: unpack, read, de-identify, store, tell the others.

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

from exchangeai.archives import archive_kind
from exchangeai.bus import Bus, Fact
from exchangeai.errors import Conflict, ExchangeaiError, NotFound, TooLarge, UnreadableFile
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import LeadFact, PreprocessedFact, RecordingFact
from exchangeai.formats import ReadOptions, ReadResult, group_files
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.keys import name_key, patient_key
from exchangeai.recording import Identifiers, Recording, from_bytes, source_digest, to_bytes
from exchangeai.store import ObjectStore
from exchangeai.telemetry import UPLOADS, stage
from services.ingest.keys import Link, link_key, recording_key, source_prefix
from services.ingest.receiving import UploadedFile
from services.ingest.signals import Signals

log = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one record of an upload."""

    file_names: tuple[str, ...]
    fact: RecordingFact
    duplicate: bool


class Ingest:
    """The service's logic. `now` gives seconds since the epoch."""

    def __init__(
        self,
        store: ObjectStore,
        bus: Bus,
        reader: SandboxedReader,
        unpacker: SandboxedReader,
        *,
        site_key: str,
        keep_sources: bool,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._bus = bus
        self._facts = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._signals = Signals(bus)
        self._reader = reader
        # Apart from the readers: while an archive is being unpacked its members must find a free one.
        self._unpacker = unpacker
        self._site_key = site_key
        self._keep_sources = keep_sources
        self._now = now

    async def upload(self, files: Sequence[UploadedFile]) -> list[Outcome]:
        """Ingest all records among the files; one that cannot be read is an outcome, not an error.

        Archives are opened: each of their records has its own outcome, and of a large archive only a few are
        in memory at a time. Raises Overloaded or Unavailable when a server cannot take more; sending all
        again is safe.
        """
        room = asyncio.Semaphore(_RECORDS_AT_ONCE)
        begun: list[asyncio.Task[list[Outcome]]] = []

        async def begin(names: tuple[str, ...], members: Mapping[str, bytes], options: ReadOptions) -> None:
            await room.acquire()
            task = asyncio.create_task(self._source(names, members, options))
            task.add_done_callback(lambda _: room.release())
            begun.append(task)

        plain = {x.name: x for x in files if archive_kind(x.data) is None}
        groups: dict[str, list[tuple[str, ...]]] = {}
        for group in group_files(list(plain), {x.name: x.data for x in plain.values()}):
            groups.setdefault(group[0], []).append(group)
        try:
            for file in files:
                if file.name not in plain:
                    async for member in self._unpacker.expand({file.name: file.data}):
                        if member.error is not None:
                            begun.append(_told(self._refused(member.names, member.error)))
                        else:
                            await begin(member.names, member.files, file.options)
                # Two headers may name one signal file, so a file may come first in several records.
                for names in groups.get(file.name, ()):
                    members = [plain[x] for x in names]
                    stated = next((x.options for x in members if x.options != ReadOptions()), ReadOptions())
                    await begin(names, {x.name: x.data for x in members}, stated)
        finally:
            # All finish before one failure is told, so that nothing goes on behind the caller's back.
            ended = await asyncio.gather(*begun, return_exceptions=True)
        outcomes: list[Outcome] = []
        for result in ended:
            if isinstance(result, BaseException):
                raise result
            outcomes += result
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
        return from_bytes(await self._store.get(recording_key(recording_id)))

    async def announce(self, fact: RecordingFact, again: str = "") -> None:
        """Publish that a recording awaits preprocessing; `again` sets a repetition apart."""
        # The time sets a recording that was deleted and sent again apart from its first life.
        dedup_id = f"{fact.recording_id}.{round(fact.ingested_at * 1e6)}{again}"
        await self._bus.publish(RecordingIngested(recording_id=fact.recording_id), dedup_id=dedup_id)

    async def _source(
        self, names: tuple[str, ...], files: Mapping[str, bytes], options: ReadOptions
    ) -> list[Outcome]:
        """One record, or a container of several."""
        source_id = source_digest(files)
        known = await self._facts.get(source_id)
        if known is not None and known.value.readable:
            return [await self._again(known.value, names)]
        fact = RecordingFact(
            recording_id=source_id,
            name_keys=self._name_keys(names),
            ingested_at=self._now(),
            source_size_bytes=sum(len(x) for x in files.values()),
        )
        try:
            with stage("read"):
                results = await self._reader.read(files, options)
        except (UnreadableFile, TooLarge) as e:
            return [await self._unreadable(fact, e, files, names, known)]
        if self._keep_sources and len(results) > 1:
            with stage("store_source"):
                await self._store_files(source_id, files)
        return [await self._read(fact, x, files, names, known) for x in results]

    async def _read(
        self,
        fact: RecordingFact,
        result: ReadResult,
        files: Mapping[str, bytes],
        names: tuple[str, ...],
        known: Fact[RecordingFact] | None,
    ) -> Outcome:
        source_id, recording_id = fact.recording_id, result.recording.source_digest
        contained = recording_id != source_id
        if contained:
            known = await self._facts.get(recording_id)
            if known is not None:
                return await self._again(known.value, names)
        found = result.identifiers
        recording = dataclasses.replace(
            result.recording,
            patient=dataclasses.replace(
                result.recording.patient,
                patient_key=patient_key(self._site_key, found.patient_id) if found.patient_id else None,
            ),
        )
        UPLOADS.labels(recording.format, "read").inc()
        name_keys = {*fact.name_keys, *(self._name_keys((found.record_id,)) if found.record_id else ())}
        fact = dataclasses.replace(
            _described(fact, recording),
            recording_id=recording_id,
            name_keys=tuple(sorted(name_keys)),
            same_signal_as=await self._signals.first_of(recording, recording_id),
        )
        if self._keep_sources:
            with stage("store_source"):
                if not contained:
                    await self._store_files(recording_id, files)
                await self._store_link(recording_id, names, found, source_id if contained else "")
        with stage("store_recording"):
            await self._store.put(recording_key(recording_id), to_bytes(recording))
        outcome = await self._keep(fact, names, known)
        if not outcome.duplicate:
            await self.announce(fact)
        return outcome

    async def _unreadable(
        self,
        fact: RecordingFact,
        error: ExchangeaiError,
        files: Mapping[str, bytes],
        names: tuple[str, ...],
        known: Fact[RecordingFact] | None,
    ) -> Outcome:
        UPLOADS.labels("", type(error).__name__).inc()
        fact = dataclasses.replace(fact, error_reason=type(error).__name__, error_message=str(error))
        if known is not None:
            # Still unreadable, perhaps for another reason now that more was stated.
            fact = dataclasses.replace(fact, ingested_at=known.value.ingested_at)
            await self._facts.put(fact.recording_id, fact)
            return Outcome(file_names=names, fact=fact, duplicate=True)
        if self._keep_sources:
            with stage("store_source"):
                await self._store_files(fact.recording_id, files)
                await self._store_link(fact.recording_id, names, Identifiers(), "")
        return await self._keep(fact, names, known)

    async def _keep(
        self, fact: RecordingFact, names: tuple[str, ...], known: Fact[RecordingFact] | None
    ) -> Outcome:
        try:
            if known is None:
                await self._facts.create(fact.recording_id, fact)
            else:
                await self._facts.update(fact.recording_id, fact, known.revision)
        except Conflict:
            # The same bytes came in twice at once; whoever wrote the fact wins.
            existing, _ = await self.get(fact.recording_id)
            if existing.readable:
                return await self._again(existing, names)
            return Outcome(file_names=names, fact=existing, duplicate=True)
        told = {"recording_id": fact.recording_id, "format": fact.format, "error": fact.error_reason}
        log.info("ingested", extra={"fields": told})
        return Outcome(file_names=names, fact=fact, duplicate=False)

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

    def _refused(self, names: tuple[str, ...], error: ExchangeaiError) -> Outcome:
        """A member that could not be unpacked: there are no bytes to keep, so it is told and not listed."""
        UPLOADS.labels("", type(error).__name__).inc()
        fact = RecordingFact(recording_id="", error_reason=type(error).__name__, error_message=str(error))
        return Outcome(file_names=names, fact=fact, duplicate=False)

    async def _store_files(self, source_id: str, files: Mapping[str, bytes]) -> None:
        for i, name in enumerate(sorted(files)):
            await self._store.put(f"{source_prefix(source_id)}{i}.bin", files[name])

    async def _store_link(
        self, recording_id: str, names: Sequence[str], found: Identifiers, source_id: str
    ) -> None:
        link = Link(sorted(names), found.patient_id, found.record_id, source_id)
        await self._store.put(link_key(recording_id), msgspec.json.encode(link))

    def _name_keys(self, names: Sequence[str]) -> tuple[str, ...]:
        plain = [x.rpartition("/")[2] for x in names]
        spellings = {y for x in plain for y in (x, PurePath(x).stem)}
        return tuple(sorted(name_key(self._site_key, x) for x in spellings))


def _told(outcome: Outcome) -> asyncio.Task[list[Outcome]]:
    async def ended() -> list[Outcome]:
        return [outcome]

    return asyncio.create_task(ended())


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
