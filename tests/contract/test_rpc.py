"""What every method keeps: deadline, bounds, one table of errors, request ids, limits, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from exchangeai import errors
from exchangeai.config import RpcConfig
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound, Overloaded
from exchangeai.rpc import Server, invoke, open_channel, stream
from exchangeai.rpc.errors import INTERNAL_MESSAGE, STATUS, from_call, status_of
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1.ingest_service_pb2_grpc import (
    IngestServiceServicer,
    IngestServiceStub,
    add_IngestServiceServicer_to_server,
)

NAME = "exchangeai.v1.IngestService"
KNOWN = pb.GetRequest(recording_id="a" * 64)


def all_errors(kind: type[ExchangeaiError] = ExchangeaiError) -> Iterator[type[ExchangeaiError]]:
    for sub in kind.__subclasses__():
        if sub.__module__ == errors.__name__:
            yield sub
            yield from all_errors(sub)


class Servicer(IngestServiceServicer):
    """Raises or waits as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.wait_s = 0.0

    async def Get(self, request: pb.GetRequest, context: object) -> pb.GetResponse:
        await asyncio.sleep(self.wait_s)
        if self.error:
            raise self.error
        return pb.GetResponse()

    async def Upload(
        self, request_iterator: AsyncIterator[pb.UploadRequest], context: object
    ) -> pb.UploadResponse:
        async for _ in request_iterator:
            pass
        return pb.UploadResponse()

    async def GetSignal(self, request: object, context: object) -> AsyncIterator[pb.GetSignalResponse]:
        yield pb.GetSignalResponse(lead="I")
        raise NotFound("the signal is gone")


@asynccontextmanager
async def serving(servicer: Servicer, **config: float) -> AsyncGenerator[grpc.Channel]:
    server = Server(RpcConfig(**config))  # type: ignore[arg-type]
    add_IngestServiceServicer_to_server(servicer, server.grpc)
    async with server.serving(NAME) as port:
        with open_channel(f"127.0.0.1:{port}") as channel:
            yield channel


async def get(channel: grpc.Channel, **options: Any) -> object:
    return await asyncio.to_thread(invoke, IngestServiceStub(channel).Get, KNOWN, **options)


def test_every_error_has_a_status() -> None:
    assert all(status_of(kind("x")) is not grpc.StatusCode.INTERNAL for kind in all_errors())
    assert set(STATUS) <= set(all_errors())


async def test_every_error_arrives_as_itself() -> None:
    servicer = Servicer()
    async with serving(servicer) as channel:
        for kind in all_errors():
            servicer.error = kind("what, why, and what next")
            # UNAVAILABLE is retried by the channel; its own test follows.
            if kind is errors.Unavailable:
                continue
            with pytest.raises(kind, match="what, why, and what next") as raised:
                await get(channel)
            assert type(raised.value) is kind
            assert raised.value.request_id


async def test_a_defect_is_internal_without_details(caplog: pytest.LogCaptureFixture) -> None:
    servicer = Servicer()
    servicer.error = RuntimeError("a secret of ours")
    async with serving(servicer) as channel:
        with pytest.raises(ExchangeaiError) as raised:
            await get(channel)
    assert str(raised.value) == INTERNAL_MESSAGE
    assert raised.value.request_id
    assert "a secret of ours" in caplog.text


async def test_a_call_without_deadline_is_refused() -> None:
    async with serving(Servicer()) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            await asyncio.to_thread(IngestServiceStub(channel).Get, KNOWN)
    assert type(from_call(raised.value)) is errors.DeadlineRequired


async def test_bounds_of_the_proto_are_kept_in_requests_and_streams() -> None:
    async with serving(Servicer()) as channel:
        stub = IngestServiceStub(channel)
        with pytest.raises(InvalidArgument, match="recording_id"):
            await asyncio.to_thread(invoke, stub.Get, pb.GetRequest(recording_id="../x"))
        with pytest.raises(InvalidArgument, match="part"):
            await asyncio.to_thread(invoke, stub.Upload, iter([pb.UploadRequest()]))


async def test_a_stream_ends_with_its_error() -> None:
    async with serving(Servicer()) as channel:
        seen: list[str] = []

        def read() -> None:
            request = pb.GetSignalRequest(recording_id="a" * 64)
            for part in stream(IngestServiceStub(channel).GetSignal, request, timeout_s=5):
                seen.append(part.lead)

        with pytest.raises(NotFound, match="gone"):
            await asyncio.to_thread(read)
    assert seen == ["I"]


async def test_too_many_calls_are_told_to_come_back() -> None:
    servicer = Servicer()
    servicer.wait_s = 0.5
    async with serving(servicer, max_concurrent=4) as channel:
        results = await asyncio.gather(*(get(channel) for _ in range(20)), return_exceptions=True)
    refused = [r for r in results if isinstance(r, Overloaded)]
    assert len(refused) >= 8
    assert len(results) - len(refused) >= 4


async def test_draining_finishes_calls_in_flight() -> None:
    servicer = Servicer()
    server = Server(RpcConfig())
    add_IngestServiceServicer_to_server(servicer, server.grpc)
    async with server.serving(NAME) as port:
        channel = open_channel(f"127.0.0.1:{port}")
        await get(channel)
        servicer.wait_s = 0.5
        call = asyncio.create_task(get(channel))
        await asyncio.sleep(0.1)
    with channel:
        # The server has stopped by now; the call in flight was answered all the same.
        assert isinstance(await call, pb.GetResponse)


async def health(channel: grpc.Channel) -> dict[str, bool]:
    """What health says now, by name."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    requests = {name: health_pb2.HealthCheckRequest(service=name) for name in ("", "ready", NAME)}
    answers = {k: await asyncio.to_thread(invoke, stub.Check, v) for k, v in requests.items()}
    return {k: v.status == health_pb2.HealthCheckResponse.SERVING for k, v in answers.items()}


async def test_a_server_that_is_not_ready_at_first_lives_and_says_so() -> None:
    server = Server(RpcConfig())
    add_IngestServiceServicer_to_server(Servicer(), server.grpc)
    async with server.serving(NAME, ready=False) as port:
        with open_channel(f"127.0.0.1:{port}") as channel:
            assert await health(channel) == {"": True, "ready": False, NAME: False}
            await server.set_ready(True)
            assert await health(channel) == {"": True, "ready": True, NAME: True}


async def test_health_and_reflection_answer() -> None:
    async with serving(Servicer()) as channel:
        assert await health(channel) == {"": True, "ready": True, NAME: True}
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)

        def names() -> list[str]:
            request = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            answer = next(stream(reflection.ServerReflectionInfo, request, timeout_s=5))
            return [s.name for s in answer.list_services_response.service]

        assert NAME in await asyncio.to_thread(names)
