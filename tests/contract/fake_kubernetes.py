"""A namespace of a Kubernetes cluster over real HTTP: API server, garbage collector, Indexed-Job controller.

It keeps what it is given, validates every object against the strict OpenAPI schema of Kubernetes and the
rules of admission, and runs the pods of Jobs as processes (see `fake_pods`). Faults are set from
outside: answers to come, log streams to cut, pods to kill, nodes that are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import re
import secrets as random
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
from aiohttp import web

from tests.contract.fake_pods import INDEX, Object, Pod, violations

VERSION = "1.33"
NAMESPACE = "ecg"
RESTART_PAUSE_S = 0.3
"""Kubernetes waits 10 s and longer."""
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
ROLE = {
    *(("create", "jobs"), ("get", "jobs"), ("delete", "jobs"), ("create", "services")),
    *(("get", "pods"), ("list", "pods"), ("get", "pods/log")),
}
"""What the service account may do; the chart's Role is the same."""
VERBS = {"POST": "create", "DELETE": "delete"}


class FakeCluster:
    """The namespace; `url` is its API server."""

    def __init__(self, folder: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.url = ""
        self.token = random.token_hex(8)
        self.requests: list[tuple[str, str]] = []
        """Verb and resource of each request."""
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        """Statuses and headers that the next requests get in place of an answer."""
        self.cuts: deque[int] = deque()
        """After so many bytes each of the next log streams breaks."""
        self.nodes = 100
        """Pods that find a place at once."""
        self._folder = folder
        self._secrets = secrets
        self.objects: dict[str, dict[str, Object]] = {"jobs": {}, "services": {}}
        self.pods: dict[str, Pod] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[tuple[str, int], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # What a person at the cluster does.

    def write_account(self, folder: Path) -> None:
        """Write a service account's folder, as the kubelet does and keeps doing."""
        folder.mkdir(exist_ok=True)
        (folder / "namespace").write_text(NAMESPACE)
        (folder / "token").write_text(self.token + "\n")

    def running(self, index: int) -> Pod | None:
        """The running pod of an index."""
        alive = (p for p in self.pods.values() if p.object["status"]["phase"] == "Running")
        return next((p for p in alive if p.index == index), None)

    def kill(self, pod: Pod) -> None:
        """What the kernel does for want of memory."""
        pod.signal(signal.SIGKILL)

    def evict(self, pod: Pod, why: str) -> None:
        """What a node does with a pod that takes more room than it may."""
        pod.evicted = {"reason": "Evicted", "message": why}
        pod.signal(signal.SIGKILL)

    def drain(self, pod: Pod) -> None:
        """Evict a pod, as when its node is drained."""
        pod.disrupted = True
        self._start(pod.end())

    # The API server.

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        resource, name = request.match_info["resource"], request.match_info.get("name")
        part = request.match_info.get("part")
        verb = VERBS.get(request.method, "get" if name else "list")
        asked = (verb, f"{resource}/{part}" if part else resource)
        self.requests.append(asked)
        if asked not in ROLE:
            return _refused(403, f"the trainer cannot {verb} {resource}")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused(401, "Unauthorized")
        if self.answers:
            status, headers = self.answers.popleft()
            return _refused(status, "injected", headers)
        if part == "log":
            response = web.StreamResponse()
            with contextlib.suppress(ConnectionError):  # whoever read has gone
                return await self._log(request, response)
            return response
        if request.method == "POST":
            return self.create(resource, await request.json())
        pods = {n: p.object for n, p in self.pods.items()}
        found = pods if resource == "pods" else self.objects[resource]
        if name is None:
            wanted = dict(pair.split("=") for pair in request.query["labelSelector"].split(","))
            items = [o for o in found.values() if wanted.items() <= o["metadata"]["labels"].items()]
            return web.json_response({"kind": "List", "items": items})
        if name not in found:
            return _refused(404, f'{resource} "{name}" not found')
        if request.method == "DELETE":
            assert (await request.json())["propagationPolicy"] == "Foreground"
            found[name]["metadata"].setdefault("deletionTimestamp", _now())
        return web.json_response(found[name])

    def create(self, resource: str, body: Object) -> web.Response:
        """Take an object in, if it is allowed."""
        name = body["metadata"]["name"]
        try:
            kubernetes_validate.validate(body, VERSION, strict=True)
        except kubernetes_validate.ValidationError as e:
            return _refused(422, f"{body['kind']} is invalid: {e.message}")
        if resource == "jobs" and (broken := _wrong_job(body)):
            return _refused(422, f"Job is invalid: {', '.join(broken)}")
        if name in self.objects[resource]:
            return _refused(409, f'{resource} "{name}" already exists')
        made = copy.deepcopy(body)
        made["metadata"] |= {"uid": random.token_hex(8), "creationTimestamp": _now(), "namespace": NAMESPACE}
        made["status"] = {}
        self.objects[resource][name] = made
        return web.json_response(made, status=201)

    async def _log(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        pod = self.pods.get(request.match_info["name"])
        if pod is None:
            return _refused(404, "the pod is gone")
        if pod.process is None:
            return _refused(400, "the container is waiting to start")
        query = request.query
        assert query["container"] == pod.object["spec"]["containers"][0]["name"]
        since = datetime.fromisoformat(query["sinceTime"]).timestamp() * 1e9 if "sinceTime" in query else 0
        await response.prepare(request)
        left = self.cuts.popleft() if self.cuts else None
        sent = 0
        while True:
            over = pod.over
            pod.grew.clear()
            text = b"".join(_stamped(*line) for line in pod.lines[sent:] if line[0] >= since)
            sent = len(pod.lines)
            if left is not None and len(text) >= left:
                await response.write(text[:left])
                assert request.transport is not None
                request.transport.abort()
                return response
            left = None if left is None else left - len(text)
            if text:
                await response.write(text)
            if over or query["follow"] == "false":
                return response
            await pod.grew.wait()

    # The controllers.

    async def control(self) -> None:
        """Bring the world to what is asked, for ever."""
        while True:
            for name, job in list(self.objects["jobs"].items()):
                self._control(name, job)
            await asyncio.sleep(0.02)

    def _control(self, name: str, job: Object) -> None:
        pods = [p for p in self.pods.values() if p.object["metadata"]["labels"]["job-name"] == name]
        if "deletionTimestamp" in job["metadata"]:
            if self._ended(pods):
                for pod in pods:
                    del self.pods[pod.name]
                self._collect(job)
                del self.objects["jobs"][name]
            return
        conditions: list[Object] = job["status"].setdefault("conditions", [])
        if any(c["type"] in ("Complete", "Failed") for c in conditions):
            return
        target = next((c for c in conditions if c["type"] == "FailureTarget"), None)
        if target is not None:
            if self._ended(pods):
                conditions.append({**target, "type": "Failed"})
            return
        for pod in pods:
            if pod.over and not pod.judged:
                pod.judged = True
                if (reason := self._judge(job, pod)) is not None:
                    condition = {"type": "FailureTarget", "status": "True", "reason": reason}
                    conditions.append(condition)
                    return
        done = {p.index for p in pods if p.object["status"]["phase"] == "Succeeded"}
        if len(done) == job["spec"]["completions"]:
            conditions.append({"type": "Complete", "status": "True"})
        for index in range(job["spec"]["completions"]):
            alive = any(p.index == index and not p.over for p in pods)
            if index not in done and not alive and self._time() >= self._not_before.get((name, index), 0.0):
                self._add_pod(job, index)

    def _judge(self, job: Object, pod: Pod) -> str | None:
        """Why the Job fails, if it does, now that this pod has ended."""
        name, spec = job["metadata"]["name"], job["spec"]
        self._not_before[name, pod.index] = self._time() + RESTART_PAUSE_S
        if pod.object["status"]["phase"] == "Succeeded":
            return None
        for rule in spec["podFailurePolicy"]["rules"]:
            codes = rule.get("onExitCodes", {}).get("values", [])
            disrupted = pod.disrupted and [c["type"] for c in rule.get("onPodConditions", [])]
            if pod.exit_code in codes or disrupted == ["DisruptionTarget"]:
                return "PodFailurePolicy" if rule["action"] == "FailJob" else None
        self._failures[name] = self._failures.get(name, 0) + 1
        return "BackoffLimitExceeded" if self._failures[name] > spec["backoffLimit"] else None

    def _add_pod(self, job: Object, index: int) -> None:
        name = job["metadata"]["name"]
        template = copy.deepcopy(job["spec"]["template"])
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{index}-{random.token_hex(3)}",
                "labels": {**template["metadata"]["labels"], "job-name": name},
                "annotations": {INDEX: str(index)},
                "creationTimestamp": datetime.now(UTC).isoformat(),
            },
            "spec": {**template["spec"], "hostname": f"{name}-{index}"},
        }
        kubernetes_validate.validate(pod, VERSION, strict=True)
        made = Pod({**pod, "status": {"phase": "Pending"}})
        self.pods[made.name] = made
        self._start(self._place(made))

    async def _place(self, pod: Pod) -> None:
        while self.nodes <= sum(p.process is not None and not p.over for p in self.pods.values()):
            why = {"type": "PodScheduled", "status": "False", "message": "0 nodes are available"}
            pod.object["status"]["conditions"] = [why]
            if pod.asked_to_end:
                pod.over = True
                return
            await asyncio.sleep(0.02)
        await pod.run(self._folder, self._secrets, lambda: self.objects["services"])

    def _ended(self, pods: list[Pod]) -> bool:
        for pod in pods:
            if not pod.over and not pod.asked_to_end:
                self._start(pod.end())
        return all(pod.over for pod in pods)

    def _collect(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        services = self.objects["services"]
        for name, service in list(services.items()):
            if any(owner["uid"] == uid for owner in service["metadata"].get("ownerReferences", [])):
                del services[name]
        self._failures.pop(job["metadata"]["name"], None)

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def fake_cluster(folder: Path, secrets: Mapping[str, Mapping[str, str]]) -> AsyncIterator[FakeCluster]:
    """A running cluster; its processes end with it."""
    cluster = FakeCluster(folder, secrets)
    application = web.Application()
    for root in ("/apis/batch/v1", "/api/v1"):
        base = f"{root}/namespaces/{NAMESPACE}/{{resource}}"
        for path in (base, f"{base}/{{name}}", f"{base}/{{name}}/{{part}}"):
            application.router.add_route("*", path, cluster.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cluster.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    controller = asyncio.create_task(cluster.control())
    try:
        yield cluster
    finally:
        controller.cancel()
        for pod in cluster.pods.values():
            pod.signal(signal.SIGKILL)
        await asyncio.gather(controller, return_exceptions=True)
        await runner.cleanup()


def _wrong_job(job: Object) -> list[str]:
    """What the API server has against a Job that keeps the schema."""
    spec = job["spec"]
    pod = spec["template"]["spec"]
    limits = pod["containers"][0]["resources"]
    quantities = [*limits["limits"].values()]
    quantities += [v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if "emptyDir" in v]
    rules = {
        "quantities": all(QUANTITY.fullmatch(q) for q in quantities),
        "name": len(f"{job['metadata']['name']}-{spec['completions']}") <= 63,
        "podFailurePolicy needs restartPolicy Never": pod["restartPolicy"] == "Never",
        "podFailurePolicy needs podReplacementPolicy Failed": spec["podReplacementPolicy"] == "Failed",
        "completions": spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"],
        "labels": all(len(v) <= 63 for v in job["metadata"]["labels"].values()),
        "requests": limits["requests"] == limits["limits"],
    }
    return [name for name, kept in rules.items() if not kept] + violations(pod)


def _stamped(at_ns: int, line: bytes) -> bytes:
    whole = datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ns % 10**9:09d}Z ".encode() + line + b"\n"


def _refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    return web.Response(
        status=status, text=json.dumps(body), headers=headers, content_type="application/json"
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
