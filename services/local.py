"""Everything on one machine: the real servers and all services as supervised processes (`exchangeai up`)."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from exchangeai.bus.embedded import start_bus
from exchangeai.config import PREFIX, BusConfig, StoreConfig, from_env, to_env
from exchangeai.embedded import Credentials, ServerFailed, ServerProcess
from exchangeai.errors import ExchangeaiError
from exchangeai.ports import ReservedPort
from exchangeai.store.embedded import start_store

GRPC_SERVICES = ("ingest", "preprocess", "trainer", "inference")
DEFAULT_PORTS = {"ui": 8050, "ingest": 50051, "preprocess": 50052, "trainer": 50053, "inference": 50054}
START_TIMEOUT_S = 60.0
_DRAIN_S = 20.0


class _SiteSecret(msgspec.Struct, frozen=True):
    site_key: str


@dataclass
class _Child:
    """A supervised process: how to start it (again), and what it is now."""

    name: str
    start: Callable[[], ServerProcess]
    process: ServerProcess
    restarts: int = 0
    restart_at: float = 0.0


class Platform:
    """The running platform. Start it with `running_platform`.

    A process that ends by itself is started again, as a cluster would.
    """

    def __init__(
        self, data: Path, ports: Mapping[str, int], say: Callable[[str], None], measured: bool
    ) -> None:
        self.data = data
        self.addresses: dict[str, str] = {}
        """`host:port` of each service by name."""
        self.bus: BusConfig | None = None
        self.store: StoreConfig | None = None
        self.metrics: dict[str, str] = {}
        """URL of each service's Prometheus endpoint, when asked for."""
        self._measured = measured
        self._ports = ports
        self._say = say
        self._servers: list[_Child] = []
        self._services: list[_Child] = []
        self._stopping = False
        self._held: list[ReservedPort] = []

    @property
    def ui_url(self) -> str:
        """Where the browser goes."""
        return f"http://{self.addresses['ui']}"

    def pid(self, name: str) -> int:
        """Process id of a service, or of the server `bus` or `store`."""
        return next(c.process.pid for c in (*self._servers, *self._services) if c.name == name)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start what is not running elsewhere, in order, and wait until it answers."""
        settings = {k: v for k, v in environment.items() if k.startswith(PREFIX)}
        if f"{PREFIX}BUS_URL" in settings:
            self.bus = from_env(BusConfig, settings, f"{PREFIX}BUS_")
        else:
            settings.update(self._start_bus())
        if f"{PREFIX}STORE_URL" in settings:
            self.store = from_env(StoreConfig, settings, f"{PREFIX}STORE_")
        else:
            settings.update(self._start_store())
        secret = Credentials(self.data / "site.json", _SiteSecret)
        made = secret.load_or_make(lambda: _SiteSecret(site_key=secrets.token_hex(32)))
        settings.setdefault(f"{PREFIX}SITE_KEY", made.site_key)
        settings.setdefault(f"{PREFIX}INDEX_FOLDER", str(self.data / "index"))
        settings.setdefault(f"{PREFIX}WORK_DIR", str(self.data / "work"))
        for name in GRPC_SERVICES:
            self._start_service(name, settings)
        for name in GRPC_SERVICES:
            self._await_service(name)
        peers = {f"{PREFIX}{n.upper()}_ADDRESS": self.addresses[n] for n in GRPC_SERVICES}
        self._start_service("ui", {**settings, **peers})
        self._await_service("ui")

    def supervise(self) -> None:
        """Start again whatever ended; call it every fraction of a second."""
        for child in (*self._servers, *self._services):
            if self._stopping or child.process.returncode is None:
                continue
            if not child.restart_at:
                pause = min(0.2 * 2**child.restarts, 10.0)
                child.restart_at = time.monotonic() + pause
                self._say(f"{child.name} ended with status {child.process.returncode}; starting it again")
            elif time.monotonic() >= child.restart_at:
                child.restart_at, child.restarts = 0.0, child.restarts + 1
                child.process = child.start()

    def stop(self) -> None:
        """Drain the services, then stop the servers they need."""
        self._stopping = True
        for group in (self._services, self._servers):
            for child in group:
                child.process.terminate()
            deadline = time.monotonic() + _DRAIN_S
            for child in group:
                if not child.process.wait(max(deadline - time.monotonic(), 0.1)):
                    self._say(f"{child.name} did not end in time and was killed")

    def kill(self) -> None:
        """End everything at once."""
        self._stopping = True
        for child in (*self._services, *self._servers):
            child.process.kill()

    def _start_bus(self) -> Mapping[str, str]:
        folder = self.data / "bus"
        with self._step("message bus (NATS)"):
            server = start_bus(folder)
        ports = [urlsplit(u).port or -1 for u in (server.config.url, server.config.monitoring_url)]

        def again() -> ServerProcess:
            return start_bus(folder, port=ports[0], monitoring_port=ports[1]).process

        self._servers.append(_Child("bus", again, server.process))
        self.bus = server.config
        return to_env(server.config, f"{PREFIX}BUS_")

    def _start_store(self) -> Mapping[str, str]:
        folder = self.data / "store"
        with self._step("object store (SeaweedFS)"):
            server = start_store(folder)
            self._await_port(server.ports[0].number, server.process)
        self._servers.append(
            _Child("store", lambda: start_store(folder, server.ports).process, server.process)
        )
        self.store = server.config
        return to_env(server.config, f"{PREFIX}STORE_")

    def _start_service(self, name: str, settings: Mapping[str, str]) -> None:
        address = f"127.0.0.1:{self._port(name)}"
        self.addresses[name] = address
        host, _, port = address.rpartition(":")
        own = {f"{PREFIX}RPC_HOST": host, f"{PREFIX}RPC_PORT": port}
        if name == "ui":
            own = {f"{PREFIX}HOST": host, f"{PREFIX}PORT": port}
        if self._measured:
            metrics_port = self._port("metrics")
            own[f"{PREFIX}TELEMETRY_METRICS_PORT"] = str(metrics_port)
            self.metrics[name] = f"http://127.0.0.1:{metrics_port}/metrics"
        command = [sys.executable, "-m", "exchangeai", "serve", name]
        log = self.data / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)

        def start() -> ServerProcess:
            return ServerProcess(name, command, {**settings, **own}, log)

        self._services.append(_Child(name, start, start()))

    def _await_service(self, name: str) -> None:
        child = next(c for c in self._services if c.name == name)
        with self._step(name):
            self._await_port(int(self.addresses[name].rpartition(":")[2]), child.process)

    def _await_port(self, port: int, process: ServerProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            process.check()
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise ServerFailed(f"{process.name} did not answer within {START_TIMEOUT_S:g} s")

    def _port(self, name: str) -> int:
        """The wanted port when it is free, else any free one."""
        wanted = self._ports.get(name, 0)
        try:
            held = ReservedPort(wanted)
        except OSError:
            self._say(f"port {wanted} for {name} is taken; using another")
            held = ReservedPort()
        self._held.append(held)
        return held.number

    @contextmanager
    def _step(self, what: str) -> Generator[None]:
        begin = time.monotonic()
        yield
        self._say(f"  {what:<28} ready after {time.monotonic() - begin:.1f} s")


@contextmanager
def running_platform(
    data: Path,
    *,
    ports: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
    measured: bool = False,
) -> Generator[Platform]:
    """Start the platform with its data in `data`, supervise it from a thread, drain it at the end.

    `measured` opens a Prometheus endpoint for each service on a free loopback port.

    Raises ServerFailed when another platform uses the folder or something does not start.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise ServerFailed(f"another platform is running with its data in {data}") from e
        platform = Platform(data.resolve(), ports or {}, say, measured)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                platform.supervise()

        supervisor = threading.Thread(target=watch, name="supervisor", daemon=True)
        try:
            platform.start(dict(os.environ if environment is None else environment))
            supervisor.start()
            yield platform
        finally:
            done.set()
            if supervisor.is_alive():
                supervisor.join()
            platform.stop()


