"""What callers do on the wire that no client should: the service, a process of its own, goes on answering."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.client import Client
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import DeadlineRequired
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.rpc.client import open_async_channel, open_channel
from exchangeai.rpc.errors import from_call
from exchangeai.testing.models import synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.contract.inference_process import publish_model
from tests.contract.raw_http2 import connected, ended, message, opened, received, request, reset
from tests.contract.served_inference import Served, served_inference

MODEL = "abused"
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
MIB = 1 << 20
READ_S, CALLS = 2.0, 64


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Served]:
    publish_model(bus_config, store_config, tiny_model(name=MODEL), MODEL)
    limits = {"RPC_READ_S": str(READ_S), "RPC_IDLE_S": "3", "RPC_MAX_CONCURRENT": str(CALLS)}
    with served_inference(bus_config, store_config, **limits) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[Client]:
    """Answered before the abuse and after it."""
    with service.client() as connected_client:
        _answered(connected_client)
        yield connected_client
        _answered(connected_client)


def _answered(client: Client) -> None:
    raw = client.infer(synthetic_window(1), MODEL, outputs=["logits"], assess_quality=False, timeout_s=10)
    assert raw["logits"].shape == (1, 5)


def _health(service: Served) -> Any:
    with open_channel(service.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        return health.Check(health_pb2.HealthCheckRequest(service="ready"), timeout=2).status


def test_a_call_without_deadline(service: Served, client: Client) -> None:
    """The typed API refuses it; stock clients of the protocol send none and get the server's own."""
    with open_channel(service.address) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            InferenceServiceStub(channel).ListModels(pb.ListModelsRequest())
        assert isinstance(from_call(raised.value), DeadlineRequired)
        assert GRPCInferenceServiceStub(channel).ServerLive(oip.ServerLiveRequest()).live


@pytest.mark.parametrize(
    "size_bytes", [300 * MIB, pytest.param(1 << 30, marks=pytest.mark.endurance)], ids=["300MB", "1GB"]
)
def test_a_message_far_over_the_limit_takes_no_memory(
    service: Served, client: Client, size_bytes: int
) -> None:
    """gRPC itself would hold all of it before it says no."""
    before, peak, done = service.rss_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], service.rss_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        unlimited = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(service.address, options=unlimited) as channel:
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary(INFER)(bytes(size_bytes), timeout=30)
            code: grpc.StatusCode = raised.value.code()  # type: ignore[attr-defined]
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < 220 * MIB


def test_a_message_is_announced_and_does_not_come(service: Served, client: Client) -> None:
    before = service.rss_bytes()
    with ExitStack() as stack:
        connections = [stack.enter_context(opened(service.address)) for _ in range(2)]
        for connection, path in zip(connections, (INFER, STREAM), strict=True):
            connection.sendall(request(1, path))
            connection.sendall(message(1, 1 << 30, bytes(1000)))
        for connection in connections:
            assert b"no whole message came" in received(connection, b"no whole message", 10)
    assert service.rss_bytes() - before < 20 * MIB


def test_calls_that_never_send_their_message(service: Served, client: Client) -> None:
    """Opened and left alone, without a deadline, as many as the server takes calls, and more."""
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(opened(service.address))
            for stream in range(1, 101, 2):
                connection.sendall(request(stream, INFER))
        time.sleep(0.3)
        assert _health(service) == health_pb2.HealthCheckResponse.SERVING
        begun = time.monotonic()
        _answered(client)
        assert time.monotonic() - begun < 2 * READ_S + 3


