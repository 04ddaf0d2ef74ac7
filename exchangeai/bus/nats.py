"""The bus: any NATS server with JetStream, through the `nats-py` client."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import nats
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.errors import AuthorizationError, NoServersError
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, KeyValueConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from exchangeai.buckets import BUCKETS
from exchangeai.bus.errors import patiently, translated
from exchangeai.bus.facts import Facts
from exchangeai.bus.queue import Consumer, Delivery
from exchangeai.bus.streams import DEAD, DEAD_PREFIX, WORK, stream_configs
from exchangeai.config import BusConfig
from exchangeai.errors import NotReady
from exchangeai.telemetry import request_id

_FOLLOW_TIMEOUT_S = 60.0
log = logging.getLogger(__name__)

_TIMEOUT_S = 3.0
"""After this an unanswered request is sent again; a request in flight when the server dies has no answer."""

E = TypeVar("E", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that no worker could do."""

    event_name: str
    payload: bytes
    reason: str
    dead_at: float
    """Seconds since the epoch."""


class Bus:
    """Publishes, consumes and keeps facts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # The client is typed in part only.
        self._js: Any = cast("Any", client).jetstream(timeout=_TIMEOUT_S)
        self._buckets: dict[str, KeyValue] = {}

    async def publish(self, event: Message, *, dedup_id: str) -> None:
        """Publish under the event's full name. The same id within a day is one message.

        Raises Overloaded when the work stream is full, Unavailable when the server stays away.
        """
        headers: dict[str, Any] = {"Nats-Msg-Id": f"{event.DESCRIPTOR.full_name}:{dedup_id}"}
        if request_id.get():
            headers["Request-Id"] = request_id.get()
        await patiently(
            lambda: self._js.publish(event.DESCRIPTOR.full_name, event.SerializeToString(), headers=headers)
        )

    async def consume(
        self,
        event_type: type[E],
        durable: str,
        handler: Callable[[E, Delivery], Awaitable[None]],
        *,
        concurrency: int,
        ack_wait_s: float = 30.0,
        max_deliver: int = 5,
    ) -> None:
        """Hand each message of a work queue to the handler until cancelled; then finish what is in flight.

        The handler returns: done. It raises InvalidArgument or NotFound: no repetition can help, so the
        message becomes a dead letter with the reason. It raises Later: it is asked again after the delay.
        It raises anything else: logged and delivered again with back-off, after `max_deliver` deliveries a
        dead letter. Work must be idempotent; longer than `ack_wait_s` it must call `Delivery.progress()`.
        """
        subject = event_type.DESCRIPTOR.full_name
        # The server's own limit stays open: what exhausts it vanishes from view without a trace, so the
        # consumer counts and buries by itself.
        config = ConsumerConfig(
            durable_name=durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            filter_subject=subject,
            max_deliver=-1,
            max_ack_pending=1000,
        )
        subscription = await patiently(
            lambda: self._js.pull_subscribe(subject, durable=durable, stream=WORK, config=config)
        )
        consumer = Consumer(self._js, subscription, event_type, handler, max_deliver)
        try:
            await consumer.run(concurrency)
        finally:
            if not self._client.is_closed:
                await subscription.unsubscribe()

    def facts(self, kind: type[T]) -> Facts[T]:
        """The bucket of a kind of fact; see `exchangeai.facts`."""
        name = BUCKETS[kind]

        async def bucket() -> KeyValue:
            if name not in self._buckets:
                self._buckets[name] = await self._js.key_value(name)
            return self._buckets[name]

        # Counting what is to come of a large bucket takes the server longer than an ordinary answer.
        return Facts(cast("Any", self._client).jetstream(timeout=_FOLLOW_TIMEOUT_S), name, bucket, kind)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        letters: list[DeadLetter] = []
        with translated():
            state = (await self._js.stream_info(DEAD)).state
            for sequence in range(state.last_seq, max(state.first_seq, 1) - 1, -1):
                if len(letters) == limit:
                    break
                try:
                    message = await self._js.get_msg(DEAD, sequence)
                except NotFoundError:
                    continue
                letters.append(
                    DeadLetter(
                        event_name=(message.subject or "").removeprefix(DEAD_PREFIX),
                        payload=message.data or b"",
                        reason=str(message.headers["Reason"]) if message.headers else "",
                        dead_at=message.time.timestamp() if message.time else 0.0,
                    )
                )
        return letters

    async def backlog(self) -> int:
        """How many messages of work are waiting or being worked on."""
        with translated():
            return (await self._js.stream_info(WORK)).state.messages

    async def make_streams_and_buckets(self, replicas: int, max_work_bytes: int) -> None:
        """Create or adapt what the platform needs; safe to do from every service at once."""
        for config in stream_configs(replicas, max_work_bytes):
            try:
                await self._js.add_stream(config)
            except BadRequestError:
                await self._js.update_stream(config)
        for bucket in BUCKETS.values():
            try:
                await self._js.create_key_value(KeyValueConfig(bucket=bucket, history=1, replicas=replicas))
            except BadRequestError:
                await self._js.key_value(bucket)


@asynccontextmanager
async def open_bus(config: BusConfig, name: str) -> AsyncGenerator[Bus]:
    """Connect as `name`, make streams and buckets, and check that the server syncs each write.

    Raises Unavailable when it does not answer within 30 s, NotReady when it may lose acknowledged writes.
    """

    client = await patiently(lambda: _connect(config, name), budget_s=30)
    try:
        if config.monitoring_url:
            await asyncio.to_thread(_require_synced_writes, config.monitoring_url)
        bus = Bus(client)
        await patiently(lambda: bus.make_streams_and_buckets(config.replicas, config.max_work_bytes))
        yield bus
    finally:
        await _close(client)


async def _close(client: Client) -> None:
    # Everything was awaited by its caller, so there is nothing to drain; and a server that is away must not
    # keep us here. In a task of its own because the client may cancel a closing that meets a reconnection.
    closing = asyncio.ensure_future(client.close())
    try:
        await asyncio.wait((closing,), timeout=5)
    finally:
        closing.cancel()
    with suppress(NatsError, OSError, asyncio.CancelledError):
        if closing.done():
            closing.result()


async def _connect(config: BusConfig, name: str) -> Client:
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        log.debug("bus: %s", type(error).__name__)
        # While connecting, the client says this only in words.
        if "authorization violation" in str(error).lower() and not refused.done():
            refused.set_exception(AuthorizationError())

    connecting: asyncio.Future[Client] = asyncio.ensure_future(
        cast("Any", nats).connect(
            config.url,
            name=f"exchangeai-{name}",
            user=config.user or None,
            password=config.password or None,
            tls=_tls(config) if config.url.startswith("tls://") else None,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            connect_timeout=5,
            error_cb=on_error,
            disconnected_cb=_log_disconnected,
            reconnected_cb=_log_reconnected,
        )
    )
    # The client itself would go on trying a wrong password for ever.
    try:
        await asyncio.wait((connecting, refused), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if refused.done():
            refused.result()
        if not connecting.done():
            raise NoServersError
        return connecting.result()
    finally:
        if not connecting.done():
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)


def _require_synced_writes(monitoring_url: str) -> None:
    with urllib.request.urlopen(f"{monitoring_url}/varz", timeout=5) as answer:
        jetstream: dict[str, Any] = json.load(answer).get("jetstream", {}).get("config", {})
    if not jetstream.get("sync_always"):
        raise NotReady(
            "the NATS server does not sync each write: a loss of power could lose acknowledged work. "
            "Set `sync_interval: always` in its jetstream block"
        )


def _tls(config: BusConfig) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=config.ca_file or None)


async def _log_disconnected() -> None:
    log.warning("disconnected from the bus")


async def _log_reconnected() -> None:
    log.warning("connected to the bus again")
