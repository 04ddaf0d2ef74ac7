"""Pods as processes of this machine: what a kubelet and the cluster's DNS would do for them.

A cluster's DNS answers `NAME-i.SERVICE` with the address of pod i when a headless Service of that name
selects the pod. Here all pods share one machine, so the answer is the loopback address 127.0.0.(1 + i). It
is given by writing it into the arguments of the process: the resolver of the C library cannot be
told about single names without being root. A name that DNS would not know is left as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INDEX = "batch.kubernetes.io/job-completion-index"
Object = dict[str, Any]


@dataclass
class Pod:
    """A pod: its object and, once started, its process and log."""

    object: Object
    process: asyncio.subprocess.Process | None = None
    lines: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    """Nanoseconds of the clock, and the line."""
    over: bool = False
    judged: bool = False
    """Whether the controller has drawn its conclusion from the end."""
    asked_to_end: bool = False
    disrupted: bool = False
    """Whether the cluster, and not the container, is the cause of its end."""
    evicted: Object = field(default_factory=dict[str, Any])
    """What its status says when its node put it out."""
    grew: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]

    @property
    def index(self) -> int:
        return int(self.object["metadata"]["annotations"][INDEX])

    @property
    def exit_code(self) -> int:
        return self.object["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def end(self) -> None:
        """What deleting a pod does: SIGTERM, the grace period, SIGKILL."""
        if self.asked_to_end:
            return
        self.asked_to_end = True
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + self.object["spec"]["terminationGracePeriodSeconds"]
        while not self.over and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self.signal(signal.SIGKILL)

    async def run(self, folder: Path, secrets: Mapping[str, Mapping[str, str]], services: Services) -> None:
        """Start the container and keep its log to its end."""
        spec = self.object["spec"]
        (container,) = spec["containers"]
        tmp = folder / self.name
        tmp.mkdir(parents=True)
        mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
        assert "emptyDir" in next(v for v in spec["volumes"] if v["name"] == mounts["/tmp"])
        given = {entry["name"]: _value(entry, container, secrets) for entry in container["env"]}
        given["JOB_COMPLETION_INDEX"] = str(self.index)
        words = [_expanded(word, given) for word in (*container["command"], *container["args"])]
        words = [await self._resolved(word, services) for word in words]
        environment = {name: str(tmp) if value == "/tmp" else value for name, value in given.items()}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(tmp),
        }
        self.process = await asyncio.create_subprocess_exec(
            *words,
            cwd=tmp,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            start_new_session=True,
        )
        self.object["status"] = {"phase": "Running", "containerStatuses": [_status(container, running={})]}
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append((time.time_ns(), line.rstrip(b"\n")))
            self.grew.set()
        code = await self.process.wait()
        ended = _status(container, terminated={"exitCode": code if code >= 0 else 128 - code})
        phase = "Failed" if code else "Succeeded"
        self.object["status"] = {"phase": phase, "containerStatuses": [ended], **self.evicted}
        self.over = True
        self.grew.set()

    async def _resolved(self, word: str, services: Services) -> str:
        match = re.match(r"([a-z0-9-]+)-(\d+)\.([a-z0-9-]+)(:\d+)?$", word)
        if not match:
            return word
        for _ in range(100):  # libtorch asks again and again, too
            service = services().get(match[3])
            if service and self._is_named_by(service, match[1]):
                return f"127.0.0.{1 + int(match[2])}{match[4] or ''}"
            await asyncio.sleep(0.05)
        return word

    def _is_named_by(self, service: Object, job: str) -> bool:
        spec, labels = service["spec"], self.object["metadata"]["labels"]
        return (
            spec["clusterIP"] == "None"
            and spec["publishNotReadyAddresses"]
            and spec["selector"].items() <= labels.items()
            and self.object["spec"]["subdomain"] == service["metadata"]["name"]
            and self.object["spec"]["hostname"].rpartition("-")[0] == job
        )


Services = Callable[[], Mapping[str, Object]]


def violations(pod: Object) -> list[str]:
    """What the pod security standard `restricted` and our own rules have against a pod's spec."""
    (container,) = pod["containers"]
    own, whole = container["securityContext"], pod["securityContext"]
    rules = {
        "runAsNonRoot": whole["runAsNonRoot"] is True and own["runAsNonRoot"] is True,
        "runAsUser": whole["runAsUser"] >= 10000,
        "seccompProfile": whole["seccompProfile"] == own["seccompProfile"] == {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": own["allowPrivilegeEscalation"] is False,
        "capabilities": own["capabilities"] == {"drop": ["ALL"]},
        "readOnlyRootFilesystem": own["readOnlyRootFilesystem"] is True,
        "volumes": all("emptyDir" in v or "secret" in v for v in pod["volumes"]),
        "sizeLimit": all(v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if "emptyDir" in v),
        "automountServiceAccountToken": pod["automountServiceAccountToken"] is False,
        "host": not {"hostNetwork", "hostPID", "hostIPC"} & set(pod),
        "limits": {"cpu", "memory"} <= set(container["resources"]["limits"]),
    }
    return [name for name, kept in rules.items() if not kept]


def _value(entry: Object, container: Object, secrets: Mapping[str, Mapping[str, str]]) -> str:
    if "value" in entry:
        return entry["value"]
    source = entry["valueFrom"]
    if "secretKeyRef" in source:
        return secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
    assert source["resourceFieldRef"]["resource"] == "limits.cpu"
    amount = container["resources"]["limits"]["cpu"]
    return str(math.ceil(float(amount[:-1]) / 1000 if amount.endswith("m") else float(amount)))


def _expanded(word: str, given: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda m: given.get(m[1], m[0]), word)


def _status(container: Object, **state: Object) -> Object:
    return {"name": container["name"], "state": state}
