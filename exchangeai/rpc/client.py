"""The client side: channels that retry what is safe, and calls that raise the server's own errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from exchangeai.rpc.errors import from_call

MIB = 1 << 20

_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                # UNAVAILABLE before any answer: the call did not run, or the work is idempotent by its id.
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2.0,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.5},
        "loadBalancingConfig": [{"round_robin": {}}],
    }
)


def open_channel(
    address: str, *, max_receive_bytes: int = 64 * MIB, tls: bool = False, ca_file: str = ""
) -> grpc.Channel:
    """A channel to `host:port`; it connects when first used and again when the connection is lost.

    With `tls` the server must show a certificate for this host from the authority in `ca_file` (PEM), or
    from one that the system knows.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", _SERVICE_CONFIG),
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", 64 * MIB),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if not tls:
        return grpc.insecure_channel(address, options=options)
    authority = Path(ca_file).read_bytes() if ca_file else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority), options=options)


def invoke(method: Any, request: Any, *, timeout_s: float = 10) -> Any:
    """Call a method that answers once; `request` is a message, or an iterator for client streams.

    Raises the ExchangeaiError subclass that the server raised.
    """
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as e:
        raise from_call(e) from e


def stream(method: Any, request: Any, *, timeout_s: float) -> Iterator[Any]:
    """Call a method that answers with a stream; ends the call when the iteration is left early."""
    call = method(request, timeout=timeout_s)
    try:
        yield from call
    except grpc.RpcError as e:
        raise from_call(e) from e
    finally:
        call.cancel()
