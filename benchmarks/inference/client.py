"""The load of the benchmark, a process of its own: so many requests in flight, for so long, over one channel.

Requests are serialised beforehand, answers are not parsed but the first, whose logits are compared with those
that onnxruntime gives: what is measured is the server. Needs numpy, grpcio, aiohttp. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

Ask = Callable[[int], Awaitable[bytes]]
UNARY = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LARGEST = 256 << 20


def main() -> None:
    """Send, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", required=True, choices=("oip", "stream", "http"))
    parser.add_argument("--address", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--flight", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--windows", type=Path, required=True, help=".npz of `ecg` and `logits`")
    parser.add_argument("--each", type=int, default=1, help="windows in a request")
    parser.add_argument("--microvolts", action="store_true")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_measure(options))))


async def _measure(options: argparse.Namespace) -> dict[str, float]:
    held = np.load(options.windows)
    ecg, logits = held["ecg"], held["logits"]
    groups = [np.roll(ecg, -i, axis=0)[: options.each] for i in range(len(ecg))]
    expected = logits[: options.each]
    opened = {"oip": _oip, "stream": _stream, "http": _http}[options.protocol]
    ask, read, close = await opened(options, groups)
    try:
        first = read(await ask(0))
        error = float(np.abs(first.reshape(expected.shape) - expected).max())
        limit = 0.02 if options.microvolts else 1e-3
        if not error <= limit * max(1.0, float(np.abs(expected).max())):
            sys.exit(f"{options.protocol}: the logits are off by {error}")
        await _load(ask, options.flight, min(1.0, options.seconds))
        return await _load(ask, options.flight, options.seconds)
    finally:
        await close()


async def _load(ask: Ask, flight: int, seconds: float) -> dict[str, float]:
    took_ms: list[float] = []
    failed = 0
    numbers = itertools.count()
    begun_s = time.perf_counter()

    async def caller() -> None:
        nonlocal failed
        while time.perf_counter() - begun_s < seconds:
            asked_s = time.perf_counter()
            try:
                await ask(next(numbers))
            except Exception as e:
                if not failed:
                    print(f"a request failed: {e}", file=sys.stderr)
                failed += 1
                continue
            took_ms.append(1e3 * (time.perf_counter() - asked_s))

    await asyncio.gather(*(caller() for _ in range(flight)))
    whole_s = time.perf_counter() - begun_s
    p50, p99 = np.percentile(took_ms, (50, 99))
    return {"rate": len(took_ms) / whole_s, "p50_ms": float(p50), "p99_ms": float(p99), "failed": failed}


def request_bytes(model: str, group: Any, *, microvolts: bool = False) -> bytes:
    """A request of the Open Inference Protocol for the logits of some windows."""
    from exchangeai.inference import grpc_service_pb2 as pb

    values = np.rint(group * 1000).astype("<i2") if microvolts else group.astype("<f4")
    kind = pb.ModelInferRequest
    datatype = "INT16" if microvolts else "FP32"
    request = kind(
        model_name=model,
        inputs=[kind.InferInputTensor(name="ecg", datatype=datatype, shape=values.shape)],
        outputs=[kind.InferRequestedOutputTensor(name="logits")],
        raw_input_contents=[values.tobytes()],
    )
    # Other servers have no such parameter and do no such work.
    request.parameters["assess_quality"].bool_param = False
    return request.SerializeToString()


def _requests(options: argparse.Namespace, groups: list[Any]) -> list[bytes]:
    return [request_bytes(options.model, x, microvolts=options.microvolts) for x in groups]


def _channel(address: str) -> Any:
    import grpc

    sizes = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
    return grpc.aio.insecure_channel(address, options=sizes)


async def _oip(options: argparse.Namespace, groups: list[Any]) -> tuple[Ask, Any, Any]:
    from exchangeai.inference import grpc_service_pb2 as pb

    requests = _requests(options, groups)
    channel = _channel(options.address)
    call = channel.unary_unary(UNARY)

    async def ask(number: int) -> bytes:
        return await call(requests[number % len(requests)], timeout=60)

    def read(answer: bytes) -> Any:
        return _logits(pb.ModelInferResponse.FromString(answer))

    return ask, read, channel.close


async def _stream(options: argparse.Namespace, groups: list[Any]) -> tuple[Ask, Any, Any]:
    from exchangeai.inference import grpc_service_pb2 as pb

    requests = _requests(options, groups)
    channel = _channel(options.address)
    call = channel.stream_stream(STREAM)(timeout=600)
    waiting: asyncio.Queue[asyncio.Future[bytes]] = asyncio.Queue()
    sending = asyncio.Lock()

    async def receive() -> None:
        while True:
            future = await waiting.get()
            future.set_result(await call.read())

    receiving = asyncio.create_task(receive())

    async def ask(number: int) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with sending:
            waiting.put_nowait(future)
            await call.write(requests[number % len(requests)])
        return await future

    def read(answer: bytes) -> Any:
        response = pb.ModelStreamInferResponse.FromString(answer)
        if response.error_message:
            sys.exit(response.error_message)
        return _logits(response.infer_response)

    async def close() -> None:
        receiving.cancel()
        call.cancel()
        await channel.close()

    return ask, read, close


def _logits(response: Any) -> Any:
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], "<f4")
    return np.array(response.outputs[0].contents.fp32_contents, np.float32)


async def _http(options: argparse.Namespace, groups: list[Any]) -> tuple[Ask, Any, Any]:
    """The tensor as a form's file, the logits as the answer's bytes: what costs these servers least."""
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    bodies = [x.astype("<f4").tobytes() for x in groups]

    async def ask(number: int) -> bytes:
        form = aiohttp.FormData()
        form.add_field("ecg", io.BytesIO(bodies[number % len(bodies)]), filename="ecg.bin")
        async with session.post(f"http://{options.address}/predict", data=form) as answer:
            answer.raise_for_status()
            return await answer.read()

    def read(answer: bytes) -> Any:
        return np.frombuffer(answer, "<f4")

    return ask, read, session.close


if __name__ == "__main__":
    main()
