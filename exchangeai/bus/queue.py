"""Work queues: a durable pull consumer, what becomes of each message, and dead letters."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from exchangeai.bus.errors import patiently
from exchangeai.bus.streams import DEAD_PREFIX, WORK
from exchangeai.errors import InvalidArgument, NotFound
from exchangeai.telemetry import WORK as WORK_TOTAL
from exchangeai.telemetry import WORK_SECONDS, request_id

log = logging.getLogger(__name__)
E = TypeVar("E", bound=Message)

_BACKOFF_S = (1.0, 5.0, 15.0, 30.0)
_FETCH_S = 5.0


class Later(Exception):
    """The handler cannot do the work yet; it is asked again after the delay, as often as needed."""

    def __init__(self, delay_s: float, reason: str) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


class Delivery:
    """One delivery of a message to a handler."""

    def __init__(self, message: Msg, stopping: asyncio.Event) -> None:
        self._message = message
        self.attempt: int = message.metadata.num_delivered or 1
        """How often the message was delivered, this time included."""
        self.stopping = stopping
        """Set when the service drains: long work should save its state and raise Later."""

    async def progress(self) -> None:
        """Tell the server that the work goes on, so that nobody else gets it; only after real progress."""
        try:
            await self._message.in_progress()
        except NatsError:
            # The server may be away; if it stays away, the message is delivered again and work is idempotent.
            log.debug("a heartbeat could not be sent", exc_info=True)


class Consumer(Generic[E]):
    """Fetches messages of one event and hands each to the handler; see `Bus.consume`."""

    def __init__(
        self,
        js: JetStreamContext,
        subscription: JetStreamContext.PullSubscription,
        event_type: type[E],
        handler: Callable[[E, Delivery], Awaitable[None]],
        max_deliver: int,
    ) -> None:
        self._js = js
        self._subscription = subscription
        self._event_type = event_type
        self._name = event_type.DESCRIPTOR.full_name
        self._handler = handler
        self._max_deliver = max_deliver
        self._stopping = asyncio.Event()

    async def run(self, concurrency: int) -> None:
        """Work until cancelled; then finish what is in flight."""
        workers = [asyncio.create_task(self._work()) for _ in range(concurrency)]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stopping.set()
            await asyncio.wait(workers)
            for worker in workers:
                worker.result()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            message = await self._next()
            if message is not None:
                await self._settle(message)

    async def _next(self) -> Msg | None:
        fetch = asyncio.create_task(self._subscription.fetch(1, timeout=_FETCH_S))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((fetch, stop), return_when=asyncio.FIRST_COMPLETED)
            if not fetch.done():
                return None
            return fetch.result()[0]
        except NatsTimeoutError:
            return None
        except NatsError:
            # Pull requests are lost when the connection is; the next one asks again.
            log.warning("fetching %s failed; trying again", self._name, exc_info=True)
            await asyncio.sleep(0.5)
            return None
        finally:
            for task in (fetch, stop):
                task.cancel()
            await asyncio.gather(fetch, stop, return_exceptions=True)

    async def _settle(self, message: Msg) -> None:
        delivery = Delivery(message, self._stopping)
        token = request_id.set((message.headers or {}).get("Request-Id") or uuid.uuid4().hex)
        begin = time.perf_counter()
        try:
            outcome = await self._handle(message, delivery)
            WORK_TOTAL.labels(self._name, outcome).inc()
            WORK_SECONDS.labels(self._name).observe(time.perf_counter() - begin)
        except NatsError:
            # Neither lost nor done: without our answer the server delivers it again.
            log.warning("settling a message failed; it will come again", exc_info=True)
        finally:
            request_id.reset(token)

    async def _handle(self, message: Msg, delivery: Delivery) -> str:
        if delivery.attempt > self._max_deliver:
            await self._bury(message, f"given up: the worker ended {delivery.attempt - 1} times while at it")
            return "dead"
        event = self._event_type()
        event.ParseFromString(message.data)
        while True:
            try:
                await self._handler(event, delivery)
            except Later as later:
                if await self._stopping_within(later.delay_s, delivery):
                    await message.nak()
                    return "returned"
            except (InvalidArgument, NotFound) as e:
                await self._bury(message, f"{type(e).__name__}: {e}")
                return "dead"
            except Exception as e:
                log.warning("handling %s failed (attempt %d)", self._name, delivery.attempt, exc_info=True)
                if delivery.attempt >= self._max_deliver:
                    await self._bury(
                        message, f"failed {delivery.attempt} times, last with {type(e).__name__}"
                    )
                    return "dead"
                await message.nak(delay=_BACKOFF_S[min(delivery.attempt, len(_BACKOFF_S)) - 1])
                return "retried"
            else:
                await message.ack_sync()
                return "done"

    async def _stopping_within(self, delay_s: float, delivery: Delivery) -> bool:
        await delivery.progress()
        try:
            await asyncio.wait_for(self._stopping.wait(), min(delay_s, _FETCH_S))
        except TimeoutError:
            return False
        return True

    async def _bury(self, message: Msg, reason: str) -> None:
        headers: dict[str, Any] = {
            "Nats-Msg-Id": f"{WORK}:{message.metadata.sequence.stream}",
            "Reason": reason.replace("\n", " ")[:1000],
        }
        await patiently(lambda: self._js.publish(DEAD_PREFIX + self._name, message.data, headers=headers))
        await message.term()
        log.warning("dead letter", extra={"fields": {"event": self._name, "reason": reason}})
