"""A running ingest service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from exchangeai.config import BusConfig, StoreConfig
from exchangeai.rpc import open_channel
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.ingest.main import Config, run
from tests.unit.ingest.ingest_calls import SECRET


@pytest.fixture
async def stub(bus_config: BusConfig, store_config: StoreConfig) -> AsyncIterator[IngestServiceStub]:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = Config(
        bus=bus_config, store=store_config, site_key=SECRET, readers=1, max_file_bytes=1 << 20, max_files=50
    )
    service = asyncio.create_task(run(config, stop, port.set_result))
    channel: grpc.Channel | None = None
    try:
        await asyncio.wait([service, port], return_when=asyncio.FIRST_COMPLETED)
        channel = open_channel(f"127.0.0.1:{port.result()}")
        yield IngestServiceStub(channel)
    finally:
        if channel is not None:
            channel.close()
        stop.set()
        await service
