"""Facts: key-value buckets of JSON, with compare-and-set, watches and live copies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from exchangeai.bus.errors import patiently, translated
from exchangeai.bus.follow import Batch, Position, follow_bucket
from exchangeai.bus.matching import matching
from exchangeai.errors import Conflict, NotFound, Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fact(Generic[T]):
    """A value and the revision to compare when setting it anew."""

    key: str
    value: T
    revision: int


class Facts(Generic[T]):
    """One bucket. Values are JSON of the frozen dataclass `kind`; fields it does not know are ignored."""

    def __init__(self, js: JetStreamContext, name: str, bucket: Callable[[], Any], kind: type[T]) -> None:
        self._js = js
        self._name = name
        self._open = bucket
        self._kind = kind
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(kind).decode

    async def get(self, key: str) -> Fact[T] | None:
        """The fact, or None."""

        async def attempt() -> KeyValue.Entry | None:
            try:
                return await (await self._open()).get(key)
            except KeyNotFoundError:
                return None

        entry = await patiently(attempt)
        if entry is None:
            return None
        return Fact(key=key, value=self._decode(entry.value or b""), revision=entry.revision or 0)

    async def put(self, key: str, value: T) -> None:
        """Set the fact, whatever it was."""

        async def attempt() -> None:
            await (await self._open()).put(key, self._encode(value))

        await patiently(attempt)

    async def create(self, key: str, value: T) -> None:
        """Set the fact. Raises Conflict when it exists."""
        await self._write(key, value, lambda bucket: bucket.create(key, self._encode(value)))

    async def update(self, key: str, value: T, revision: int) -> None:
        """Set the fact if its revision still is the given one. Raises Conflict otherwise."""
        await self._write(key, value, lambda bucket: bucket.update(key, self._encode(value), last=revision))

    async def _write(self, key: str, value: T, verb: Callable[[KeyValue], Awaitable[int]]) -> None:
        attempts = 0

        async def attempt() -> None:
            nonlocal attempts
            attempts += 1
            await verb(await self._open())

        try:
            await patiently(attempt)
        except KeyWrongLastSequenceError as e:
            # An attempt before may have succeeded without its answer reaching us.
            existing = await self.get(key) if attempts > 1 else None
            if existing is None or existing.value != value:
                raise Conflict(f"{key} exists already or was changed by someone else") from e

    async def change(self, key: str, edit: Callable[[T], T]) -> T:
        """Read, edit and set until nobody else came between. Raises NotFound.

        `edit` may run several times and may raise to leave the fact as it is; a result equal to what was
        there writes nothing.
        """
        while True:
            fact = await self.get(key)
            if fact is None:
                raise NotFound(f"there is no {key}")
            edited = edit(fact.value)
            if edited == fact.value:
                return edited
            try:
                await self.update(key, edited, fact.revision)
            except Conflict:
                continue
            return edited

    async def delete(self, key: str) -> None:
        """Remove the fact; there being none is fine."""

        async def attempt() -> None:
            try:
                await (await self._open()).delete(key)
            except KeyNotFoundError:
                return

        await patiently(attempt)

    async def keys(self) -> list[str]:
        """All keys."""
        return list(await self._present(headers_only=True))

    async def all(self) -> dict[str, T]:
        """All facts by key, in the order in which they were last changed."""
        return {key: self._decode(data) for key, data in (await self._present()).items()}

    async def matching(self, patterns: Sequence[str], *, after: int = 0, most: int) -> list[Fact[T]]:
        """A page of the facts that match; see `exchangeai.bus.matching`."""
        found = await patiently(lambda: matching(self._js, self._name, patterns, after=after, most=most))
        return [Fact(key=x.key, value=self._decode(x.data), revision=x.revision) for x in found]

    async def each(self, take: Callable[[str, bytes | None], None]) -> None:
        """Hand on every fact undecoded, in the order in which they were last changed, and hold none.

        A fact that changes meanwhile comes again, None when it is removed, and so does all after a lost
        connection: `take` must replace what it had under the key.
        """

        async def attempt() -> None:
            async with aclosing(follow_bucket(self._js, self._name, None)) as batches:
                async for batch in batches:
                    for change in batch.changes:
                        take(change.key, change.data)
                    if batch.current:
                        return
            raise Unavailable("the message bus forgot a listing of facts halfway")

        await patiently(attempt)

    async def _present(self, *, headers_only: bool = False) -> dict[str, bytes]:
        async def attempt() -> dict[str, bytes]:
            known: dict[str, bytes] = {}
            async with aclosing(
                follow_bucket(self._js, self._name, None, headers_only=headers_only)
            ) as batches:
                async for batch in batches:
                    for change in batch.changes:
                        known.pop(change.key, None)
                        if change.data is not None:
                            known[change.key] = change.data
                    if batch.current:
                        return known
            raise Unavailable("the message bus forgot a listing of facts halfway")

        return await patiently(attempt)

    async def follow(self, since: Position | None = None) -> AsyncGenerator[Batch, None]:
        """Undecoded changes in batches after a position, for ever; see `exchangeai.bus.follow`.

        After a lost connection to a server that forgot us, following goes on where it was.
        """
        while True:
            with translated():
                async with aclosing(follow_bucket(self._js, self._name, since)) as batches:
                    async for batch in batches:
                        since = batch.position
                        yield batch
            log.warning("following a bucket was lost and begins anew")

    def decode(self, data: bytes) -> T:
        """The fact in what `follow` hands on."""
        return self._decode(data)


class FactIndex(Generic[T]):
    """A live copy of a bucket that can be thrown away at any time."""

    def __init__(self) -> None:
        self._items: dict[str, T] = {}
        self._changed = asyncio.Condition()
        self._version = 0
        self._touched: dict[str, int] = {}

    @property
    def items(self) -> Mapping[str, T]:
        """All facts by key, in the order in which they were last changed."""
        return self._items

    @property
    def version(self) -> int:
        """Grows with each change; what was made of the items is made anew when it differs."""
        return self._version

    async def wait(self, key: str, until: Callable[[T | None], bool]) -> T | None:
        """Wait until the condition holds for the fact (None: absent) and return it."""
        async with self._changed:
            await self._changed.wait_for(lambda: until(self._items.get(key)))
            return self._items.get(key)

    async def changes(self, key: str | None = None) -> AsyncIterator[tuple[str, T | None]]:
        """With a key, its fact now and after each change; without, each change from now on.

        A slow reader sees the newest state of each fact, not each step.
        """
        seen = self._version
        if key is not None:
            yield key, self._items.get(key)
        while True:
            async with self._changed:
                while not self._newer(seen, key):
                    await self._changed.wait()
                changed = sorted((at, k) for k, at in self._touched.items() if at > seen and key in (None, k))
                seen = self._version
            for _, k in changed:
                yield k, self._items.get(k)

    def _newer(self, seen: int, key: str | None) -> bool:
        return (self._version if key is None else self._touched.get(key, 0)) > seen

    async def _follow(self, facts: Facts[T], filled: asyncio.Event) -> None:
        replayed: set[str] | None = None
        async with aclosing(facts.follow()) as batches:
            async for batch in batches:
                async with self._changed:
                    if batch.fresh:
                        replayed = set()
                    for change in batch.changes:
                        value = None if change.data is None else facts.decode(change.data)
                        if self._items.get(change.key) != value:
                            self._set(change.key, value)
                        if replayed is not None:
                            replayed.add(change.key)
                    if batch.current and replayed is not None:
                        for gone in set(self._items) - replayed:
                            self._set(gone, None)
                        replayed = None
                        filled.set()
                    self._changed.notify_all()

    def _set(self, key: str, value: T | None) -> None:
        self._version += 1
        self._touched[key] = self._version
        self._items.pop(key, None)
        if value is not None:
            self._items[key] = value


@asynccontextmanager
async def open_index(facts: Facts[T]) -> AsyncGenerator[FactIndex[T]]:
    """A live copy of the bucket; returns once it is filled."""
    index: FactIndex[T] = FactIndex()
    filled = asyncio.Event()
    follower = asyncio.create_task(_follow_for_ever(index, facts, filled))
    try:
        await filled.wait()
        yield index
    finally:
        # The client swallows a cancellation that meets a request without answer, so one may not do.
        while not follower.done():
            follower.cancel()
            await asyncio.wait((follower,), timeout=0.2)


async def _follow_for_ever(index: FactIndex[T], facts: Facts[T], filled: asyncio.Event) -> None:
    while True:
        try:
            await index._follow(facts, filled)  # pyright: ignore[reportPrivateUsage]
        except Exception:
            # The bus may be away for a while; the index stays as it was and catches up.
            log.warning("following facts failed; trying again", exc_info=True)
            await asyncio.sleep(0.5)
