"""Wires the preprocess service: two consumers, the catalogue and the gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.bus import open_bus, open_index
from exchangeai.config import BusConfig, RpcConfig, StoreConfig, TelemetryConfig
from exchangeai.facts import DatasetFact, TestLooksFact
from exchangeai.keys import check_secret
from exchangeai.process import until_stopped
from exchangeai.rpc import Server
from exchangeai.store import open_store
from exchangeai.v1.preprocess_service_pb2_grpc import (
    add_PreprocessServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from services.preprocess.builder import DatasetBuilder
from services.preprocess.catalogue import Catalogue
from services.preprocess.servicer import PreprocessServicer
from services.preprocess.worker import PreprocessWorker

MAX_RECEIVE_BYTES = 65 << 20
"""A label table of 64 MiB, the bound in the proto, and its envelope."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the preprocess service."""

    bus: BusConfig
    store: StoreConfig
    site_key: str
    """Secret of the site, at least 32 bytes as hex: turns names and patient identifiers into keys."""
    rpc: RpcConfig = field(default_factory=RpcConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    concurrency: int = 2
    """Recordings preprocessed at once by this process."""
    work_dir: Path | None = None
    """Folder for shards while they are written (at most 130 MB); by default the system's temporary folder."""


async def run(config: Config, stop: asyncio.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop`; then finish what is in flight and close in reverse."""
    check_secret(config.site_key)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(config.store))
        bus = await stack.enter_async_context(open_bus(config.bus, "preprocess"))
        datasets = await stack.enter_async_context(open_index(bus.facts(DatasetFact)))
        looks = await stack.enter_async_context(open_index(bus.facts(TestLooksFact)))
        if config.work_dir is not None:
            config.work_dir.mkdir(parents=True, exist_ok=True)
        worker = PreprocessWorker(bus, store)
        builder = DatasetBuilder(bus, store, config.work_dir)
        server = Server(config.rpc, max_receive_bytes=MAX_RECEIVE_BYTES)
        catalogue = Catalogue(bus, store, datasets, looks, config.site_key, config.work_dir)
        servicer = PreprocessServicer(catalogue)
        add_PreprocessServiceServicer_to_server(servicer, server.grpc)
        await worker.republish_outdated()
        port = await stack.enter_async_context(server.serving("exchangeai.v1.PreprocessService"))
        announce(port)
        await until_stopped(stop, worker.run(config.concurrency), builder.run())
