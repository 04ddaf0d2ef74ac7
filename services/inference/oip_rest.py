"""The Open Inference Protocol, version 2, over HTTP: JSON, and tensors as binary data after it.

As KServe's "Open Inference Protocol (V2), REST" and Triton's extension "binary tensor data" have it. Each
request becomes the message of the same name, so that both doors answer by the same code.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from exchangeai.errors import ExchangeaiError, InvalidArgument, Overloaded, TooLarge, Unavailable
from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.rpc.errors import INTERNAL_MESSAGE, REQUEST_ID_HEADER, status_of
from exchangeai.telemetry import RPC_SECONDS, RPCS, request_id
from services.inference.oip import OpenInferenceServicer

log = logging.getLogger(__name__)

READ_S, ANSWER_S = 20.0, 30.0
"""For the body to come, and for the answer: HTTP callers state no deadline."""
HEADER_LENGTH = "Inference-Header-Content-Length"
_DTYPES: dict[str, type[np.generic]] = {"FP32": np.float32, "INT16": np.int16}
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Infer(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


class _Index(msgspec.Struct):
    ready: bool = False


class _Context:
    """What the methods ask of a gRPC call, of an HTTP request."""

    def __init__(self, request: web.Request) -> None:
        self._end_s = time.monotonic() + ANSWER_S
        self._remote = request.remote or ""

    def time_remaining(self) -> float:
        return self._end_s - time.monotonic()

    def peer(self) -> str:
        return self._remote


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """The routes of the protocol around the servicer that answers them."""

    def __init__(self, inner: OpenInferenceServicer, *, max_calls: int) -> None:
        self._inner = inner
        self._max_calls = max_calls
        self._calls = 0

    def routes(self) -> list[web.RouteDef]:
        """What a server listens to."""
        model = "/v2/models/{model}"
        return [
            web.get("/v2", self._server),
            web.get("/v2/health/live", self._live),
            web.get("/v2/health/ready", self._ready),
            *(
                route
                for path in (model, model + "/versions/{version}")
                for route in (
                    web.get(path, self._metadata),
                    web.get(path + "/ready", self._model_ready),
                    web.post(path + "/infer", self._infer),
                )
            ),
            web.post("/v2/repository/index", self._index),
            web.post("/v2/repository/models/{model}/load", self._load),
            web.post("/v2/repository/models/{model}/unload", self._unload),
        ]

    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors by the one table, limits, a request id and metrics, around every route."""
        given = request.headers.get(REQUEST_ID_HEADER, "")[:64]
        called = given if given.isascii() and given.isprintable() and given else uuid.uuid4().hex
        request_id.set(called)
        resource = request.match_info.route.resource
        begun, method = time.perf_counter(), f"http {resource.canonical if resource else 'unknown'}"
        code, answer = "OK", None
        try:
            answer = await self._counted(request, handler)
        except ExchangeaiError as e:
            code = status_of(e).name
            answer = _json({"error": str(e)}, _HTTP_STATUS.get(code, 500))
        except TimeoutError:
            code = "DEADLINE_EXCEEDED"
            answer = _json({"error": f"no answer within {ANSWER_S:g} s"}, 504)
        except web.HTTPException as e:
            code = "INVALID_ARGUMENT"
            answer = _json({"error": f"{e.reason}; this server has the paths of /v2 only"}, e.status)
        except Exception:
            log.exception("%s failed", method)
            code = "INTERNAL"
            answer = _json({"error": INTERNAL_MESSAGE}, 500)
        finally:
            RPC_SECONDS.labels(method).observe(time.perf_counter() - begun)
            RPCS.labels(method, code).inc()
        answer.headers[REQUEST_ID_HEADER] = called
        return answer

    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A probe must be answered by a server that is full.
        if request.path.startswith("/v2/health/"):
            return await handler(request)
        if self._calls >= self._max_calls:
            raise Overloaded(f"{self._max_calls} calls are at work, as many as may be; try again in a moment")
        self._calls += 1
        try:
            async with asyncio.timeout(READ_S + ANSWER_S):
                return await handler(request)
        finally:
            self._calls -= 1

    async def _live(self, request: web.Request) -> web.Response:
        return _json({"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        answer = await self._inner.ServerReady(pb.ServerReadyRequest(), _Context(request))
        return _json({"ready": answer.ready}, 200 if answer.ready else 400)

    async def _server(self, request: web.Request) -> web.Response:
        told = await self._inner.ServerMetadata(pb.ServerMetadataRequest(), _Context(request))
        return _json(
            {
                "name": told.name,
                "version": told.version,
                "extensions": [*told.extensions, "binary_tensor_data"],
            }
        )

    async def _model_ready(self, request: web.Request) -> web.Response:
        name, version = _model(request)
        asked = pb.ModelReadyRequest(name=name, version=version)
        ready = (await self._inner.ModelReady(asked, _Context(request))).ready
        return _json({"name": name, "ready": ready}, 200 if ready else 400)

    async def _metadata(self, request: web.Request) -> web.Response:
        name, version = _model(request)
        asked = pb.ModelMetadataRequest(name=name, version=version)
        told = await self._inner.ModelMetadata(asked, _Context(request))

        def tensors(given: Any) -> list[dict[str, Any]]:
            return [{"name": x.name, "datatype": x.datatype, "shape": list(x.shape)} for x in given]

        return _json(
            {
                "name": told.name,
                "versions": list(told.versions),
                "platform": told.platform,
                "inputs": tensors(told.inputs),
                "outputs": tensors(told.outputs),
            }
        )

    async def _infer(self, request: web.Request) -> web.Response:
        header, binary = _parts(request, await _body(request))
        # A million numbers as text take a second, in which others are answered.
        asked, tensors = await asyncio.to_thread(_read, header, binary)
        message = _message(asked, tensors, *_model(request))
        if any("classification" in x.parameters for x in asked.outputs):
            raise InvalidArgument("the extension 'classification' is not offered; ask for 'probabilities'")
        usual = bool(asked.parameters.get("binary_data_output"))
        wishes = {x.name: bool(x.parameters.get("binary_data", usual)) for x in asked.outputs}
        answer = await self._inner.ModelInfer(message, _Context(request))
        return _answered(answer, wishes, usual)

    async def _index(self, request: web.Request) -> web.Response:
        asked = _decoded(await _body(request) or b"{}", _Index)
        answer = await self._inner.RepositoryIndex(
            pb.RepositoryIndexRequest(ready=asked.ready), _Context(request)
        )
        fields = ("name", "version", "state", "reason")
        return _json([{k: getattr(x, k) for k in fields} for x in answer.models])

    async def _load(self, request: web.Request) -> web.Response:
        asked = pb.RepositoryModelLoadRequest(model_name=_model(request)[0])
        await self._inner.RepositoryModelLoad(asked, _Context(request))
        return _json({})

    async def _unload(self, request: web.Request) -> web.Response:
        asked = pb.RepositoryModelUnloadRequest(model_name=_model(request)[0])
        await self._inner.RepositoryModelUnload(asked, _Context(request))
        return _json({})


@asynccontextmanager
async def serving_rest(
    inner: OpenInferenceServicer, *, host: str, port: int, max_body_bytes: int, max_calls: int, drain_s: float
) -> AsyncGenerator[int]:
    """Listen, yield the port; on exit let requests in flight finish within `drain_s`.

    Raises Unavailable when the port is taken.
    """
    rest = Rest(inner, max_calls=max_calls)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await rest.guarded(request, handler)

    app = web.Application(middlewares=[guarded], client_max_size=max_body_bytes)
    app.add_routes(rest.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain_s, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as e:
            raise Unavailable(f"cannot listen on {host}:{port}: the port is taken or not ours") from e
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _model(request: web.Request) -> tuple[str, str]:
    return request.match_info["model"], request.match_info.get("version", "")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_S):
            return await request.read()
    except TimeoutError:
        raise Overloaded(f"the body did not come within {READ_S:g} s; send it again") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge("the body is larger than this server takes: send fewer windows at once") from None


def _parts(request: web.Request, body: bytes) -> tuple[bytes, memoryview]:
    """JSON, and the tensors after it."""
    told = request.headers.get(HEADER_LENGTH)
    if told is None:
        return body, memoryview(b"")
    if not told.isascii() or not told.isdigit() or len(told) > 9 or int(told) > len(body):
        raise InvalidArgument(f"{HEADER_LENGTH} must be the length of the JSON in bytes, which the body has")
    return body[: int(told)], memoryview(body)[int(told) :]


def _decoded(data: bytes, kind: type[Any]) -> Any:
    try:
        # Not msgspec's own decoder, which takes 14 us for a number such as 1e300.
        return msgspec.convert(json.loads(data), kind)
    except (ValueError, RecursionError) as e:
        raise InvalidArgument(f"the JSON is not what the protocol states: {str(e)[:200]}") from e


def _message(asked: _Infer, tensors: list[bytes], name: str, version: str) -> pb.ModelInferRequest:
    kind = pb.ModelInferRequest
    try:
        return kind(
            model_name=name,
            model_version=version,
            id=asked.id,
            parameters={
                k: _parameter(k, v) for k, v in asked.parameters.items() if k != "binary_data_output"
            },
            inputs=[
                kind.InferInputTensor(name=x.name, datatype=x.datatype, shape=x.shape) for x in asked.inputs
            ],
            outputs=[kind.InferRequestedOutputTensor(name=x.name) for x in asked.outputs],
            raw_input_contents=tensors,
        )
    except ValueError as e:
        # A size beyond 64 bits, or half a character.
        raise InvalidArgument("the request has a number or a text that no message can hold") from e


def _read(header: bytes, binary: memoryview) -> tuple[_Infer, list[bytes]]:
    """The request and the bytes of its tensors."""
    asked: _Infer = _decoded(header, _Infer)
    tensors: list[bytes] = []
    for tensor in asked.inputs:
        raw, binary = _raw(tensor, tensor.parameters.get("binary_data_size"), binary)
        tensors.append(raw)
    if binary:
        raise InvalidArgument(f"{len(binary)} bytes follow the last tensor; see its binary_data_size")
    return asked, tensors


def _raw(tensor: _Input, size: Any, binary: memoryview) -> tuple[bytes, memoryview]:
    """The bytes of a tensor, and what follows it."""
    if size is not None:
        if not isinstance(size, int) or size < 0 or size > len(binary) or tensor.data is not None:
            raise InvalidArgument(
                "binary_data_size must be the tensor's bytes after the JSON, without 'data'"
            )
        return bytes(binary[:size]), binary[size:]
    dtype = _DTYPES.get(tensor.datatype)
    if tensor.data is None or dtype is None:
        raise InvalidArgument("a tensor needs 'data' of datatype FP32 or INT16, or a binary_data_size")
    try:
        wide = np.asarray(tensor.data, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InvalidArgument("the tensor's 'data' must be numbers, flat or nested as its shape") from None
    if dtype is np.int16 and not np.all((wide == np.trunc(wide)) & (np.abs(wide) <= 32767)):
        raise InvalidArgument("the tensor's 'data' are not all whole numbers of 16 bits")
    with np.errstate(over="ignore"):
        # What is too large becomes infinite, and is refused as such.
        return np.ascontiguousarray(wide.ravel(), np.dtype(dtype).newbyteorder("<")).tobytes(), binary


def _parameter(name: str, value: Any) -> pb.InferParameter:
    match value:
        case bool():
            return pb.InferParameter(bool_param=value)
        case int() if abs(value) < 1 << 63:
            return pb.InferParameter(int64_param=value)
        case float():
            return pb.InferParameter(double_param=value)
        case str():
            return pb.InferParameter(string_param=value)
        case _:
            raise InvalidArgument(f"the parameter {name[:64]!r} must be a truth value, a number or a text")


def _answered(answer: pb.ModelInferResponse, wishes: dict[str, bool], usual: bool) -> web.Response:
    outputs: list[dict[str, Any]] = []
    after: list[bytes] = []
    for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True):
        told: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if wishes.get(tensor.name, usual):
            told["parameters"] = {"binary_data_size": len(raw)}
            after.append(raw)
        else:
            told["data"] = np.frombuffer(raw, "<f4").tolist()
        outputs.append(told)
    whole: dict[str, Any] = {
        "model_name": answer.model_name,
        "model_version": answer.model_version,
        "parameters": {k: v.string_param for k, v in answer.parameters.items()},
        "outputs": outputs,
    }
    if answer.id:
        whole["id"] = answer.id
    if not after:
        return _json(whole)
    header = msgspec.json.encode(whole)
    return web.Response(
        body=b"".join([header, *after]),
        content_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(header))},
    )


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
