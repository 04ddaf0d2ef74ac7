"""Configuration: frozen dataclasses, read once from the environment.

A field `url` of a field `bus` is the variable `EXCHANGEAI_BUS_URL`. Fields without a default are
required. Fields whose name ends in `password` or `secret_key` or is `site_key` are masked when printed.
"""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from exchangeai.errors import ExchangeaiError

PREFIX = "EXCHANGEAI_"
T = TypeVar("T")


class ConfigError(ExchangeaiError):
    """A variable is missing or cannot be understood; the message names it."""


@dataclass(frozen=True, kw_only=True)
class BusConfig:
    """Where the NATS server is."""

    url: str
    """`nats://host:port` or `tls://host:port`."""
    user: str = ""
    """User name; empty for none."""
    password: str = ""
    """Password of the user."""
    ca_file: str = ""
    """Certificate authority for `tls://`; empty for the system's."""
    monitoring_url: str = ""
    """`http://host:8222`: when given, a server that does not sync each write is refused."""
    replicas: int = 1
    """Copies of each stream and bucket; 3 on a NATS cluster."""
    max_work_bytes: int = 1 << 30
    """Bound of the work stream; beyond it, uploads are answered RESOURCE_EXHAUSTED."""


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """Where the object store is."""

    url: str
    """`s3://host:port` (TLS) or `s3+http://host:port` (plain)."""
    access_key: str = ""
    """Access key of the S3 identity."""
    secret_key: str = ""
    """Secret key of the S3 identity."""
    region: str = "us-east-1"
    """Region to sign for."""
    bucket_prefix: str = "exchangeai"
    """Bucket names begin with this and a hyphen."""
    ca_file: str = ""
    """Certificate authority for TLS; empty for the system's."""


@dataclass(frozen=True, kw_only=True)
class RpcConfig:
    """How a gRPC server listens."""

    host: str = "127.0.0.1"
    """Address to bind; `0.0.0.0` in a pod."""
    port: int = 0
    """0 takes a free one."""
    max_concurrent: int = 64
    """Calls at once; more are answered RESOURCE_EXHAUSTED."""
    read_s: float = 20.0
    """How long a caller may take to send the message of a call."""
    idle_s: float = 120.0
    """How long a stream may be open between one message and the next."""
    drain_s: float = 10.0
    """How long calls in flight may take after SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class TelemetryConfig:
    """Logs and metrics."""

    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    metrics_port: int = 0
    """Port of the Prometheus endpoint `/metrics`; 0 for none."""
    metrics_host: str = "127.0.0.1"
    """Address to bind it to."""
    otlp_endpoint: str = ""
    """OpenTelemetry collector (extra `telemetry`); empty for none. Nothing is sent by default."""


def from_env(
    kind: type[T], env: Mapping[str, str] = os.environ, prefix: str = PREFIX, usual: T | None = None
) -> T:
    """Build a config; what the environment does not say is as in `usual`, if that is given.

    Raises ConfigError that names the variable.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        name, hint = prefix + field.name.upper(), hints[field.name]
        if dataclasses.is_dataclass(hint):
            part = getattr(usual, field.name) if usual is not None else _usual(field)
            values[field.name] = from_env(hint, env, name + "_", part)  # pyright: ignore[reportArgumentType]
        elif name in env and (env[name] or hint is str):
            values[field.name] = _parse(name, env[name], hint)
        elif usual is not None:
            values[field.name] = getattr(usual, field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"the environment variable {name} is not set")
    return kind(**values)


def _usual(field: dataclasses.Field[Any]) -> Any:
    """A part that the service wants otherwise than that part's own defaults."""
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _parse(name: str, text: str, hint: Any) -> Any:
    if get_origin(hint) is types.UnionType:
        hint = next(a for a in get_args(hint) if a is not type(None))
    if hint is bool:
        truth = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in truth:
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return truth[text.lower()]
    if hint not in (str, int, float, Path):
        raise TypeError(f"{name}: a config field cannot be of type {hint}")
    try:
        return hint(text)
    except ValueError as e:
        raise ConfigError(f"{name} must be {hint.__name__}, not {text!r}") from e


def to_env(config: Any, prefix: str) -> dict[str, str]:
    """The variables from which `from_env` makes this config again."""
    return {prefix + f.name.upper(): str(getattr(config, f.name)) for f in dataclasses.fields(config)}


def masked(config: Any) -> dict[str, Any]:
    """The config as a tree for the log, secrets masked."""
    tree: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            tree[field.name] = masked(value)
        elif value and (field.name.endswith(("password", "secret_key")) or field.name == "site_key"):
            tree[field.name] = "***"
        else:
            tree[field.name] = str(value) if isinstance(value, Path) else value
    return tree