def test_connections_that_stall(service: Served, client: Client) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(service.address)) for _ in range(200)]
        for connection in silent[100:]:
            connection.sendall(b"PRI * HTTP/2.0\r")
        for byte in b"\n\r\nSM":
            for connection in silent[150:]:
                connection.sendall(bytes([byte]))
            _answered(client)
        # Whoever does not finish the preface is let go.
        assert all(ended(x, 15) for x in silent)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n" + bytes(1000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        np.random.default_rng(7).bytes(100_000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + np.random.default_rng(8).bytes(100_000),
        b"\x00" * 100_000,
    ],
    ids=["http1", "http1-post", "tls", "noise", "noise-after-preface", "zeros"],
)
def test_what_is_no_grpc_ends_its_connection_only(service: Served, client: Client, sent: bytes) -> None:
    with connected(service.address) as connection:
        try:
            connection.sendall(sent)
        except OSError:
            return
        assert ended(connection, 15)


def test_metadata_without_end(service: Served, client: Client) -> None:
    before = service.rss_bytes()
    with open_channel(service.address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for metadata in (
            (("x-large", "a" * 100_000),),
            tuple((f"x-{i}", "a" * 100) for i in range(1000)),
            (("x-request-id", "a" * 60_000),),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                stub.ServerLive(oip.ServerLiveRequest(), timeout=5, metadata=metadata)
            code: grpc.StatusCode = raised.value.code()  # type: ignore[attr-defined]
            assert code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert service.rss_bytes() - before < 20 * MIB


def test_calls_reset_as_soon_as_they_are_made(service: Served, client: Client) -> None:
    """Rapid reset (CVE-2023-44487)."""
    before = service.rss_bytes()
    with opened(service.address) as connection:
        try:
            for stream in range(1, 20_001, 2):
                connection.sendall(request(stream, INFER, ("grpc-timeout", "20S")) + reset(stream))
        except OSError:
            pass  # the server may have had enough
        _answered(client)
    assert service.rss_bytes() - before < 60 * MIB


async def test_cancelled_calls_leave_the_queue(service: Served, client: Client) -> None:
    window = np.stack([synthetic_window(1)] * 4).tobytes()
    tensor = oip.ModelInferRequest.InferInputTensor(name="ecg", datatype="FP32", shape=[4, 12, 5000])
    sent = oip.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[window])
    async with open_async_channel(service.address) as channel:
        infer: Any = GRPCInferenceServiceStub(channel).ModelInfer  # type: ignore[arg-type]
        for _ in range(20):
            calls = [infer(sent, timeout=30) for _ in range(50)]
            await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
    begun = time.monotonic()
    await asyncio.to_thread(_answered, client)
    assert time.monotonic() - begun < 3


async def _many_streams(service: Served, client: Client, count: int) -> list[Any]:
    """Streams that are opened and held, over a few connections; the statuses of those that ended."""
    channels = [open_async_channel(service.address, max_receive_bytes=MIB + i) for i in range(4)]
    try:
        calls = [
            GRPCInferenceServiceStub(channel).ModelStreamInfer(timeout=60)  # type: ignore[arg-type]
            for channel, _ in zip(itertools.cycle(channels), range(count), strict=False)
        ]
        await asyncio.sleep(1 + count / 1000)
        assert await asyncio.to_thread(_health, service) == health_pb2.HealthCheckResponse.SERVING
        # Streams have half of the calls, so the others go on.
        await asyncio.to_thread(_answered, client)
        done = [await x.code() for x in calls if x.done()]
        for call in calls:
            call.cancel()
        return done
    finally:
        for channel in channels:
            await channel.close()


async def test_a_thousand_streams_are_bounded(service: Served, client: Client) -> None:
    await _bounded(service, client, 1000)


@pytest.mark.endurance
async def test_ten_thousand_streams_are_bounded(service: Served, client: Client) -> None:
    await _bounded(service, client, 10_000)


async def _bounded(service: Served, client: Client, count: int) -> None:
    before = service.rss_bytes()
    done = await _many_streams(service, client, count)
    # UNAVAILABLE are those over what one connection may have open, which HTTP/2 refuses by itself.
    assert set(done) <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert len(done) >= count - CALLS
    assert service.rss_bytes() - before < 150 * MIB
