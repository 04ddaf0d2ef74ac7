"""A roll-out: one of two replicas after the other is ended with SIGTERM under load, and no call fails."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.config import PREFIX, BusConfig, StoreConfig, to_env
from exchangeai.embedded import ServerProcess
from exchangeai.errors import ExchangeaiError
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.ports import ReservedPort
from exchangeai.rpc.client import invoke_async, open_async_channel
from exchangeai.testing.models import synthetic_window, tiny_model
from tests.contract.inference_process import publish_model

CALLERS = 4
START_S = 60.0


class Replica:
    """One process of the inference service on a port of its own, which outlives its restarts."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path) -> None:
        self._port = ReservedPort()
        self.address = f"127.0.0.1:{self._port.number}"
        self._name, self._log = name, folder / f"{name}.log"
        self._environment = {**environment, f"{PREFIX}RPC_PORT": str(self._port.number)}
        self.process = self._started()

    def _started(self) -> ServerProcess:
        command = [sys.executable, "-m", "exchangeai", "serve", "inference"]
        return ServerProcess(self._name, command, self._environment, self._log)

    async def ready(self) -> None:
        """Wait until it says that it takes requests."""
        async with asyncio.timeout(START_S), open_async_channel(self.address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service="ready")
            while True:
                self.process.check()
                try:
                    answer = await invoke_async(health.Check, request, timeout_s=5)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except ExchangeaiError:
                    pass
                await asyncio.sleep(0.05)

    async def restart(self) -> None:
        """SIGTERM, as a cluster ends a pod; it must drain and end well by itself."""
        self.process.terminate()
        assert await asyncio.to_thread(self.process.wait, 30), "it did not drain"
        assert self.process.returncode == 0
        self.process = self._started()
        await self.ready()


@asynccontextmanager
async def two_replicas(
    bus_config: BusConfig, store_config: StoreConfig, folder: Path
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas that are ready, over the same bus and store."""
    environment = {
        **to_env(bus_config, f"{PREFIX}BUS_"),
        **to_env(store_config, f"{PREFIX}STORE_"),
        f"{PREFIX}RPC_HOST": "127.0.0.1",
        f"{PREFIX}THREADS": "1",
    }
    replicas = Replica("one", environment, folder), Replica("two", environment, folder)
    try:
        await asyncio.gather(*(x.ready() for x in replicas))
        yield replicas
    finally:
        for replica in replicas:
            replica.process.terminate()
        for replica in replicas:
            await asyncio.to_thread(replica.process.wait, 30)


async def rolled_out(
    bus_config: BusConfig, store_config: StoreConfig, folder: Path, *, restarts: int, calls: int
) -> tuple[Counter[str], list[str]]:
    """Answers by version, and the errors, over so many restarts and at least so many calls."""
    await asyncio.to_thread(publish_model, bus_config, store_config, tiny_model(name="roll"), "roll")
    window = np.ascontiguousarray(synthetic_window(0)[None], "<f4")
    request = oip.ModelInferRequest(model_name="roll")
    request.inputs.add(name="ecg", datatype="FP32", shape=window.shape)
    request.outputs.add(name="probabilities")
    request.raw_input_contents.append(window.tobytes())
    request.parameters["assess_quality"].bool_param = False
    answered, errors, done = Counter[str](), list[str](), asyncio.Event()

    async def call(infer: Any) -> None:
        while not done.is_set() or answered.total() + len(errors) < calls:
            try:
                answer = await invoke_async(infer, request, timeout_s=30)
                answered[f"{answer.model_version}:{answer.raw_output_contents[0].hex()}"] += 1
            except ExchangeaiError as e:
                errors.append(f"{type(e).__name__}: {e}")

    async with (
        two_replicas(bus_config, store_config, folder) as replicas,
        open_async_channel([x.address for x in replicas]) as channel,
    ):
        stub: Any = GRPCInferenceServiceStub(channel)
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(call(stub.ModelInfer))
            for turn in range(restarts):
                await replicas[turn % 2].restart()
            done.set()
    return answered, errors


@pytest.mark.slow
async def test_three_restarts_fail_no_call(
    bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path
) -> None:
    answered, errors = await rolled_out(bus_config, store_config, tmp_path, restarts=3, calls=500)
    assert not errors
    assert len(answered) == 1, "the same bytes from every replica"


@pytest.mark.endurance
@pytest.mark.timeout(1800)
async def test_thirty_restarts_and_twenty_thousand_calls_fail_none(
    bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path
) -> None:
    answered, errors = await rolled_out(bus_config, store_config, tmp_path, restarts=30, calls=20_000)
    assert not errors
    assert len(answered) == 1
    assert answered.total() >= 20_000
