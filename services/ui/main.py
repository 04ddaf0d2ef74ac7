"""Wires the user interface: gateway, pages, HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from exchangeai.config import TelemetryConfig
from services.ui.app import MAX_REQUEST_BYTES, build
from services.ui.gateway import Addresses, Gateway
from services.ui.server import serving


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the user interface."""

    ingest_address: str
    """`host:port` of the ingest service."""
    preprocess_address: str
    """`host:port` of the preprocess service."""
    trainer_address: str
    """`host:port` of the trainer service."""
    inference_address: str
    """`host:port` of the inference service."""
    host: str = "127.0.0.1"
    """Address to bind; `0.0.0.0` in a pod."""
    port: int = 0
    """0 takes a free one."""
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)


async def run(config: Config, stop: asyncio.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set, then drain. The other services may be down; pages say so."""
    addresses = Addresses(
        ingest=config.ingest_address,
        preprocess=config.preprocess_address,
        trainer=config.trainer_address,
        inference=config.inference_address,
    )
    with closing(Gateway(addresses)) as gateway:
        application = build(gateway).server
        async with serving(application, config.host, config.port, max_body_bytes=MAX_REQUEST_BYTES) as port:
            announce(port)
            await stop.wait()
