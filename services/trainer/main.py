"""Wires the trainer: queue in, ranks of training beside it, TrainingService out."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.bus import open_bus, open_index
from exchangeai.comparisons import ComparisonFact
from exchangeai.config import BusConfig, ConfigError, RpcConfig, StoreConfig, TelemetryConfig, to_env
from exchangeai.events.v1.run_requested_pb2 import RunRequested
from exchangeai.facts import ModelFact, RunFact
from exchangeai.process import until_stopped
from exchangeai.rpc import Server
from exchangeai.store import ObjectStore, open_store
from exchangeai.v1.training_service_pb2_grpc import (
    add_TrainingServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from services.trainer.architectures import Architectures
from services.trainer.comparisons import Comparisons
from services.trainer.estimate import Estimator, this_machine
from services.trainer.launchers import Launcher
from services.trainer.launchers.kubernetes import KubernetesConfig, open_kubernetes
from services.trainer.launchers.local import LocalLauncher
from services.trainer.launchers.slurm import SlurmConfig, SlurmLauncher
from services.trainer.publish import Publisher
from services.trainer.runs import Runs
from services.trainer.servicer import TrainingServicer
from services.trainer.worker import Worker

SWEEP_EVERY_S = 60.0
ACK_WAIT_S = 120.0
"""Ranks tell of each second of training, but are silent while they load torch or export."""
MOST_DELIVERIES = 1000
"""A drain returns the message, so a long run may be delivered often; crashes are counted by the worker."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the trainer."""

    bus: BusConfig
    store: StoreConfig
    rpc: RpcConfig = field(default_factory=RpcConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    work_dir: Path
    """Folder for data sets in use and for runs in hand; may be lost at any time."""
    max_parallel_runs: int = 1
    """Runs at once; more wait in the queue."""
    cores: int = 0
    """CPU cores that the ranks of a run share; 0 takes all that this process may use."""
    stop_grace_s: float = 20.0
    """How long ranks may take to save when they are asked to stop."""
    launcher: str = "local"
    """Where ranks run: `local` (processes beside this one), `kubernetes` (a Job a run) or `slurm`."""
    kubernetes: KubernetesConfig = field(default_factory=KubernetesConfig)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)


async def run(config: Config, stop: asyncio.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop`; then runs in hand save their checkpoints and go back to the queue."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(config.store))
        bus = await stack.enter_async_context(open_bus(config.bus, "trainer"))
        index = await stack.enter_async_context(open_index(bus.facts(RunFact)))
        models = await stack.enter_async_context(open_index(bus.facts(ModelFact)))
        compared = await stack.enter_async_context(open_index(bus.facts(ComparisonFact)))
        architectures = Architectures()
        launcher = await stack.enter_async_context(_open_launcher(config, store))
        runs = Runs(
            bus,
            store,
            index,
            models,
            architectures,
            most_processes=launcher.most_processes,
            now_s=time.time,
            new_id=lambda: secrets.token_hex(16),
        )
        comparisons = Comparisons(
            bus,
            store,
            runs,
            index,
            compared,
            architectures,
            now_s=time.time,
            new_id=lambda: secrets.token_hex(16),
        )
        publisher = Publisher(bus, store, time.time)
        worker = Worker(bus, store, runs, index, publisher, launcher, config.work_dir / "trainer", time.time)
        estimator = Estimator(os.environ, cores=this_machine(config.cores), here=config.launcher == "local")
        server = Server(config.rpc)
        servicer = TrainingServicer(runs, index, architectures, comparisons, worker.logs, estimator)
        add_TrainingServiceServicer_to_server(servicer, server.grpc)
        port = await stack.enter_async_context(server.serving("exchangeai.v1.TrainingService"))
        announce(port)
        await until_stopped(
            stop,
            bus.consume(
                RunRequested,
                "trainer-RunRequested",
                worker.handle,
                concurrency=config.max_parallel_runs,
                ack_wait_s=ACK_WAIT_S,
                max_deliver=MOST_DELIVERIES,
            ),
            comparisons.follow(),
            _sweep(runs),
        )


@asynccontextmanager
async def _open_launcher(config: Config, store: ObjectStore) -> AsyncGenerator[Launcher]:
    match config.launcher:
        case "local":
            yield LocalLauncher(
                {**os.environ, **to_env(config.store, "EXCHANGEAI_STORE_")},
                cores=this_machine(config.cores),
                grace_s=config.stop_grace_s,
            )
        case "kubernetes":
            async with open_kubernetes(config.kubernetes, store, config.store, config.stop_grace_s) as opened:
                yield opened
        case "slurm":
            yield SlurmLauncher(config.slurm, store, config.store, os.environ, config.stop_grace_s)
        case unknown:
            raise ConfigError(f"EXCHANGEAI_LAUNCHER must be local, kubernetes or slurm, not {unknown!r}")


async def _sweep(runs: Runs) -> None:
    while True:
        await runs.request_forgotten()
        await asyncio.sleep(SWEEP_EVERY_S)
