"""How each server of the benchmark is started and found ready; peers live in Pythons of their own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.bus import open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.config import PREFIX, to_env
from exchangeai.facts import ModelFact, ModelState
from exchangeai.model_file import model_digest, object_key
from exchangeai.store import open_store
from exchangeai.store.embedded import start_store

PEERS = Path(__file__).parent / "peers"
START_S = 120.0
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 26), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}
"""For every server: else each message of 240 kB is given back to the kernel and faulted in again."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a server is started with."""

    model: Path
    """The .onnx file; its stem is the name."""
    folder: Path
    """To write into."""
    python: Path
    """The peer's interpreter."""
    port: int


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One server of the comparison."""

    python: str
    """Name of the folder with its Python below PEERS; empty for the product's own."""
    command: Callable[[Place], list[str]]
    environment: Callable[[Place], dict[str, str]] = field(default=lambda place: {})
    protocols: tuple[str, ...] = ("oip",)


def _naive(place: Place) -> list[str]:
    return [
        str(place.python),
        "-m",
        "benchmarks.inference.peers.naive_aio",
        str(place.port),
        str(place.model),
    ]


def _ours(place: Place) -> list[str]:
    return [str(place.python), "-m", "exchangeai", "serve", "inference"]


def _our_environment(place: Place) -> dict[str, str]:
    servers = json.loads((place.folder / "servers.json").read_text())
    return {**servers, f"{PREFIX}RPC_PORT": str(place.port), f"{PREFIX}RPC_HOST": "127.0.0.1"}


def _mlserver(place: Place) -> list[str]:
    name = place.model.stem
    settings = {
        "name": name,
        "implementation": "mlserver_model.Onnx",
        "parameters": {"uri": str(place.model)},
    }
    (place.folder / "model-settings.json").write_text(json.dumps(settings))
    server = {
        "grpc_port": place.port,
        "http_port": place.port + 1,
        "metrics_port": place.port + 2,
        "parallel_workers": 0,
        "grpc_max_message_length": 256 << 20,
        "host": "127.0.0.1",
    }
    (place.folder / "settings.json").write_text(json.dumps(server))
    shutil.copy(PEERS / "mlserver_model.py", place.folder)
    return [str(place.python.parent / "mlserver"), "start", str(place.folder)]


