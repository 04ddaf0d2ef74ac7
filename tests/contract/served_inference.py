"""The inference service as a process of its own, as it is deployed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exchangeai.client import Client, connect
from exchangeai.config import BusConfig, StoreConfig, to_env
from exchangeai.ports import ReservedPort


@dataclass(frozen=True)
class Served:
    """A running process."""

    address: str
    pid: int

    def rss_bytes(self) -> int:
        """Its memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [x for x in status.splitlines() if x.startswith("VmRSS:")]
        return int(line.split()[1]) << 10

    def client(self) -> Client:
        """The shipped client."""
        return connect(self.address, wait_s=20)


@contextmanager
def served_inference(bus: BusConfig, store: StoreConfig, **more: str) -> Iterator[Served]:
    """Start it, wait until it is ready, end it with SIGTERM; `more` are variables without their prefix."""
    port = ReservedPort()
    given = {"RPC_PORT": str(port.number), "THREADS": "1", "TELEMETRY_LOG_LEVEL": "WARNING", **more}
    variables = {f"EXCHANGEAI_{k}": v for k, v in given.items()}
    environment = os.environ | to_env(bus, "EXCHANGEAI_BUS_") | to_env(store, "EXCHANGEAI_STORE_") | variables
    with subprocess.Popen(
        [sys.executable, "-m", "exchangeai", "serve", "inference"], env=environment
    ) as child:
        try:
            served = Served(f"127.0.0.1:{port.number}", child.pid)
            with served.client():
                yield served
        finally:
            child.terminate()
            child.wait(30)
