"""The gRPC server that every service listens with: health, reflection, limits and a clean drain."""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from exchangeai.config import RpcConfig
from exchangeai.errors import Unavailable
from exchangeai.rpc.guard import NOTHING, Guarded, InVain
from exchangeai.rpc.intake import Intake, rss_bytes
from exchangeai.rpc.unknown import Unknown

log = logging.getLogger(__name__)

MIB = 1 << 20
HANDSHAKE_MS = 5_000
STREAMS_OF_A_CONNECTION = 512
REFUSED_AT_ONCE = 1024
"""Calls that may be on their way to be refused."""
READY = "ready"
"""Health name for readiness probes; the empty name says that the process lives."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """Register servicers on `grpc`, then enter `serving()`."""

    def __init__(
        self,
        config: RpcConfig,
        *,
        max_receive_bytes: int = 4 * MIB,
        not_offered: Mapping[str, str] = types.MappingProxyType({}),
        in_vain: Mapping[str, InVain] = NOTHING,
    ) -> None:
        """`not_offered` says of methods that callers may expect why there are none, by their whole names.

        `in_vain` says of unary methods that wait for their turn whether a call would do so in vain.
        """
        self._config = config
        self._not_offered = not_offered
        self._in_vain = in_vain
        self._intake = Intake(
            max_calls=config.max_concurrent,
            read_s=config.read_s,
            idle_s=config.idle_s,
            max_message_bytes=max_receive_bytes,
            rss_bytes=rss_bytes,
        )
        self._server: grpc.aio.Server = grpc.aio.server(
            # Above it health checks are refused as well, so calls are bounded well below, by the intake.
            maximum_concurrent_rpcs=config.max_concurrent + REFUSED_AT_ONCE,
            options=[
                ("grpc.max_receive_message_length", max_receive_bytes),
                ("grpc.max_send_message_length", 64 * MIB),
                ("grpc.so_reuseport", 0),
                # Bounds what calls that are reset at once leave behind: 80,000 of them took 780 MB, now 18.
                ("grpc.max_concurrent_streams", STREAMS_OF_A_CONNECTION),
                # New pods get load only when clients resolve again.
                ("grpc.max_connection_age_ms", 10 * 60 * 1000),
                ("grpc.max_connection_age_grace_ms", 60 * 60 * 1000),
                # Whoever connects and does not say the preface is let go; by default only after 2 minutes.
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )
        # The asyncio half of grpc_health is untyped and hidden behind an attribute.
        self._health: Any = cast("Any", health).aio.HealthServicer()
        self._names: tuple[str, ...] = ()
        cast("Any", health_pb2_grpc).add_HealthServicer_to_server(self._health, self._server)

    @property
    def grpc(self) -> Any:
        """Where the generated `add_…Servicer_to_server` functions put their methods, which get guarded."""
        return self

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Take methods in; for generated code."""
        self._server.add_generic_rpc_handlers(
            tuple(Guarded(x, self._intake, self._in_vain) for x in handlers)
        )

    def add_registered_method_handlers(self, service_name: str, handlers: Mapping[str, Any]) -> None:
        """The other half of what generated code does; servers over asyncio have no use for it."""

    @asynccontextmanager
    async def serving(self, *service_names: str, ready: bool = True) -> AsyncGenerator[int]:
        """Listen and yield the port; health says SERVING for `ready` and the named services.

        With `ready=False` it says NOT_SERVING for them, from the first answer on, until `set_ready`. On exit:
        say NOT_SERVING, refuse new calls, let calls in flight finish within `drain_s`, stop.
        """
        self._names = (*service_names, READY)
        reflection.enable_server_reflection(
            (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._server.add_generic_rpc_handlers((Unknown(self._not_offered),))
        address = f"{self._config.host}:{self._config.port}"
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as e:
            raise Unavailable(f"cannot listen on {address}: the port is taken or not ours") from e
        # Before anyone can ask: a service that is not ready must not say for an instant that it is.
        await self._health.set("", _SERVING)
        await self._say(ready)
        await self._server.start()
        log.info("serving", extra={"fields": {"port": port}})
        try:
            yield port
        finally:
            await asyncio.shield(self._drain())

    async def set_ready(self, ready: bool, reason: str = "") -> None:
        """Say whether requests should be sent here."""
        await self._say(ready)
        if not ready:
            log.warning("not ready", extra={"fields": {"reason": reason}})

    async def _say(self, ready: bool) -> None:
        for name in self._names:
            await self._health.set(name, _SERVING if ready else _NOT_SERVING)

    async def _drain(self) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._config.drain_s)
        log.info("drained")