def _script(name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        return [str(place.python), str(PEERS / name), str(place.port), str(place.model), place.model.stem]

    return command


def _bentoml(place: Place) -> list[str]:
    bento = str(place.python.parent / "bentoml")
    return [bento, "serve", "bentoml_model:Onnx", "--port", str(place.port), "--host", "127.0.0.1"]


def _bentoml_environment(place: Place) -> dict[str, str]:
    path = f"{place.python.parent}:{os.environ['PATH']}"
    return {
        "BENCH_MODEL": str(place.model),
        "PYTHONPATH": str(PEERS),
        "BENTOML_HOME": str(place.folder),
        "BENTOML_DO_NOT_TRACK": "True",
        "PATH": path,
    }


def _triton_home(place: Place) -> Path:
    site = next((place.python.parents[1] / "lib").glob("python3*")) / "site-packages"
    return site / "pytriton" / "tritonserver"


def _triton(instances: int, batch: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        name, home = place.model.stem, _triton_home(place)
        version = place.folder / "repository" / name / "1"
        version.mkdir(parents=True)
        shutil.copy(PEERS / "triton_model.py", version / "model.py")
        shutil.copy(place.model, version / "model.onnx")
        (version.parent / "config.pbtxt").write_text(
            f'backend: "python"\nmax_batch_size: {batch}\ndynamic_batching {{}}\n'
            'input [{ name: "ecg" data_type: TYPE_FP32 dims: [12, 5000] }]\n'
            'output [{ name: "logits" data_type: TYPE_FP32 dims: [71] }]\n'
            f"instance_group [{{ count: {instances} kind: KIND_CPU }}]\n"
        )
        backends = place.folder / "backends"
        shutil.copytree(home / "backends", backends)
        stub = home / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
        shutil.copy(stub, backends / "python")
        return [
            str(home / "bin" / "tritonserver"),
            f"--model-repository={version.parents[1]}",
            f"--backend-directory={backends}",
            f"--grpc-port={place.port}",
            f"--http-port={place.port + 1}",
            "--allow-metrics=false",
            "--grpc-address=127.0.0.1",
            "--http-address=127.0.0.1",
        ]

    return command


def _triton_environment(threads: int) -> Callable[[Place], dict[str, str]]:
    def environment(place: Place) -> dict[str, str]:
        home = _triton_home(place)
        site = home.parents[1]
        libraries = ":".join(str(x) for x in (home / "external_libs", site / "nvidia_pytriton.libs"))
        return {
            "THREADS": str(threads),
            "LD_LIBRARY_PATH": libraries,
            "PYTHONPATH": str(site),
            "PATH": f"{place.python.parent}:{os.environ['PATH']}",
        }

    return environment


KINDS = {
    "ours": Kind(python="", command=_ours, environment=_our_environment, protocols=("oip", "stream")),
    "naive grpc.aio": Kind(python="", command=_naive),
    "Triton, 2 x 1 thread": Kind(python="triton", command=_triton(2, 4), environment=_triton_environment(1)),
    "Triton, 1 x 2 threads": Kind(python="triton", command=_triton(1, 8), environment=_triton_environment(2)),
    "KServe": Kind(python="kserve", command=_script("kserve_model.py")),
    "LitServe": Kind(python="litserve", command=_script("litserve_model.py"), protocols=("http",)),
    "MLServer": Kind(python="mlserver", command=_mlserver),
    "BentoML": Kind(
        python="bentoml", command=_bentoml, environment=_bentoml_environment, protocols=("http",)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers."""

    address: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Processor seconds of the server and all its children so far."""
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(_ticks(pid) for pid in _tree(self.process.pid)) / ticks

    def resident_mb(self) -> float:
        """Memory of the server and all its children."""
        page = os.sysconf("SC_PAGE_SIZE")
        total = 0
        for pid in _tree(self.process.pid):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return total * page / 2**20


@contextmanager
def running(kind: Kind, model: Path, folder: Path, peers: Path | None) -> Iterator[Running]:
    """Start a server with one model; yields when its port is open. Raises RuntimeError: its last words."""
    folder.mkdir(parents=True)
    python = Path(sys.executable) if not kind.python else (peers or Path()) / kind.python / "bin" / "python"
    place = Place(model=model, folder=folder, python=python, port=_free_port())
    with ExitStack() as stack:
        if kind is KINDS["ours"]:
            _publish(stack, place)
        command = kind.command(place)
        environment = {**os.environ, **MALLOC, **kind.environment(place)}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=Path.cwd(), start_new_session=True
            )
        stack.callback(_end, process)
        until_s = time.monotonic() + START_S
        while not _open(place.port):  # Triton's opens when its model is loaded
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        time.sleep(2)  # some open the port before the model is loaded
        yield Running(address=f"127.0.0.1:{place.port}", process=process)


def _publish(stack: ExitStack, place: Place) -> None:
    bus, store = start_bus(place.folder / "bus"), start_store(place.folder / "store")
    for server in (bus.process, store.process):
        stack.callback(server.kill)
    environment = {**to_env(bus.config, f"{PREFIX}BUS_"), **to_env(store.config, f"{PREFIX}STORE_")}
    (place.folder / "servers.json").write_text(json.dumps(environment))
    data, name = place.model.read_bytes(), place.model.stem
    fact = ModelFact(
        name=name, version=1, digest=model_digest(data), state=ModelState.APPROVED, origin="here"
    )

    async def publish() -> None:
        async with open_store(store.config) as objects, open_bus(bus.config, "benchmark") as facts:
            await objects.put(object_key(fact.digest), data)
            await facts.facts(ModelFact).create(f"{name}.1", fact)

    asyncio.run(publish())


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [y for x in task.read_text().split() for y in _tree(int(x))]
        except FileNotFoundError:
            continue
    return found


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return int(fields[11]) + int(fields[12])


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    """A port with two free ones after it, as far as one can tell."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 65000 and not any(_open(port + i) for i in (1, 2)):
            return port
