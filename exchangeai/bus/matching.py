"""Looks up the facts of a bucket whose keys match a pattern, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

_ASKED_AT_ONCE = 500
_WAIT_S = 5.0
_FORGOTTEN_S = 30.0
_GONE = ("DEL", "PURGE")


class Entry(NamedTuple):
    """A fact as it lies in the bucket."""

    key: str
    data: bytes
    revision: int


async def matching(
    js: JetStreamContext, name: str, patterns: Sequence[str], *, after: int, most: int
) -> list[Entry]:
    """At most so many entries that match a pattern, in the order of their last change, after a revision.

    A pattern is a key in which `*` stands for one part between dots; no two may match the same key. The
    server finds them by its index of subjects, so that it costs what is found and not what there is.
    """
    stream, prefix = f"KV_{name}", f"$KV.{name}."
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        filter_subjects=[prefix + x for x in patterns],
        inactive_threshold=_FORGOTTEN_S,
        mem_storage=True,
    )
    manager: Any = js
    consumer = await manager.add_consumer(stream, config=config)
    left: int = consumer.num_pending or 0
    found: list[Entry] = []
    if not left:
        return found
    subscription = await js.pull_subscribe_bind(consumer=consumer.name, stream=stream)
    try:
        while left > 0 and len(found) < most:
            asked = min(left, _ASKED_AT_ONCE, most - len(found))
            try:
                messages = await subscription.fetch(asked, timeout=_WAIT_S)
            except NatsTimeout:
                break  # what was to come was removed meanwhile
            left -= len(messages)
            for x in messages:
                if (x.header or {}).get("KV-Operation") not in _GONE:
                    sequence = x.metadata.sequence.stream
                    found.append(Entry(x.subject[len(prefix) :], x.data, sequence))
    finally:
        await subscription.unsubscribe()
        await js.delete_consumer(stream, consumer.name)
    return found
