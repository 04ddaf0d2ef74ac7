"""The inference service over real servers, in a thread with its own event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc

from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.facts import ModelFact, ModelState
from exchangeai.model_file import model_digest
from exchangeai.rpc import open_channel
from exchangeai.store import ObjectStore
from services.inference.exchange import model_key
from services.inference.main import Config, run
from tests.contract.service_thread import behind, running_service

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A running service and the servers behind it."""

    address: str
    channel: grpc.Channel
    bus_config: BusConfig
    store_config: StoreConfig

    def behind(self, work: Callable[[Bus, ObjectStore], Awaitable[T]]) -> T:
        """Do what other services would do: write objects and facts."""

        return behind(self.bus_config, self.store_config, work)

    def publish(
        self, data: bytes, name: str, version: int = 1, *, digest: str = "", put: bool = True
    ) -> ModelFact:
        """Publish a model as the trainer does: the object, then the fact."""
        return publish_model(self.bus_config, self.store_config, data, name, version, digest=digest, put=put)


def publish_model(
    bus_config: BusConfig,
    store_config: StoreConfig,
    data: bytes,
    name: str,
    version: int = 1,
    *,
    digest: str = "",
    put: bool = True,
) -> ModelFact:
    """Publish a model as the trainer does: the object, then the fact."""
    fact = ModelFact(
        name=name,
        version=version,
        digest=digest or model_digest(data),
        state=ModelState.APPROVED,
        origin="here",
        created_at=1.0,
    )

    async def work(bus: Bus, store: ObjectStore) -> None:
        if put:
            await store.put(f"models/{fact.digest}.onnx", data)
        await bus.facts(ModelFact).create(model_key(name, version), fact)

    behind(bus_config, store_config, work)
    return fact


@contextmanager
def running_inference(
    bus: BusConfig,
    store: StoreConfig,
    *,
    max_model_bytes: int = 1 << 20,
    results_log: bool = False,
    model_memory_bytes: int = 0,
) -> Iterator[Running]:
    """Start the service, yield it, drain it."""
    config = Config(
        bus=bus,
        store=store,
        threads=1,
        max_model_bytes=max_model_bytes,
        results_log=results_log,
        model_memory_bytes=model_memory_bytes,
    )
    with running_service(lambda *ends: run(config, *ends)) as address, open_channel(address) as channel:
        yield Running(address, channel, bus, store)
