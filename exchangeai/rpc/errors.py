"""The one table between the platform's errors and gRPC statuses, for both directions.

The class name travels as `reason` of a google.rpc.ErrorInfo, so that the client raises the same class.
"""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf import any_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from exchangeai import errors
from exchangeai.errors import ExchangeaiError

DOMAIN = "exchangeai"
_STATUS: Any = rpc_status  # untyped
REQUEST_ID_HEADER = "x-request-id"
INTERNAL_MESSAGE = "internal error; the service's log has the details under this request id"

STATUS: dict[type[ExchangeaiError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.DeadlineRequired: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
}
"""Subclasses take the status of their nearest base in this table; what is in no row is INTERNAL."""

_BY_STATUS: dict[grpc.StatusCode, type[ExchangeaiError]] = {
    code: kind for kind, code in reversed(STATUS.items())
} | {grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable}


def status_of(error: ExchangeaiError) -> grpc.StatusCode:
    """The status of an error."""
    return next((STATUS[k] for k in type(error).__mro__ if k in STATUS), grpc.StatusCode.INTERNAL)


def to_status(error: ExchangeaiError) -> grpc.Status:
    """What the server answers."""
    info = ErrorInfo(reason=type(error).__name__, domain=DOMAIN)
    detail = any_pb2.Any()
    detail.Pack(info)
    code = cast("tuple[int, str]", status_of(error).value)[0]
    return _STATUS.to_status(Status(code=code, message=str(error), details=[detail]))


def from_call(error: grpc.RpcError) -> ExchangeaiError:
    """The error that the server raised; its `request_id` attribute names the request in the logs."""
    call = cast("grpc.Call", error)
    code, message = call.code(), call.details() or ""
    kind = _BY_STATUS.get(code, ExchangeaiError)
    for detail in _details(call):
        if detail.domain == DOMAIN:
            found = getattr(errors, detail.reason, None)
            if isinstance(found, type) and issubclass(found, ExchangeaiError):
                kind = found
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        message = "no answer within the deadline"
    raised = kind(message or code.name)
    sent = dict(call.trailing_metadata() or ())
    raised.request_id = str(sent.get(REQUEST_ID_HEADER, ""))
    return raised


def _details(call: grpc.Call) -> list[ErrorInfo]:
    try:
        status: Status | None = _STATUS.from_call(call)
    except ValueError:
        return []
    found: list[ErrorInfo] = []
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            found.append(info)
    return found
