"""Follows a bucket of facts in batches from a known position: for indexes that are kept between starts.

Entries are handed on as they lie in the bucket, undecoded, because an index of a million facts needs a few of
their fields only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

_BATCH = 5000
_EXPIRES_S = 2.0
"""How long a request for a batch stays open."""
_SILENT_S = 3.5
"""After so long without an entry or the end of a request we ask whether the server still knows us."""
_FORGOTTEN_S = 60.0
"""After so long without a request the server drops us; a slow index comes back and begins where it was."""
_GONE = ("DEL", "PURGE")
_REFUSED = ("409", "503")
"""What a server says that has dropped our consumer, or has never known it because it was started anew."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far an index has come, and in which bucket."""

    bucket: str
    """When the bucket was made: another bucket of the same name begins anew."""
    revision: int


@dataclass(frozen=True, kw_only=True)
class RawChange:
    """One entry: its key, and its bytes or None when it was deleted."""

    key: str
    data: bytes | None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Changes in the order of their revisions."""

    changes: list[RawChange]
    position: Position
    """After these changes."""
    fresh: bool
    """The first batch of a bucket that the given position does not belong to: forget what was known."""
    current: bool
    """Everything that was in the bucket when following began has been handed on."""


async def follow_bucket(
    js: JetStreamContext, name: str, since: Position | None, *, headers_only: bool = False
) -> AsyncGenerator[Batch, None]:
    """The last entry of each key after `since` (None: all), then each change; ends when the server forgot us.

    The first batch may be empty: it tells whether `since` is known, and whether there is anything to come.
    With `headers_only` the entries come without their values.
    An entry that went missing on the way is noticed, and following ends before it.
    """
    stream, prefix = f"KV_{name}", f"$KV.{name}."
    info = await js.stream_info(stream)
    made, newest = str(getattr(info, "created", "")), info.state.last_seq if info.state.messages else 0
    fresh = since is None or since.bucket != made or since.revision > info.state.last_seq
    revision = 0 if since is None or fresh else since.revision
    current = revision >= newest
    yield Batch(changes=[], position=Position(bucket=made, revision=revision), fresh=fresh, current=current)
    # History is one entry a key, so what is left of the stream is the last entry of each.
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=revision + 1,
        ack_policy=AckPolicy.NONE,
        headers_only=headers_only,
        inactive_threshold=_FORGOTTEN_S,
        mem_storage=True,
    )
    manager: Any = js
    consumer = (await manager.add_consumer(stream, config=config)).name
    taken = 0
    async with _pulling(js, stream, consumer) as batches:
        while True:
            messages = await batches.next()
            if messages is None:
                try:
                    left = (await js.consumer_info(stream, consumer)).num_pending
                except NatsError:
                    return
                if not current and not left:
                    # What was to come at the beginning was removed without a trace.
                    current = True
                    at = Position(bucket=made, revision=revision)
                    yield Batch(changes=[], position=at, fresh=False, current=True)
                continue
            numbers = [_numbers(x) for x in messages]
            if [n.delivered for n in numbers] != list(range(taken + 1, taken + 1 + len(numbers))):
                return  # something was lost on the way: what follows begins after the last whole batch
            taken += len(numbers)
            revision = numbers[-1].revision
            # Having seen what was newest at the beginning is not enough: an entry may have been overwritten
            # meanwhile and then comes later than that. Once nothing was left to send, nothing was missing.
            current = current or any(x.left == 0 for x in numbers)
            yield Batch(
                changes=[_change(x, len(prefix)) for x in messages],
                position=Position(bucket=made, revision=revision),
                fresh=False,
                current=current,
            )


class _Pull:
    """Asks for batches of a pull consumer; the next is on its way while its reader works on one.

    The client's own `fetch` waits for each message apart and takes a third of the rate.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._waiting: list[Msg] = []
        self._there = asyncio.Event()
        self._open = 0
        self._refused = False

    async def take(self, message: Msg) -> None:
        """The subscription's callback: an entry, or the word that a request has ended without its batch."""
        if message.reply:
            self._waiting.append(message)
            self._open -= 1
        else:
            self._open = 0
            self._refused = (message.header or {}).get("Status") in _REFUSED
        self._there.set()

    async def next(self) -> list[Msg] | None:
        """What has come, at least one entry; None after a while without any, or when we are refused."""
        try:
            async with asyncio.timeout(_SILENT_S):
                while not self._waiting:
                    if self._refused:
                        self._refused = False
                        return None
                    if self._open <= 0:
                        await self._request()
                    self._there.clear()
                    if not self._waiting:
                        await self._there.wait()
        except TimeoutError:
            self._open = 0
            return None
        batch, self._waiting = self._waiting, []
        if self._open <= 0:
            await self._request()
        return batch

    async def _request(self) -> None:
        self._open = _BATCH
        await self._ask()


@asynccontextmanager
async def _pulling(js: JetStreamContext, stream: str, consumer: str) -> AsyncGenerator[_Pull]:
    client: Any = js._nc  # pyright: ignore[reportPrivateUsage]
    inbox = client.new_inbox()
    request = json.dumps({"batch": _BATCH, "expires": int(_EXPIRES_S * 1e9)}).encode()

    async def ask() -> None:
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", request, reply=inbox)

    pull = _Pull(ask)
    subscription = await client.subscribe(inbox, cb=pull.take)
    try:
        yield pull
    finally:
        with suppress(NatsError):
            await subscription.unsubscribe()


class _Numbers(NamedTuple):
    revision: int
    delivered: int
    """How many this consumer was sent, this one included."""
    left: int


def _numbers(message: Msg) -> _Numbers:
    # $JS.ACK.<stream>.<consumer>.<deliveries>.<revision>.<delivered>.<time>.<left>, or with the domain and
    # the account before the stream.
    tokens = message.reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return _Numbers(int(tokens[at]), int(tokens[at + 1]), int(tokens[at + 3]))


def _change(message: Msg, skip: int) -> RawChange:
    header = message.header
    gone = header is not None and header.get("KV-Operation") in _GONE
    return RawChange(key=message.subject[skip:], data=None if gone else message.data)
