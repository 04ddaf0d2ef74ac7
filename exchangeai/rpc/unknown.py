"""Methods that a server does not have: UNIMPLEMENTED, with what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc


class Unknown(grpc.GenericRpcHandler):
    """Answers what no other handler takes; add it last."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """`reasons` by the method's whole name, `/package.Service/Method`."""
        self._reasons = reasons

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """A method that says why there is none."""
        method: str = handler_call_details.method
        known = self._reasons.get(method)
        reason = known or "it is unknown here; server reflection lists the methods that there are"

        async def refuse(requests: AsyncIterator[bytes], context: Any) -> bytes:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no method {method[:120]}: {reason}")
            return b""

        # Nothing of the request is read.
        handler: Any = grpc.stream_unary_rpc_method_handler
        return handler(refuse)
