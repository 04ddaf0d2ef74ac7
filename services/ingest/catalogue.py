"""The list of recordings: filters and stable pages over a local index of the facts, newest first."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from exchangeai.bus import Bus, Facts
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PreprocessedFact, RecordingFact
from services.ingest.index import RecordingIndex, Wanted, decoded

DEFAULT_PAGE = 100
_CATCH_UP_S = 2.0
_READERS = 4
_T = TypeVar("_T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page."""

    recordings: tuple[tuple[RecordingFact, PreprocessedFact | None], ...]
    next_token: str
    total: int
    """How many match in all."""


class Catalogue:
    """Answers lists from the index; every query runs on a thread of its own."""

    def __init__(self, index: RecordingIndex) -> None:
        self._index = index
        self._writing = ThreadPoolExecutor(1, "catalogue-write")
        self._reading = ThreadPoolExecutor(_READERS, "catalogue-read")
        self._changed = asyncio.Condition()

    async def page(self, wanted: Wanted, size: int = DEFAULT_PAGE, token: str = "") -> Page:
        """One page, newest first. Raises InvalidArgument for a token that is none of ours.

        The token is the position of the last recording shown, so recordings that come in or go between
        two pages neither repeat nor hide others.
        """
        after = _decoded(token) if token else None
        size = size or DEFAULT_PAGE
        rows, total = await self._read(
            lambda: (self._index.page(wanted, size + 1, after), self._index.total(wanted))
        )
        return Page(
            recordings=tuple(decoded(x) for x in rows[:size]),
            next_token=_encoded(*rows[size - 1][:2]) if len(rows) > size else "",
            total=total,
        )

    async def caught_up(self, *recording_ids: str) -> None:
        """Wait a little until recordings just stored are listed, so that a caller sees its own upload."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S), self._changed:
                while not await self._read(lambda: all(map(self._index.knows, recording_ids))):
                    await self._changed.wait()

    async def waiting(self, most: int) -> list[RecordingFact]:
        """Readable recordings that are not preprocessed, oldest first."""
        found = await self._read(lambda: self._index.oldest("pending", most))
        return [msgspec.json.decode(x, type=RecordingFact) for x in found]

    async def follow(self, bucket: str, facts: Facts[Any], filled: asyncio.Event) -> None:
        """Take every change of a bucket in, for ever; `filled` once the index holds all that was there."""
        while True:
            try:
                await self._follow(bucket, facts, filled)
            except Exception:
                # The bus may be away for a while; the index stays as it was and catches up.
                log.warning("following facts failed; trying again", exc_info=True)
                await asyncio.sleep(0.5)

    async def _follow(self, bucket: str, facts: Facts[Any], filled: asyncio.Event) -> None:
        since = await self._write(lambda: self._index.position(bucket))
        settled = False
        async with aclosing(facts.follow(since)) as batches:
            async for batch in batches:
                if batch.fresh:
                    await self._write(lambda: self._index.forget(bucket))
                if batch.changes:
                    await self._write(
                        lambda batch=batch: self._index.apply(
                            bucket, batch.changes, batch.position, is_last=batch.current
                        )
                    )
                if batch.current and not settled:
                    await self._write(self._index.settle)
                    settled = True
                    filled.set()
                async with self._changed:
                    self._changed.notify_all()

    async def _write(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    async def _read(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def close(self) -> None:
        """Finish what is being written and close the index."""
        self._reading.shutdown()
        self._writing.shutdown()
        self._index.close()


@asynccontextmanager
async def open_catalogue(bus: Bus, file: Path) -> AsyncGenerator[Catalogue]:
    """The catalogue over an index file; returns once it holds all that was known when it was opened.

    What the file holds already is kept, and only what came since is read.
    """
    catalogue = Catalogue(await asyncio.to_thread(RecordingIndex, file))
    followers: list[asyncio.Task[None]] = []
    try:
        # One after the other: recordings find the state of their preprocessing there already.
        for bucket, kind in (("preprocessed", PreprocessedFact), ("recordings", RecordingFact)):
            filled = asyncio.Event()
            followers.append(asyncio.create_task(catalogue.follow(bucket, bus.facts(kind), filled)))
            await filled.wait()
        yield catalogue
    finally:
        # The client swallows a cancellation that meets a request without answer, so one may not do.
        while not all(x.done() for x in followers):
            for follower in followers:
                follower.cancel()
            await asyncio.wait(followers, timeout=0.2)
        await asyncio.to_thread(catalogue.close)


def _encoded(ingested_at: float, recording_id: str) -> str:
    return base64.urlsafe_b64encode(f"{ingested_at!r} {recording_id}".encode()).decode()


def _decoded(token: str) -> tuple[float, str]:
    try:
        at, recording_id = base64.urlsafe_b64decode(token.encode()).decode().split(" ")
        return float(at), recording_id
    except (ValueError, binascii.Error) as e:
        raise InvalidArgument("the page token is not one that this service gave; begin without one") from e
