"""Starts the ranks of a run as an Indexed Job; the only module that speaks to the Kubernetes API.

The trainer may go and come back while a Job runs: the next `run` of the same attempt joins it. The run's
folder goes by the object store (see `services.trainer.remote`), progress by the log of pod 0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from exchangeai.config import StoreConfig
from exchangeai.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Unavailable
from exchangeai.store import ObjectStore
from services.trainer import remote
from services.trainer.job import GAVE_UP
from services.trainer.launchers import End, Launch, Launcher, Layout, Listener, Tell, first, lay_out
from services.trainer.launchers._job_manifest import CONTAINER, PREFIX, PodConfig, job, placement, service
from services.trainer.launchers._job_status import KILLED, end_of_job, eviction, exit_code, index, waits_for
from services.trainer.launchers._log_lines import LogLines
from services.trainer.report import Activity, Alive, Failed, Interrupted, Killed, encode

THREADS = 32
"""Each followed log takes one, and each request for a moment."""
RETRY_BUDGET_S = 60.0
SILENCE_S = 30.0
"""A log stream that says nothing for so long is opened anew: its connection may be dead."""
ROOM = "give them more (trainer.jobs of the chart), then continue the run"
PASSING = (429, 500, 502, 503, 504)
T = TypeVar("T")
Object = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KubernetesConfig:
    """Where runs become Jobs. Only `pods.image` is required."""

    api: str = "https://kubernetes.default.svc"
    """The API server."""
    account_folder: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with the service account's token, ca.crt and namespace; read anew for each request."""
    namespace: str = ""
    """Where the Jobs are; empty for the service account's own."""
    instance: str = "exchangeai"
    """Name of the release, a label of all objects."""
    most_nodes: int = 1
    """The most pods that a run may have."""
    poll_s: float = 2.0
    keep_s: int = 86400
    """How long a finished Job may wait for the trainer to notice; then the cluster removes it."""
    pods: PodConfig = field(default_factory=PodConfig)


class Cut(Exception):
    """A log stream broke off."""


