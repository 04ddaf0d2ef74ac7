"""What every method keeps, so that no servicer can forget it.

A call needs a deadline; its request messages must keep the bounds in the proto (protovalidate); the
platform's errors become statuses by the one table; anything else is logged whole and answered INTERNAL
without details. Each call has a request id, the caller's own or a new one, in logs and errors.
"""

from __future__ import annotations

import asyncio
import logging
import time
import types
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import protovalidate
from google.protobuf.message import Message

from exchangeai.errors import DeadlineRequired, ExchangeaiError, InvalidArgument
from exchangeai.rpc.errors import INTERNAL_MESSAGE, REQUEST_ID_HEADER, to_status
from exchangeai.rpc.intake import Intake
from exchangeai.telemetry import RPC_SECONDS, RPCS, request_id

log = logging.getLogger(__name__)

OPEN_INFERENCE = "/inference.GRPCInferenceService/"
OPEN_INFERENCE_DEADLINE_S = 30.0
"""Stock clients of the Open Inference Protocol send no deadline; they get this one."""

_EXEMPT = ("/grpc.health.", "/grpc.reflection.")

InVain: TypeAlias = Callable[[int, float], bool]
"""Whether a call beside so many others would wait in vain, when its caller waits so many seconds."""
NOTHING: Mapping[str, InVain] = types.MappingProxyType({})

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Guarded(grpc.GenericRpcHandler):
    """The methods of a service, each wrapped but those of health and reflection.

    Methods are wrapped once, when they are added, and not by an interceptor, which gRPC would set up anew for
    each call: for small calls that is a quarter of the server's work.
    """

    def __init__(
        self, inner: grpc.GenericRpcHandler, intake: Intake, in_vain: Mapping[str, InVain] = NOTHING
    ) -> None:
        self._inner = inner
        self._intake = intake
        self._in_vain = in_vain
        self._wrapped: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Hand out the method, wrapped by its shape; None when the service has none of this name."""
        method: str = handler_call_details.method
        found = self._wrapped.get(method)
        if found is None:
            handler: Any = self._inner.service(handler_call_details)
            if handler is None or method.startswith(_EXEMPT):
                return handler
            found = self._wrapped[method] = _wrapped(method, handler, self._intake, self._in_vain.get(method))
        return found


def _wrapped(method: str, handler: Any, intake: Intake, in_vain: InVain | None) -> Any:
    call = _Calls(method, intake, in_vain)
    serialisers: dict[str, Any] = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    # On the wire one message is a stream of one; gRPC would read it before the method may refuse the call.
    if handler.unary_unary:
        return grpc.stream_unary_rpc_method_handler(call.unary(handler.unary_unary), **serialisers)
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(call.stream_in(handler.stream_unary), **serialisers)
    if handler.unary_stream:
        return grpc.stream_stream_rpc_method_handler(call.stream_out(handler.unary_stream), **serialisers)
    return grpc.stream_stream_rpc_method_handler(call.stream_both(handler.stream_stream), **serialisers)


class _Calls:
    """The four shapes of a method, all around `_Guard` and what the intake allows."""

    def __init__(self, method: str, intake: Intake, in_vain: InVain | None) -> None:
        self._intake = intake
        self._in_vain = in_vain
        # The Open Inference Protocol states no bounds in its messages; to look for some costs time.
        self._check = _unbounded if method.startswith(OPEN_INFERENCE) else check
        self._meter = _Meter(method)

    def unary(self, inner: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def behaviour(requests: AsyncIterator[Message], context: Context) -> Any:
            async with _Guard(self._meter, context) as guard:
                with self._intake.call(left_s=guard.left_s, in_vain=self._in_vain):
                    request = await self._intake.message(requests)
                    self._check(request)
                    return await guard.within_deadline(inner(request, context))

        return behaviour

    def stream_in(self, inner: Callable[[AsyncIterator[Any], Context], Awaitable[Any]]) -> Any:
        async def behaviour(requests: AsyncIterator[Message], context: Context) -> Any:
            async with _Guard(self._meter, context) as guard:
                with self._intake.call():
                    return await guard.within_deadline(inner(self._checked(requests), context))

        return behaviour

    def stream_out(self, inner: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:
        async def behaviour(requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Any]:
            async with _Guard(self._meter, context):
                with self._intake.call():
                    request = await self._intake.message(requests)
                    self._check(request)
                    async for response in inner(request, context):
                        yield response

        return behaviour

    def stream_both(self, inner: Callable[[AsyncIterator[Any], Context], AsyncIterator[Any]]) -> Any:
        async def behaviour(requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Any]:
            async with _Guard(self._meter, context):
                with self._intake.call(stream=True):
                    async for response in inner(self._checked(requests), context):
                        yield response

        return behaviour

    async def _checked(self, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for request in self._intake.messages(requests):
            self._check(request)
            yield request


class _Meter:
    """Counts the calls of a method; the usual counters are looked up once."""

    def __init__(self, method: str) -> None:
        self.method = method
        self._seconds, self._answered = RPC_SECONDS.labels(method), RPCS.labels(method, "OK")

    def ended(self, begun_s: float) -> None:
        self._seconds.observe(time.perf_counter() - begun_s)

    def answered(self) -> None:
        self._answered.inc()

    def refused(self, code: str) -> None:
        RPCS.labels(self.method, code).inc()


class _Guard:
    """Surrounds one call: request id, deadline, metrics, and errors to statuses."""

    def __init__(self, meter: _Meter, context: Context) -> None:
        self._meter = meter
        self._context = context
        self._begin = time.perf_counter()
        self._deadline_s: float | None = None
        self.left_s = OPEN_INFERENCE_DEADLINE_S
        """Until the caller's deadline, when the call came."""
        sent = {k: v for k, v in context.invocation_metadata() or () if k == REQUEST_ID_HEADER}
        # A caller's id goes into logs, so it is bounded and printable.
        given = str(sent.get(REQUEST_ID_HEADER, ""))[:64]
        usable = given if given.isascii() and given.isprintable() else ""
        self.request_id = usable or uuid.uuid4().hex
        # Stock clients of the Open Inference Protocol do not look, and it costs a small call a twentieth.
        self._tells = bool(usable) or not meter.method.startswith(OPEN_INFERENCE)

    async def __aenter__(self) -> _Guard:
        request_id.set(self.request_id)
        if self._tells:
            self._context.set_trailing_metadata(((REQUEST_ID_HEADER, self.request_id),))
        try:
            # Typed as a number, it is None without a deadline.
            remaining = cast("float | None", self._context.time_remaining())
            if remaining is None:
                if not self._meter.method.startswith(OPEN_INFERENCE):
                    raise DeadlineRequired(
                        "this call has no deadline: set one, so that nothing waits for ever "
                        "(Python: stub.Method(request, timeout=10))"
                    )
                self._deadline_s = OPEN_INFERENCE_DEADLINE_S
            else:
                self.left_s = remaining
        except DeadlineRequired as e:
            await self._fail(e)
        return self

    async def within_deadline(self, answer: Awaitable[Any]) -> Any:
        """Await the answer, within the server's own deadline when the caller has none."""
        if self._deadline_s is None:
            return await answer
        return await asyncio.wait_for(answer, self._deadline_s)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        self._meter.ended(self._begin)
        if error is None:
            self._meter.answered()
        elif isinstance(error, ExchangeaiError):
            await self._fail(error)
        elif isinstance(error, TimeoutError | asyncio.TimeoutError):
            self._meter.refused("DEADLINE_EXCEEDED")
            await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer within the deadline")
        elif isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            log.error("%s failed", self._meter.method, exc_info=error)
            self._meter.refused("INTERNAL")
            await self._context.abort(
                grpc.StatusCode.INTERNAL,
                INTERNAL_MESSAGE,
                ((REQUEST_ID_HEADER, self.request_id),),
            )

    async def _fail(self, error: ExchangeaiError) -> NoReturn:
        status = to_status(error)
        self._meter.refused(status.code.name)
        log.info("%s refused", self._meter.method, extra={"fields": {"reason": type(error).__name__}})
        await self._context.abort(
            status.code,
            status.details,
            (*(status.trailing_metadata or ()), (REQUEST_ID_HEADER, self.request_id)),
        )


def check(request: Message) -> None:
    """Raises InvalidArgument when a message does not keep the bounds in its proto."""
    try:
        protovalidate.validate(request)
    except protovalidate.ValidationError as e:
        raise InvalidArgument(f"the request breaks its contract: {e}") from None


def _unbounded(request: Message) -> None:
    pass
