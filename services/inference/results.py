"""The log of results: what models said of stored recordings, kept once and never changed.

One result for each recording, model and version of the preprocessing: the object first, then its fact. The
first that was recorded stays; equal input gives an equal answer, so a later one would only repeat it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import ParamSpec

from exchangeai.bus import Bus, Fact
from exchangeai.errors import Conflict, InvalidArgument, NotFound
from exchangeai.facts import ModelFact, PreprocessedFact, ResultFact
from exchangeai.findings import Prediction, Provenance
from exchangeai.results import (
    ANY,
    Chunk,
    Result,
    ResultWriter,
    decode,
    encode,
    fact_key,
    fact_pattern,
    formats,
    object_key,
)
from exchangeai.store import ObjectStore

P = ParamSpec("P")
DEFAULT_PAGE = 100
_AT_ONCE = 8
_MAX_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which results; empty fields do not restrict."""

    recording_id: str = ""
    model_name: str = ""
    model_version: int = 0


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page, oldest first."""

    results: tuple[Result, ...]
    next_token: str


class ResultsLog:
    """`now_s` gives seconds since the epoch."""

    def __init__(self, bus: Bus, store: ObjectStore, now_s: Callable[[], float]) -> None:
        self._facts = bus.facts(ResultFact)
        self._models = bus.facts(ModelFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._store = store
        self._now_s = now_s

    async def record(self, recording_id: str, prediction: Prediction, provenance: Provenance) -> None:
        """Keep an answer on a stored recording, unless there is one already.

        Of several at the same moment one is kept; they differ in time and request id alone.
        Of a recording that is erased meanwhile nothing is left behind; raises NotFound then.
        """
        fact = ResultFact(
            recording_id=recording_id,
            model_name=provenance.model_name,
            model_version=provenance.model_version,
            model_digest=provenance.model_digest,
            preprocessing_version=provenance.preprocessing_version,
            recorded_at=self._now_s(),
        )
        key = fact_key(fact)
        if await self._facts.get(key) is not None:
            return
        result = Result(
            recording_id=recording_id,
            prediction=replace(prediction, windows=(), embedding=()),
            provenance=provenance,
            recorded_at=fact.recorded_at,
        )
        await self._store.put(object_key(fact), encode(result))
        try:
            await self._facts.create(key, fact)
        except Conflict:
            return
        # Erasure removes the fact of the preprocessing first and the results then: whichever of us comes
        # later sees what the other did.
        if await self._preprocessed.get(recording_id) is None:
            await self._store.delete(object_key(fact))
            await self._facts.delete(key)
            raise NotFound("the recording was erased meanwhile; its result was not kept")

    async def page(self, wanted: Wanted, size: int = DEFAULT_PAGE, token: str = "") -> Page:
        """One page, oldest first. Raises InvalidArgument for a token that is none of ours.

        Results that come in between two pages come at the end.
        """
        patterns = await self._patterns(wanted)
        size = size or DEFAULT_PAGE
        if not patterns:
            return Page(results=(), next_token="")
        found = await self._facts.matching(patterns, after=_decoded(token), most=size + 1)
        shown = found[:size]
        more = len(found) > size
        return Page(results=await self._read(shown), next_token=_encoded(shown[-1].revision) if more else "")

    async def export(self, wanted: Wanted, format_name: str) -> AsyncIterator[Chunk]:
        """The files of a format, in chunks of at most 1 MiB; those of one file follow one another."""
        writer: ResultWriter = formats()[format_name].writer()
        token = ""
        while True:
            page = await self.page(wanted, token=token)
            for result in page.results:
                for part in await asyncio.to_thread(_cut, writer.add, result):
                    yield part
            token = page.next_token
            if not token:
                break
        for part in await asyncio.to_thread(_cut, writer.finish):
            yield part

    async def _patterns(self, wanted: Wanted) -> list[str]:
        recording = wanted.recording_id or ANY
        if not wanted.model_name:
            return [fact_pattern(recording)]
        digests = {
            x.digest
            for x in (await self._models.all()).values()
            if x.name == wanted.model_name and wanted.model_version in (0, x.version)
        }
        return [fact_pattern(recording, x) for x in sorted(digests)]

    async def _read(self, facts: list[Fact[ResultFact]]) -> tuple[Result, ...]:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(fact: ResultFact) -> Result | None:
            async with limit:
                try:
                    return decode(await self._store.get(object_key(fact)))
                except NotFound:
                    return None  # erased since

        found = await asyncio.gather(*(one(x.value) for x in facts))
        return tuple(x for x in found if x is not None)


def _cut(write: Callable[P, Iterable[Chunk]], *what: P.args, **named: P.kwargs) -> list[Chunk]:
    """What is written, in pieces that fit into a message."""
    return [
        Chunk(file=chunk.file, data=chunk.data[x : x + _MAX_CHUNK])
        for chunk in write(*what, **named)
        for x in range(0, max(1, len(chunk.data)), _MAX_CHUNK)
    ]


def _encoded(revision: int) -> str:
    return base64.urlsafe_b64encode(str(revision).encode()).decode()


def _decoded(token: str) -> int:
    if not token:
        return 0
    try:
        return max(0, int(base64.urlsafe_b64decode(token.encode())))
    except (ValueError, binascii.Error) as e:
        raise InvalidArgument("the page token is not one that this service gave; begin without one") from e
