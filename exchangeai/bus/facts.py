"""Facts: key-value buckets of JSON, with compare-and-set, watches and live copies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from exchangeai.bus.errors import patiently, translated
from exchangeai.bus.follow import Batch, Position, follow_bucket
from exchangeai.errors import Conflict, NotFound, Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fact(Generic[T]):
    """A value and the revision to compare when setting it anew."""

    key: str
    value: T
    revision: int


@dataclass(frozen=True, kw_only=True)
class Change(Generic[T]):
    """One change seen by a watch."""

    key: str
    value: T | None
    """None when the fact was deleted."""
    current: bool = False
    """A mark without key or value: everything known at the start has been replayed."""


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

        async def attempt() -> list[str]:
            keys: list[str] = []
            async with aclosing(self._entries(meta_only=True)) as entries:
                async for entry in entries:
                    if entry is None:
                        return keys
                    if entry.operation not in _GONE:
                        keys.append(entry.key)
            raise Unavailable("the message bus forgot a listing of keys halfway")

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

    async def watch(self) -> AsyncIterator[Change[T]]:
        """Everything known now, then a mark with `current`, then each change, for ever.

        After a lost connection to a server that lost the watch, everything is replayed with a new mark.
        """
        while True:
            with translated():
                async with aclosing(self._entries()) as entries:
                    async for entry in entries:
                        if entry is None:
                            yield Change(key="", value=None, current=True)
                        elif entry.operation in _GONE:
                            yield Change(key=entry.key, value=None)
                        else:
                            yield Change(key=entry.key, value=self._decode(entry.value or b""))
            log.warning("a watch was lost and begins anew")

    async def _entries(self, *, meta_only: bool = False) -> AsyncGenerator[KeyValue.Entry | None, None]:
        """The last entry of each key, then None, then each change; ends when the server lost the watch.

        nats-py has such a mark too, but sets it too early when entries are still on their way to us or are
        written meanwhile (its issue 842), so keys would be missing. We ask for the newest revision first and
        set the mark when it was seen: entries come in the order of their revisions.
        """
        bucket = await self._open()
        status = await bucket.status()
        newest = status.stream_info.state.last_seq if status.values else 0
        watcher = await bucket.watch(">", meta_only=meta_only)
        try:
            marked = not newest
            if marked:
                yield None
            while True:
                try:
                    entry = await watcher.updates(timeout=_IDLE_S)
                except TimeoutError:
                    if not await self._alive(watcher):
                        return
                    if not marked:  # the newest entry was removed meanwhile, and nothing else is to come
                        marked = True
                        yield None
                    continue
                if entry is None:
                    continue
                yield entry
                if not marked and (entry.revision or 0) >= newest:
                    marked = True
                    yield None
        finally:
            with suppress(NatsError):
                await watcher.stop()

    async def _alive(self, watcher: KeyValue.KeyWatcher) -> bool:
        # nats-py may not notice that the server forgot its ephemeral consumer (issue 510), so we ask.
        subscription: Any = watcher._sub  # pyright: ignore[reportPrivateUsage]
        try:
            await subscription.consumer_info()
        except NatsError:
            return False
        return True


_GONE = ("DEL", "PURGE")
"""Operations of the entries that mark a deleted key."""

_IDLE_S = 5.0
"""How long a watch may be silent before we ask whether the server still knows it."""


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
        replayed: set[str] | None = set()
        async for change in facts.watch():
            async with self._changed:
                if change.current:
                    for gone in set(self._items) - replayed if replayed is not None else ():
                        self._set(gone, None)
                    replayed = None
                    filled.set()
                elif self._items.get(change.key) != change.value:
                    self._set(change.key, change.value)
                if replayed is not None:
                    replayed.add(change.key)
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
