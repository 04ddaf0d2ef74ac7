"""The client for services with an event loop; as `exchangeai.client.synchronous`, awaited."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.client.answers import Answer, ModelInfo, Outcome, RawOutputs, answer_of, model_of, outputs_of
from exchangeai.client.connection import POLL_S, READY, TIMEOUT_S, WAIT_S, Connection, connection
from exchangeai.client.requests import Asked, Ecg, infer_request, predict_request
from exchangeai.errors import ExchangeaiError, NotFound, Unavailable
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.rpc.client import invoke_async, open_async_channel
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub


@asynccontextmanager
async def connect_async(
    address: str | Sequence[str],
    *,
    tls: bool = False,
    ca_file: str = "",
    server_name: str = "",
    token: str = "",
    timeout_s: float = TIMEOUT_S,
    wait_s: float = WAIT_S,
) -> AsyncGenerator[AsyncClient]:
    """As `connect`, for `async with`."""
    to = connection(address, tls=tls, ca_file=ca_file, server_name=server_name, token=token)
    client = AsyncClient(to, timeout_s=timeout_s)
    try:
        if wait_s > 0:
            await client.wait_ready(wait_s)
        yield client
    finally:
        await client.close()


class AsyncClient:
    """The inference service, for one event loop. Methods raise as those of `Client` do."""

    def __init__(self, to: Connection, *, timeout_s: float = TIMEOUT_S) -> None:
        self._to = to
        self._timeout_s = timeout_s
        # Names are looked up here; one client is made in a blink, so the loop may wait for that.
        self._channel = open_async_channel(
            to.addresses, tls=to.tls, ca_file=to.ca_file, server_name=to.server_name
        )
        channel: Any = self._channel
        self._typed: Any = InferenceServiceStub(channel)
        self._raw: Any = GRPCInferenceServiceStub(channel)
        self._health: Any = health_pb2_grpc.HealthStub(channel)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()

    async def wait_ready(self, timeout_s: float = WAIT_S, *, model: str = "") -> None:
        """As `Client.wait_ready`."""
        end_s, told = time.monotonic() + timeout_s, "it is not ready"
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                if await self._ready(model, left_s):
                    return
            except (Unavailable, NotFound) as e:
                told = str(e)
            await asyncio.sleep(max(0.0, min(POLL_S, end_s - time.monotonic())))
        raise Unavailable(f"no inference service was ready within {timeout_s:g} s: {told}")

    async def predict(self, ecg: Ecg, model: str, *, timeout_s: float = 0, **asked: Unpack[Asked]) -> Answer:
        """As `Client.predict`."""
        # Files are read in a thread, since a disk may be slow.
        request = await asyncio.to_thread(predict_request, ecg, model, asked)
        return answer_of(await self._call(self._typed.Predict, request, timeout_s))

    async def predict_many(
        self,
        ecgs: Iterable[Ecg] | AsyncIterable[Ecg],
        model: str,
        *,
        at_once: int = 8,
        timeout_s: float = 0,
        **asked: Unpack[Asked],
    ) -> AsyncGenerator[Outcome]:
        """As `Client.predict_many`."""

        async def one(index: int, ecg: Ecg) -> Outcome:
            try:
                answer = await self.predict(ecg, model, timeout_s=timeout_s, **asked)
                return Outcome(index=index, answer=answer)
            except ExchangeaiError as e:
                return Outcome(index=index, error=e)

        pending: deque[asyncio.Task[Outcome]] = deque()
        index = 0
        try:
            async for ecg in _each(ecgs):
                if len(pending) == at_once:
                    yield await pending[0]
                    pending.popleft()
                pending.append(asyncio.ensure_future(one(index, ecg)))
                index += 1
            while pending:
                yield await pending[0]
                pending.popleft()
        finally:
            for task in pending:
                task.cancel()

    async def infer(
        self,
        values: npt.NDArray[np.float32] | npt.NDArray[np.int16],
        model: str,
        *,
        version: int = 0,
        outputs: Sequence[str] = (),
        assess_quality: bool = True,
        timeout_s: float = 0,
    ) -> RawOutputs:
        """As `Client.infer`."""
        request = infer_request(values, model, version, outputs, assess=assess_quality)
        return outputs_of(await self._call(self._raw.ModelInfer, request, timeout_s))

    async def models(self, *, timeout_s: float = 0) -> list[ModelInfo]:
        """As `Client.models`."""
        answer = await self._call(self._typed.ListModels, pb.ListModelsRequest(), timeout_s)
        return [model_of(x) for x in answer.models]

    async def _ready(self, model: str, left_s: float) -> bool:
        request = health_pb2.HealthCheckRequest(service=READY)
        answer = await self._call(self._health.Check, request, left_s)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            return False
        if not model:
            return True
        return (await self._call(self._raw.ModelReady, oip.ModelReadyRequest(name=model), left_s)).ready

    async def _call(self, method: Any, request: Any, timeout_s: float) -> Any:
        allowed_s = timeout_s or self._timeout_s
        return await invoke_async(method, request, timeout_s=allowed_s, metadata=self._to.metadata)


async def _each(ecgs: Iterable[Ecg] | AsyncIterable[Ecg]) -> AsyncGenerator[Ecg]:
    if isinstance(ecgs, AsyncIterable):
        async for ecg in ecgs:
            yield ecg
        return
    for ecg in ecgs:
        yield ecg
