"""Starts the real NATS server with JetStream on this machine: loopback only, a password, synced writes."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exchangeai.config import BusConfig
from exchangeai.embedded import Credentials, ServerFailed, ServerProcess, executable

_USER = "exchangeai"


@dataclass(frozen=True, kw_only=True)
class EmbeddedBus:
    """A running nats-server and how to reach it."""

    config: BusConfig
    process: ServerProcess


class _Secrets(msgspec.Struct, frozen=True):
    password: str


def start_bus(
    folder: Path, *, port: int = -1, monitoring_port: int = -1, timeout_s: float = 20
) -> EmbeddedBus:
    """Start nats-server with its data in `folder` and wait for its ports; -1 takes a free one.

    `sync_interval: always` makes an acknowledged message survive a loss of power.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = Credentials(folder / "credentials.json", _Secrets).load_or_make(
        lambda: _Secrets(password=secrets.token_hex(24))
    )
    for old in folder.glob("*.ports"):
        old.unlink()
    config_file = folder / "nats.conf"
    config_file.touch(mode=0o600)
    config_file.write_text(
        f"""listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitoring_port}"
ports_file_dir: {json.dumps(str(folder))}
max_payload: 1MB
jetstream {{ store_dir: {json.dumps(str(folder / "jetstream"))}, sync_interval: always }}
authorization {{ user: {_USER}, password: "{known.password}" }}
"""
    )
    process = ServerProcess(
        "message bus", [executable("nats-server"), "-c", str(config_file)], {}, folder / "server.log"
    )
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        process.check()
        for file in folder.glob(f"*_{process.pid}.ports"):
            ports = json.loads(file.read_text() or "{}")
            if ports.get("nats"):
                return EmbeddedBus(
                    config=BusConfig(
                        url=ports["nats"][0],
                        user=_USER,
                        password=known.password,
                        monitoring_url=ports["monitoring"][0],
                    ),
                    process=process,
                )
        time.sleep(0.02)
    process.kill()
    raise ServerFailed(f"the message bus did not open its ports within {timeout_s:g} s")
