"""Follows a bucket of facts in batches from a known position: for indexes that are kept between starts.

Entries are handed on as they lie in the bucket, undecoded, because an index of a million facts needs a few of
their fields only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

_BATCH = 5000
_HELD = 20_000
"""So many entries may wait for the index; then the server is told to wait."""
_IDLE_S = 5.0
_GONE = ("DEL", "PURGE")


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
    js: JetStreamContext, name: str, since: Position | None
) -> AsyncGenerator[Batch, None]:
    """The last entry of each key after `since` (None: all), then each change; ends when the server forgot us.

    The first batch may be empty: it tells whether `since` is known, and whether there is anything to come.
    """
    stream, prefix = f"KV_{name}", f"$KV.{name}."
    info = await js.stream_info(stream)
    made, newest = str(getattr(info, "created", "")), info.state.last_seq if info.state.messages else 0
    fresh = since is None or since.bucket != made or since.revision > info.state.last_seq
    revision = 0 if since is None or fresh else since.revision
    waiting: list[tuple[int, RawChange]] = []
    there, room = asyncio.Event(), asyncio.Event()
    room.set()

    async def take(message: Msg) -> None:
        waiting.append((_revision(message), _change(message, len(prefix))))
        there.set()
        if len(waiting) >= _HELD:
            room.clear()
            await room.wait()

    # History is one entry a key, so what is left of the stream is the last entry of each.
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=revision + 1)
    subscription: Any = await js.subscribe(
        f"{prefix}>", stream=stream, cb=take, ordered_consumer=True, config=config
    )
    try:
        yield Batch(
            changes=[],
            position=Position(bucket=made, revision=revision),
            fresh=fresh,
            current=revision >= newest,
        )
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    await there.wait()
            except TimeoutError:
                if not await _alive(subscription):
                    return
                # What was newest at the start may have been removed since.
                newest = min(newest, revision)
                yield Batch(
                    changes=[], position=Position(bucket=made, revision=revision), fresh=False, current=True
                )
                continue
            batch, waiting[:] = waiting[:_BATCH], waiting[_BATCH:]
            if not waiting:
                there.clear()
            if len(waiting) < _HELD:
                room.set()
            revision = batch[-1][0]
            yield Batch(
                changes=[x for _, x in batch],
                position=Position(bucket=made, revision=revision),
                fresh=False,
                current=revision >= newest,
            )
    finally:
        room.set()
        with suppress(NatsError):
            await subscription.unsubscribe()


def _revision(message: Msg) -> int:
    # $JS.ACK.<stream>.<consumer>.<deliveries>.<revision>...., or with domain and account before the stream
    tokens = message.reply.split(".")
    return int(tokens[5] if len(tokens) == 9 else tokens[7])


def _change(message: Msg, skip: int) -> RawChange:
    header = message.header
    gone = header is not None and header.get("KV-Operation") in _GONE
    return RawChange(key=message.subject[skip:], data=None if gone else message.data)


async def _alive(subscription: Any) -> bool:
    try:
        await subscription.consumer_info()
    except NatsError:
        return False
    return True
