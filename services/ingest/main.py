"""Wires the ingest service: uploads, catalogue, sweeper."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.bus import open_bus
from exchangeai.config import BusConfig, RpcConfig, StoreConfig, TelemetryConfig
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.keys import check_secret
from exchangeai.process import until_stopped
from exchangeai.rpc import Server
from exchangeai.store import open_store
from exchangeai.v1.ingest_service_pb2_grpc import (
    add_IngestServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from services.ingest.catalogue import open_catalogue
from services.ingest.erasure import Erasure
from services.ingest.export import Export
from services.ingest.ingest import Ingest
from services.ingest.receiving import Hall, Limits
from services.ingest.servicer import IngestServicer
from services.ingest.sweeper import Sweeper

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the ingest service."""

    bus: BusConfig
    store: StoreConfig
    site_key: str
    """Secret of the site, 32 bytes or more in hexadecimal: patient and name keys depend on it."""
    rpc: RpcConfig = field(default_factory=RpcConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    max_file_bytes: int = 100 * _MIB
    """The largest file taken."""
    max_upload_bytes: int = 512 * _MIB
    """The most bytes that all files of one upload may have."""
    max_held_bytes: int = 1024 * _MIB
    """The most bytes that all uploads in flight may hold in memory."""
    max_files: int = 1000
    """The most files in one upload."""
    keep_sources: bool = True
    """Whether the uploaded bytes are kept, in the bucket that only this service may read."""
    readers: int = 2
    """Child processes that read files."""
    index_folder: str = ""
    """Folder of the catalogue's index, so that the next start is quick; empty for a temporary one."""


async def run(config: Config, stop: asyncio.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set, then drain. Raises ConfigError for an unusable site key."""
    check_secret(config.site_key)
    limits = Limits(
        file_bytes=config.max_file_bytes,
        upload_bytes=config.max_upload_bytes,
        files=config.max_files,
        held_bytes=config.max_held_bytes,
    )
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(config.store))
        bus = await stack.enter_async_context(open_bus(config.bus, "ingest"))
        catalogue = await stack.enter_async_context(open_catalogue(bus, _index_file(config, stack)))
        reader = SandboxedReader(workers=config.readers)
        stack.push_async_callback(reader.close)
        await reader.start()
        unpacker = SandboxedReader(workers=1)
        stack.push_async_callback(unpacker.close)
        ingest = Ingest(
            store,
            bus,
            reader,
            unpacker,
            site_key=config.site_key,
            keep_sources=config.keep_sources,
            now=time.time,
        )
        erasure = Erasure(store, bus, now=time.time)
        export = Export(ingest, catalogue)
        sweeper = Sweeper(ingest, catalogue, bus, time.time)
        server = Server(config.rpc)
        add_IngestServiceServicer_to_server(
            IngestServicer(ingest, erasure, export, catalogue, Hall(limits)), server.grpc
        )
        announce(await stack.enter_async_context(server.serving("exchangeai.v1.IngestService")))
        await until_stopped(stop, sweeper.run())


def _index_file(config: Config, stack: AsyncExitStack) -> Path:
    folder = config.index_folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="catalogue-"))
    return Path(folder) / "recordings.sqlite"
