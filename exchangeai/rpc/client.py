"""The client side: channels that retry what is safe, and calls that raise the server's own errors."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from exchangeai.errors import InvalidArgument, Unavailable
from exchangeai.rpc.errors import from_call
from exchangeai.rpc.patience import Patience

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


RESOLVE_AGAIN_MS = 2000
"""A replaced replica has another address; by default it would be asked for only each 30 s."""
RETRY_BUFFER_BYTES = 64 * MIB
"""A request over it is not retried; the default of 256 KiB would leave out all above one window."""


def open_channel(
    address: str | Sequence[str],
    *,
    max_receive_bytes: int = 64 * MIB,
    tls: bool = False,
    ca_file: str = "",
    server_name: str = "",
) -> grpc.Channel:
    """A channel to `host:port`, or to several in turn; it connects when first used and when it was lost.

    With `tls` the server must show a certificate for this host (or for `server_name`) from the authority in
    `ca_file` (PEM), or from one that the system knows. A name with several addresses stands for all of them.
    """
    target = target_of(address)
    options = _options(max_receive_bytes, server_name)
    if not tls:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, _credentials(ca_file), options=options)


def open_async_channel(
    address: str | Sequence[str],
    *,
    max_receive_bytes: int = 64 * MIB,
    tls: bool = False,
    ca_file: str = "",
    server_name: str = "",
) -> grpc.aio.Channel:
    """As `open_channel`, for the running event loop."""
    target = target_of(address)
    options = _options(max_receive_bytes, server_name)
    if not tls:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, _credentials(ca_file), options=options)


def target_of(address: str | Sequence[str]) -> str:
    """What gRPC connects to. Several hosts are looked up now, once; one is, whenever a connection is lost.

    Raises InvalidArgument for what is no `host:port`, and Unavailable for a name that nobody knows.
    """
    addresses = [address] if isinstance(address, str) else list(dict.fromkeys(address))
    for one in addresses:
        host, _, port = one.rpartition(":")
        if not host or not port.isdigit():
            raise InvalidArgument(f"the address {one[:100]!r} is not 'host:port', as 'localhost:50051'")
    if len(addresses) == 1:
        return addresses[0]
    if not addresses:
        raise InvalidArgument("no address is given: name at least one 'host:port'")
    found: dict[str, None] = {}
    for one in addresses:
        host, _, port = one.rpartition(":")
        try:
            known = socket.getaddrinfo(host.strip("[]"), int(port), socket.AF_INET, socket.SOCK_STREAM)
        except OSError as e:
            raise Unavailable(f"the host {host[:100]!r} has no known IPv4 address") from e
        found |= dict.fromkeys(f"{x[4][0]}:{port}" for x in known)
    return "ipv4:" + ",".join(found)


def _options(max_receive_bytes: int, server_name: str) -> list[tuple[str, str | int]]:
    named = [("grpc.ssl_target_name_override", server_name), ("grpc.default_authority", server_name)]
    return [
        ("grpc.service_config", _SERVICE_CONFIG),
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", 64 * MIB),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.dns_min_time_between_resolutions_ms", RESOLVE_AGAIN_MS),
        ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER_BYTES),
        *(named if server_name else []),
    ]


def _credentials(ca_file: str) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(Path(ca_file).read_bytes() if ca_file else None)


def invoke(
    method: Any, request: Any, *, timeout_s: float = 10, metadata: Sequence[tuple[str, str]] = ()
) -> Any:
    """Call a method that answers once; `request` is a message, or an iterator for client streams.

    Raises the ExchangeaiError subclass that the server raised.
    """
    try:
        return method(request, timeout=timeout_s, metadata=metadata)
    except grpc.RpcError as e:
        raise from_call(e) from e


def invoke_patiently(
    method: Any, request: Any, *, timeout_s: float, metadata: Sequence[tuple[str, str]] = ()
) -> Any:
    """As `invoke` for one request message, tried again as `Patience` says until `timeout_s` are over."""
    patience = Patience(timeout_s)
    while True:
        try:
            return method(request, timeout=patience.left_s, metadata=metadata)
        except grpc.RpcError as e:
            pause_s = patience.pause_s(e)
            if pause_s is None:
                raise from_call(e) from e
        time.sleep(pause_s)


async def invoke_async(
    method: Any, request: Any, *, timeout_s: float, metadata: Sequence[tuple[str, str]] = ()
) -> Any:
    """As `invoke_patiently`, on a method of an asyncio channel."""
    patience = Patience(timeout_s)
    while True:
        try:
            return await method(request, timeout=patience.left_s, metadata=metadata)
        except grpc.RpcError as e:
            pause_s = patience.pause_s(e)
            if pause_s is None:
                raise from_call(e) from e
        await asyncio.sleep(pause_s)


def stream(method: Any, request: Any, *, timeout_s: float) -> Iterator[Any]:
    """Call a method that answers with a stream; ends the call when the iteration is left early."""
    call = method(request, timeout=timeout_s)
    try:
        yield from call
    except grpc.RpcError as e:
        raise from_call(e) from e
    finally:
        call.cancel()
