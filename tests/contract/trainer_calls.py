"""A trainer over real servers, calls to it, and a tiny data set that it can learn."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from exchangeai.bus import Bus
from exchangeai.dataset import manifest_key
from exchangeai.facts import DatasetFact, DatasetState, Task
from exchangeai.rpc import invoke, open_channel, stream
from exchangeai.store import ObjectStore
from exchangeai.testing.datasets import CLASSES, write_dataset
from exchangeai.v1 import training_service_pb2 as pb
from exchangeai.v1.training_service_pb2_grpc import TrainingServiceStub
from services.trainer.main import Config, run

Condition = Callable[[Any], bool]


class Trainer:
    """Calls the service without blocking the loop that it runs in."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self.address = address
        self._stub: Any = TrainingServiceStub(channel)

    async def __call__(self, method: str, request: Any) -> Any:
        return await asyncio.to_thread(invoke, getattr(self._stub, method), request, timeout_s=60)

    async def start(self, dataset_id: str, **fields: Any) -> Any:
        request = pb.StartRunRequest(
            **{"dataset_id": dataset_id, "architecture": "tiny_cnn", "model_name": "tiny", **fields}
        )
        return (await self("StartRun", request)).run

    async def watch(self, run_id: str, until: Condition = lambda run: False) -> list[Any]:
        """Every state seen until the run has ended or the condition holds."""
        answers = self._follow(self._stub.WatchRun, pb.WatchRunRequest(run_id=run_id), lambda x: until(x.run))
        return [x.run for x in await answers]

    async def compare(self, dataset_id: str, **fields: Any) -> Any:
        request = pb.StartComparisonRequest(
            **{"dataset_id": dataset_id, "name": "both", "architectures": ["tiny_cnn"], **fields}
        )
        return (await self("StartComparison", request)).comparison

    async def watch_comparison(self, comparison_id: str, until: Condition = lambda x: False) -> list[Any]:
        """Every state seen until the comparison has ended or the condition holds."""
        request = pb.WatchComparisonRequest(comparison_id=comparison_id)
        answers = self._follow(self._stub.WatchComparison, request, lambda x: until(x.comparison))
        return [x.comparison for x in await answers]

    async def _follow(self, method: Any, request: Any, until: Condition) -> list[Any]:
        def follow() -> list[Any]:
            seen: list[Any] = []
            for answer in stream(method, request, timeout_s=300):
                seen.append(answer)
                if until(answer):
                    break
            return seen

        return await asyncio.to_thread(follow)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Trainer]:
    """The service, in this process; drained in the end."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    service = asyncio.create_task(run(config, stop, port.set_result))
    await asyncio.wait((service, port), return_when=asyncio.FIRST_COMPLETED)
    if service.done():
        service.result()
    address = f"127.0.0.1:{port.result()}"
    with open_channel(address) as channel:
        yield Trainer(channel, address)
    stop.set()
    await service


async def add_dataset(
    bus: Bus, store: ObjectStore, folder: Path, task: Task = Task.MULTI_LABEL, **made_so: Any
) -> str:
    """A ready data set of 64 recordings, made as `write_dataset` is told; returns its id."""
    made = secrets.token_hex(32)
    write_dataset(folder, made, counts=(32, 16, 16), task=task, **made_so)
    for file in folder.iterdir():
        await store.put_file(manifest_key(made).replace("manifest.json", file.name), file)
    await put_dataset(bus, made, DatasetState.READY, task)
    return made


async def put_dataset(bus: Bus, dataset_id: str, state: DatasetState, task: Task = Task.MULTI_LABEL) -> None:
    """The fact alone."""
    fact = DatasetFact(dataset_id=dataset_id, name="tiny", state=state, task=task, classes=CLASSES)
    await bus.facts(DatasetFact).put(dataset_id, fact)