def up(data: Path, ports: Mapping[str, int]) -> int:
    """Run the platform until Ctrl-C or SIGTERM; a second signal ends it at once."""
    # No Event: its lock is not one that a handler may take while the code that it interrupts holds it.
    received: list[int] = []
    started: list[Platform] = []

    def on_signal(number: int, _: object) -> None:
        if received:
            for platform in started:
                platform.kill()
            os._exit(128 + number)
        received.append(number)
        if not started:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    print(f"Starting ExChanGeAI; data and logs in {data.resolve()}", flush=True)
    try:
        with running_platform(data, ports=ports, say=_say) as platform:
            started.append(platform)
            print(_WELCOME.format(url=platform.ui_url, inference=platform.addresses["inference"]), flush=True)
            while not received:
                time.sleep(0.1)
            print("\nStopping: letting work in flight finish (Ctrl-C again ends at once)", flush=True)
    except KeyboardInterrupt:
        return 130
    except ExchangeaiError as e:
        print(f"ExChanGeAI did not start: {e}", file=sys.stderr)
        return 1
    print("Stopped.", flush=True)
    return 0


_WELCOME = """
ExChanGeAI is running. Research use only, not a medical device.

  User interface   {url}
  Models by gRPC   {inference}   for example:

    grpcurl -plaintext -max-time 5 {inference} inference.GRPCInferenceService/ServerMetadata

  Ctrl-C stops it; the data stays.
"""


def _say(line: str) -> None:
    print(line, flush=True)