class Api:
    """The few verbs that a launcher needs, in one namespace.

    Passing failures (no connection, 429, 5xx) are tried again for a minute, as long as the server asks
    for in Retry-After, then raise Unavailable. All verbs are safe to repeat. Other answers raise
    NotFound, AlreadyExists, PermissionDenied or InvalidArgument.
    """

    def __init__(self, config: KubernetesConfig, threads: ThreadPoolExecutor) -> None:
        self._account = config.account_folder
        self._threads = threads
        authority = self._account / "ca.crt"
        self._pool = urllib3.PoolManager(
            maxsize=THREADS,
            retries=False,
            timeout=urllib3.Timeout(connect=5, read=SILENCE_S),
            ca_certs=str(authority) if authority.exists() else None,
        )
        namespace = config.namespace or (self._account / "namespace").read_text().strip()
        self._roots = {
            "jobs": f"{config.api}/apis/batch/v1/namespaces/{quote(namespace)}/jobs",
            "pods": f"{config.api}/api/v1/namespaces/{quote(namespace)}/pods",
            "services": f"{config.api}/api/v1/namespaces/{quote(namespace)}/services",
        }

    async def create(self, kind: str, body: Object) -> Object:
        """Create an object. Raises AlreadyExists."""
        return await self._json("POST", self._roots[kind], body)

    async def get(self, kind: str, name: str) -> Object | None:
        """The object, or None."""
        try:
            return await self._json("GET", f"{self._roots[kind]}/{name}")
        except NotFound:
            return None

    async def list(self, kind: str, labels: Mapping[str, str]) -> list[Object]:
        """All objects with these labels."""
        selector = urlencode({"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())})
        return (await self._json("GET", f"{self._roots[kind]}?{selector}"))["items"]

    async def delete(self, kind: str, name: str) -> None:
        """Begin to delete an object and what it owns, which goes first; there being none is fine."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        try:
            await self._json("DELETE", f"{self._roots[kind]}/{name}", options)
        except NotFound:
            return

    async def log(self, pod: str, since: str | None, *, follow: bool = True) -> AsyncGenerator[bytes]:
        """The container's log in pieces, with time stamps, to its end. Raises Cut, NotFound."""
        query = {"container": CONTAINER, "timestamps": "true", "follow": str(follow).lower()}
        if since:
            query["sinceTime"] = since
        url = f"{self._roots['pods']}/{pod}/log?{urlencode(query)}"
        response = await self._answer("GET", url, None, stream=True)
        try:
            while data := await self._thread(lambda: response.read1(1 << 16)):
                yield data
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise Cut from e
        finally:
            # A thread may still be reading, when the caller was cancelled.
            with suppress(OSError, RuntimeError):
                response.shutdown()
            response.close()

    async def _json(self, method: str, url: str, body: Object | None = None) -> Object:
        return msgspec.json.decode((await self._answer(method, url, body)).data)

    async def _answer(
        self, method: str, url: str, body: Object | None, *, stream: bool = False
    ) -> urllib3.BaseHTTPResponse:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + RETRY_BUDGET_S, 0.2
        while True:
            told, why = 0.0, "does not answer"
            token = (self._account / "token").read_text().strip()
            try:
                response = await self._thread(partial(self._request, method, url, body, token, stream))
                if response.status < 400:
                    return response
                if response.status not in PASSING:
                    if response.status == 401 and token != (self._account / "token").read_text().strip():
                        continue
                    raise _refusal(response)
                seconds = response.headers.get("Retry-After", "")
                told, why = float(seconds) if seconds.isdecimal() else 0.0, f"answers {response.status}"
            except (urllib3.exceptions.HTTPError, OSError) as e:
                log.warning("the Kubernetes API does not answer: %s", type(e).__name__)
            wait = max(told, pause)
            if loop.time() + wait > deadline:
                raise Unavailable(f"the Kubernetes API {why}")
            await asyncio.sleep(wait)
            pause = min(pause * 2, 5.0)

    def _request(
        self, method: str, url: str, body: Object | None, token: str, stream: bool
    ) -> urllib3.BaseHTTPResponse:
        response = self._pool.request(
            method,
            url,
            body=None if body is None else msgspec.json.encode(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            preload_content=False,
        )
        if not stream or response.status >= 400:
            _ = response.data
        return response

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    try:
        said = str(msgspec.json.decode(response.data)["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        said = f"status {response.status}"
    match response.status:
        case 404:
            return NotFound(f"Kubernetes: {said}")
        case 409:
            return AlreadyExists(f"Kubernetes: {said}")
        case 401 | 403:
            return PermissionDenied(
                f"Kubernetes does not let the trainer start runs ({said}); its service account needs the "
                "chart's Role (trainer.launcher: kubernetes)"
            )
        case _:
            return InvalidArgument(f"Kubernetes refuses what the settings ask for: {said}")


class KubernetesLauncher:
    """Runs each attempt as an Indexed Job."""

    def __init__(
        self,
        api: Api,
        config: KubernetesConfig,
        store: ObjectStore,
        store_config: StoreConfig,
        grace_s: float,
    ) -> None:
        self._api = api
        self._config = config
        self._store = store
        self._store_config = store_config
        self._grace_s = grace_s
        self._per_node = config.pods.gpus or config.pods.processes
        placement(config.pods)  # wrong settings are told at the start

    @property
    def most_processes(self) -> int:
        """All ranks of all nodes."""
        return self._per_node * self._config.most_nodes

    async def run(self, launch: Launch, tell: Tell, stop: asyncio.Event, leave: asyncio.Event) -> End:
        """Run the attempt to its end; see `Launcher.run`. When cancelled, the Job runs on."""
        layout = lay_out(launch.processes, self._per_node, self._config.most_nodes)
        prefix = remote.prefix_of(launch.run_id, launch.attempt)
        if await remote.collect(self._store, prefix, launch.folder):
            return End.FINISHED
        await remote.send(self._store, prefix, launch.folder)
        await self._create(launch, layout, tell)
        listener = Listener(launch, tell)
        ended = await self._follow(launch, layout, listener, stop, leave)
        if ended is not None and ended is not End.STOPPED:
            await self._hear_others(launch, listener)
        if ended is not None and await remote.collect(self._store, prefix, launch.folder):
            return End.FINISHED
        if ended is End.FINISHED:
            ended = End.DIED  # without a result
        if ended in (End.GAVE_UP, End.DIED):
            await self._remove(launch)  # so that the next try is a new Job
        return ended or End.LEFT

    async def clear(self, launch: Launch) -> None:
        """Delete the Job, wait until its pods have saved and ended, and forget the folder."""
        await self._remove(launch)
        await remote.forget(self._store, remote.prefix_of(launch.run_id, launch.attempt))

    async def _create(self, launch: Launch, layout: Layout, tell: Tell) -> None:
        instance, pods = self._config.instance, self._config.pods
        wanted = job(
            launch,
            layout,
            pods,
            self._store_config,
            instance=instance,
            grace_s=self._grace_s,
            keep_s=self._config.keep_s,
        )
        made: Object | None = None
        while made is None:
            try:
                made = await self._api.create("jobs", wanted)
            except AlreadyExists:
                made = await self._api.get("jobs", launch.name)
                if made and "deletionTimestamp" in made["metadata"]:
                    made = None
                    await tell(Alive())
                    await asyncio.sleep(self._config.poll_s)
        try:
            await self._api.create("services", service(launch, instance, made["metadata"]["uid"], pods.port))
        except AlreadyExists:
            log.info("joined a run that is on the cluster already")

    async def _follow(
        self, launch: Launch, layout: Layout, listener: Listener, stop: asyncio.Event, leave: asyncio.Event
    ) -> End | None:
        """Follow the Job to its end; None when it was left."""
        to_read: asyncio.Queue[str | None] = asyncio.Queue()
        reader = asyncio.create_task(self._read_pods(to_read, listener))
        known, asked, waits = set[str](), False, ""
        try:
            while True:
                found = await self._api.get("jobs", launch.name)
                pods = await self._pods(launch)
                for pod in pods:
                    name = pod["metadata"]["name"]
                    if index(pod) == 0 and name not in known and pod["status"]["phase"] != "Pending":
                        known.add(name)
                        to_read.put_nowait(name)
                ended = End.DIED if found is None else end_of_job(found)
                if ended is not None:
                    to_read.put_nowait(None)
                    await reader
                    return End.STOPPED if asked else ended
                if reader.done():
                    reader.result()
                if stop.is_set() and not asked:
                    asked = True
                    await self._api.delete("jobs", launch.name)
                if leave.is_set() and not asked:
                    return None
                now = waits_for(pods, layout.nodes)
                await listener.tell(Activity(text=now) if now and now != waits else Alive())
                waits = now
                await first(*(e for e in (stop, leave) if not e.is_set()), timeout_s=self._config.poll_s)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read_pods(self, names: asyncio.Queue[str | None], listener: Listener) -> None:
        while (name := await names.get()) is not None:
            await self._read(name, listener)

    async def _read(self, name: str, listener: Listener) -> None:
        """Hear a pod's log, to its end, each line once."""
        lines = LogLines()
        while True:
            pod = await self._api.get("pods", name)
            if pod is None:
                return
            over = pod["status"]["phase"] in ("Succeeded", "Failed")
            try:
                async with aclosing(self._api.log(name, lines.begin())) as stream:
                    async for data in stream:
                        for line in lines.take(data):
                            await listener.hear(line)
            except (NotFound, InvalidArgument):
                return  # it went, or its container never was
            except Cut:
                over = False
            # Only a stream that was opened after the end surely had the last line.
            if over:
                for line in lines.end():
                    await listener.hear(line)
                return
            await asyncio.sleep(min(self._config.poll_s, 0.5))

    async def _hear_others(self, launch: Launch, listener: Listener) -> None:
        """Keep the words of the pods that were not followed; one of them may know the reason of a failure."""
        pods = await self._pods(launch)
        for pod in pods:
            gave_up = exit_code(pod) == GAVE_UP and not isinstance(listener.last, Failed)
            if index(pod) != 0:
                listener.keep(f"pod {index(pod)} of the run:\n".encode())
            if index(pod) != 0 or gave_up:
                await self._read(pod["metadata"]["name"], listener)
        for why in {eviction(pod) for pod in pods} - {""}:
            told = f"the cluster evicted pods of the run again and again ({why.strip().rstrip('.')}); {ROOM}"
            await listener.hear(encode(Interrupted(reason=told)))
        if any(exit_code(pod) == KILLED and not eviction(pod) for pod in pods) and not isinstance(
            listener.last, Failed
        ):
            # The kernel may end a whole container, with whoever could have told of it.
            await listener.hear(encode(Killed()))

    async def _pods(self, launch: Launch) -> list[Object]:
        """The attempt's pods, oldest first."""
        labels = {f"{PREFIX}run": launch.run_id, f"{PREFIX}attempt": str(launch.attempt)}
        pods = await self._api.list("pods", labels)
        return sorted(pods, key=lambda p: p["metadata"]["creationTimestamp"])

    async def _remove(self, launch: Launch) -> None:
        await self._api.delete("jobs", launch.name)
        while await self._api.get("jobs", launch.name) is not None:
            await asyncio.sleep(self._config.poll_s)


@asynccontextmanager
async def open_kubernetes(
    config: KubernetesConfig, store: ObjectStore, store_config: StoreConfig, grace_s: float
) -> AsyncGenerator[Launcher]:
    """A launcher for the cluster. Raises ConfigError for settings that cannot be understood."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="kubernetes") as threads:
        yield KubernetesLauncher(Api(config, threads), config, store, store_config, grace_s)
