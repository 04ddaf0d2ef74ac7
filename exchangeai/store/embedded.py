"""Starts the real object store, SeaweedFS, on this machine: loopback only, no telemetry, no open ports."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exchangeai.config import StoreConfig
from exchangeai.embedded import Credentials, ServerProcess, executable
from exchangeai.ports import ReservedPort

_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)


@dataclass(frozen=True, kw_only=True)
class EmbeddedStore:
    """A running SeaweedFS and how to reach it."""

    config: StoreConfig
    process: ServerProcess
    ports: tuple[ReservedPort, ...]


class _Secrets(msgspec.Struct, frozen=True):
    access_key: str
    secret_key: str
    jwt_volume: str
    jwt_filer: str
    jwt_filer_read: str


def _new_secrets() -> _Secrets:
    return _Secrets(secrets.token_hex(10), *(secrets.token_hex(32) for _ in range(4)))


def start_store(folder: Path, ports: tuple[ReservedPort, ...] = ()) -> EmbeddedStore:
    """Start SeaweedFS with its data in `folder`; does not wait until it answers.

    Takes free ports, or those given (of a server that ended, so that its clients find it again).
    Secrets are made at the first start and kept beside the data, readable by the owner alone. The JWT keys
    close the filer's and the volume server's HTTP ports, which answer everyone without them.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = Credentials(folder / "credentials.json", _Secrets).load_or_make(_new_secrets)
    ports = ports or tuple(ReservedPort() for _ in _PORTS)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    command = [
        executable("weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port.number}" for name, port in zip(_PORTS, ports, strict=True)),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        # Relative, because paths of Unix sockets are limited to about 100 bytes.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
    ]
    environment = {
        "AWS_ACCESS_KEY_ID": known.access_key,
        "AWS_SECRET_ACCESS_KEY": known.secret_key,
        "WEED_JWT_SIGNING_KEY": known.jwt_volume,
        "WEED_JWT_FILER_SIGNING_KEY": known.jwt_filer,
        "WEED_JWT_FILER_SIGNING_READ_KEY": known.jwt_filer_read,
        "GOMEMLIMIT": "256MiB",
    }
    # SeaweedFS drains for half a minute on one SIGTERM and ends at once on the second.
    process = ServerProcess(
        "object store", command, environment, folder / "server.log", stop_signals=2, folder=folder
    )
    config = StoreConfig(
        url=f"s3+http://127.0.0.1:{ports[0].number}", access_key=known.access_key, secret_key=known.secret_key
    )
    return EmbeddedStore(config=config, process=process, ports=ports)
