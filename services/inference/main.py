"""Wires the inference service: models from facts, both gRPC APIs, the sandboxes for foreign bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.bus import open_bus, open_index
from exchangeai.config import BusConfig, RpcConfig, StoreConfig, TelemetryConfig
from exchangeai.facts import ModelFact, ServingFact
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.inference.grpc_service_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from exchangeai.rpc import Server
from exchangeai.signatures import read_trusted_keys
from exchangeai.store import open_store
from exchangeai.v1.inference_service_pb2_grpc import (
    add_InferenceServiceServicer_to_server,  # pyright: ignore[reportUnknownVariableType]
)
from services.inference import batching, vetting
from services.inference.batching import Batcher
from services.inference.devices import Device, chosen
from services.inference.exchange import Exchange, Trust
from services.inference.oip import OpenInferenceServicer
from services.inference.oip_extensions import NOT_OFFERED
from services.inference.predict import Predictor
from services.inference.readiness import Readiness
from services.inference.registry import Registry
from services.inference.results import ResultsLog
from services.inference.routing import Router
from services.inference.servicer import InferenceServicer
from services.inference.serving import Serving
from services.inference.shadow import Shadows
from services.inference.sources import Sources
from services.inference.vetter import Vetter

MAX_REQUEST_BYTES = 40 * 1024 * 1024
"""The largest tensor (128 windows, 31 MB) and its envelope fit."""
IN_TURN = (
    "/exchangeai.v1.InferenceService/Predict",
    "/exchangeai.v1.InferenceService/PredictBatch",
    "/inference.GRPCInferenceService/ModelInfer",
)
"""Methods whose calls wait until a model runs them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the inference service."""

    bus: BusConfig
    store: StoreConfig
    rpc: RpcConfig = field(default_factory=lambda: RpcConfig(max_concurrent=256))
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    device: str = Device.CPU.value
    """Where models run: cpu, cuda or tensorrt; the latter two need onnxruntime-gpu (extra `gpu`)."""
    threads: int = 0
    """CPU threads for running models; 0 takes all that this process may use."""
    max_waiting: int = batching.MAX_WAITING
    """Windows that may wait for a model; beyond, calls are answered RESOURCE_EXHAUSTED at once."""
    readers: int = 1
    """Child processes that read uploaded files."""
    results_log: bool = False
    """Keep every answer on a stored recording among the results, asked for or not."""
    max_model_bytes: int = vetting.MAX_BYTES
    """The largest model file that may be imported; at most 512 MiB."""
    rest_port: int = 0
    """Port of the Open Inference Protocol over HTTP, on the host of gRPC; 0 for none."""
    trusted_keys: str = ""
    """Folder of public keys (PEM) whose signatures of imported models count; empty for none."""
    model_memory_bytes: int = 0
    """Memory that the weights of loaded models may take together; 0 for no bound. Beyond it the least
    recently used one that is no champion is let go, and loaded again when a request names it."""
    require_signature: bool = False
    """Refuse imported models that no trusted key has signed."""


async def run(config: Config, stop: asyncio.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set, then drain. Raises ConfigError when the device is not there."""
    device = chosen(config.device)
    threads = config.threads or _processors()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(config.store))
        bus = await stack.enter_async_context(open_bus(config.bus, "inference"))
        index = await stack.enter_async_context(open_index(bus.facts(ModelFact)))
        pool = stack.enter_context(ThreadPoolExecutor(threads, "quality"))
        reader = SandboxedReader(workers=config.readers)
        stack.push_async_callback(reader.close)
        vetter = Vetter()
        stack.push_async_callback(vetter.close)

        served = await stack.enter_async_context(open_index(bus.facts(ServingFact)))
        # Before models are loaded: what starts meanwhile would spoil the measurement of their speed.
        await asyncio.gather(reader.start(), vetter.start())
        memory_bytes = config.model_memory_bytes
        registry = Registry(index, served, store, threads=threads, device=device, memory_bytes=memory_bytes)
        following = asyncio.create_task(registry.follow())
        stack.push_async_callback(_cancelled, following)
        await registry.caught_up()

        batcher = stack.enter_context(Batcher(threads, max_waiting=config.max_waiting))
        sources, predictor = Sources(bus, store, reader.read, pool), Predictor(batcher)
        shadows = Shadows(registry, lambda: batcher.idle)
        stack.push_async_callback(shadows.close)
        router, readiness = Router(registry), Readiness(registry)
        keys = Path(config.trusted_keys) if config.trusted_keys else None
        # A list that cannot be read is told now, not at the first import.
        read_trusted_keys(keys)
        trust = Trust(keys=keys, require_signature=config.require_signature)
        limit = config.max_model_bytes
        exchange = Exchange(bus, store, index, registry, vetter.vet, max_bytes=limit, trust=trust)
        server = Server(
            config.rpc,
            max_receive_bytes=MAX_REQUEST_BYTES,
            not_offered=NOT_OFFERED,
            in_vain=dict.fromkeys(IN_TURN, batcher.in_vain),
        )
        add_InferenceServiceServicer_to_server(
            InferenceServicer(
                registry,
                sources,
                predictor,
                exchange,
                ResultsLog(bus, store, time.time),
                router,
                Serving(bus, index, served, registry),
                shadows,
                record_all=config.results_log,
            ),
            server.grpc,
        )
        open_inference = OpenInferenceServicer(registry, sources, predictor, router, readiness, shadows)
        add_GRPCInferenceServiceServicer_to_server(open_inference, server.grpc)
        port = await stack.enter_async_context(
            server.serving("exchangeai.v1.InferenceService", "inference.GRPCInferenceService", ready=False)
        )
        telling = asyncio.create_task(readiness.follow(server.set_ready))
        stack.push_async_callback(_cancelled, telling)
        if config.rest_port:
            from services.inference.oip_rest import serving_rest

            await stack.enter_async_context(
                serving_rest(
                    open_inference,
                    host=config.rpc.host,
                    port=config.rest_port,
                    max_body_bytes=MAX_REQUEST_BYTES,
                    max_calls=config.rpc.max_concurrent,
                    drain_s=config.rpc.drain_s,
                )
            )
        announce(port)
        await stop.wait()


def event_loop() -> asyncio.AbstractEventLoop:
    """A loop that takes a tenth less of the processor for each call than asyncio's own."""
    import uvloop

    return uvloop.new_event_loop()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
