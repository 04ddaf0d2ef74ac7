"""One service at the other end of a line: calls with a request id, and quick refusal while it is away."""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.errors import ExchangeaiError, Unavailable
from exchangeai.rpc import invoke, open_channel, stream
from exchangeai.rpc.errors import REQUEST_ID_HEADER

log = logging.getLogger(__name__)
READ_S = 5.0
PROBE_S = 1.5
HOLD_S = 2.0
"""After a failure, calls fail at once for this long, so that a page's retries do not pile up."""


class Line:
    """Speaks to one service. It connects when first used, so it can exist before the service does.

    Calls raise the ExchangeaiError that the service raised, Unavailable when it does not answer.
    """

    def __init__(self, service: str, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.service = service
        self.channel: grpc.Channel = open_channel(address)
        self._clock = clock
        self._health: Any = health_pb2_grpc.HealthStub(self.channel)
        self._failed: tuple[float, Unavailable] | None = None

    def call(self, method: Any, request: Any, *, timeout_s: float = READ_S) -> Any:
        """Call a method that answers once."""
        request_id = self._begin()
        try:
            return invoke(_marked(method, request_id), request, timeout_s=timeout_s)
        except ExchangeaiError as e:
            raise self._told(e, request_id) from e

    def stream(self, method: Any, request: Any, *, timeout_s: float) -> Iterator[Any]:
        """Call a method that answers with a stream."""
        request_id = self._begin()
        try:
            yield from stream(_marked(method, request_id), request, timeout_s=timeout_s)
        except ExchangeaiError as e:
            raise self._told(e, request_id) from e

    def probe(self) -> Unavailable | None:
        """Ask whether the service is there; the error to show when it is not."""
        request_id = secrets.token_hex(16)
        try:
            # The empty name is the process itself.
            invoke(
                _marked(self._health.Check, request_id),
                health_pb2.HealthCheckRequest(service=""),
                timeout_s=PROBE_S,
            )
        except Unavailable as e:
            return self._silent(e, request_id)
        except ExchangeaiError:
            pass  # it answered
        self._failed = None
        return None

    def _begin(self) -> str:
        if self._failed and self._clock() - self._failed[0] < HOLD_S:
            raise self._failed[1]
        return secrets.token_hex(16)

    def _told(self, error: ExchangeaiError, request_id: str) -> ExchangeaiError:
        if isinstance(error, Unavailable):
            return self._silent(error, request_id)
        error.request_id = error.request_id or request_id
        return error

    def _silent(self, error: Unavailable, request_id: str) -> Unavailable:
        # The transport's own words name addresses; people need to know which part is away.
        raised = Unavailable(
            f"The {self.service} service does not answer. It may be starting or restarting. "
            "This page tries again by itself; if it lasts, tell the operator the request id."
        )
        raised.request_id = error.request_id or request_id
        self._failed = (self._clock(), raised)
        log.warning(
            "a service does not answer",
            extra={"fields": {"service": self.service, "request": raised.request_id}},
        )
        return raised


def _marked(method: Any, request_id: str) -> Any:
    return functools.partial(method, metadata=((REQUEST_ID_HEADER, request_id),))
