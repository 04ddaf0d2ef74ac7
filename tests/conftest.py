"""Real servers and the real platform as fixtures.

With EXCHANGEAI_TEST_BUS_URL (and _USER, _PASSWORD) or EXCHANGEAI_TEST_STORE_URL (and _ACCESS_KEY,
_SECRET_KEY) set, the suites run against those servers in place of the embedded ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exchangeai.bus import Bus, open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.config import BusConfig, StoreConfig, from_env
from exchangeai.store import ObjectStore, open_store
from exchangeai.store.embedded import start_store
from services.local import Platform, running_platform


@pytest.fixture(scope="module")
def bus_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusConfig]:
    """A NATS server of this module's own."""
    if "EXCHANGEAI_TEST_BUS_URL" in os.environ:
        yield from_env(BusConfig, os.environ, "EXCHANGEAI_TEST_BUS_")
        return
    server = start_bus(tmp_path_factory.mktemp("bus"))
    yield server.config
    server.process.kill()
    server.process.wait(5)


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreConfig]:
    """An S3 server of the session."""
    if "EXCHANGEAI_TEST_STORE_URL" in os.environ:
        yield from_env(StoreConfig, os.environ, "EXCHANGEAI_TEST_STORE_")
        return
    server = start_store(tmp_path_factory.mktemp("store"))
    yield server.config
    server.process.kill()
    server.process.wait(5)


@pytest.fixture(scope="module")
def store_config(store_server: StoreConfig) -> StoreConfig:
    """Buckets of this module's own."""
    return replace(store_server, bucket_prefix=f"test-{secrets.token_hex(4)}")


@pytest.fixture
async def bus(bus_config: BusConfig) -> AsyncIterator[Bus]:
    """A connection to the module's NATS server."""
    async with open_bus(bus_config, "test") as opened:
        yield opened


@pytest.fixture
async def store(store_config: StoreConfig) -> AsyncIterator[ObjectStore]:
    """The module's buckets."""
    async with open_store(store_config) as opened:
        yield opened


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The whole platform: real servers and all services as separate processes."""
    folder: Path = tmp_path_factory.mktemp("platform")
    with running_platform(folder, environment={}) as running:
        yield running
