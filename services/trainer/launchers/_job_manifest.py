"""The objects of a run on Kubernetes: an Indexed Job and the headless Service that names its pods.

Pod i of a Job NAME is reached as `NAME-i.NAME`. Pod 0 hosts the rendezvous and, since torchrun numbers
machines in the order of their addresses, also the first rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from exchangeai.config import ConfigError, StoreConfig
from services.trainer.job import GAVE_UP, STOPPED
from services.trainer.launchers import Launch, Layout

CONTAINER = "ranks"
PORT = 29400
PREFIX = "exchangeai/"
CA_FOLDER = "/etc/exchangeai/s3"


@dataclass(frozen=True, kw_only=True)
class PodConfig:
    """What the pods of a run are like. Names are those of objects in the namespace."""

    image: str = ""
    """Image of the trainer; required."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: str = ""
    """Secrets for pulling the image, separated by commas."""
    store_secret: str = "exchangeai-s3"
    """Secret with the store's url, access-key and secret-key."""
    store_ca_secret: str = ""
    """Secret with the store's ca.crt; empty for none."""
    cpu: str = "4"
    """Cores of each pod, as a Kubernetes quantity."""
    memory: str = "16Gi"
    tmp_size: str = "50Gi"
    """Bound of /tmp: the data set and the checkpoint."""
    shm_size: str = "2Gi"
    """Bound of /dev/shm, in memory; counts against `memory`."""
    gpus: int = 0
    """GPUs of each pod, a rank each; 0 trains on the CPU."""
    gpu_resource: str = "nvidia.com/gpu"
    processes: int = 1
    """Ranks of each pod when it has no GPU."""
    node_selector: str = "{}"
    """Labels of the nodes to run on, as a JSON object."""
    tolerations: str = "[]"
    """Taints to put up with, as a JSON list of Kubernetes tolerations."""
    priority_class: str = ""
    retries: int = 3
    """How often pods may die until the run is given up; those that were drained or preempted do not count."""
    port: int = PORT
    """Where pod 0 waits for the others."""


class Toleration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A Kubernetes toleration."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    tolerationSeconds: int | None = None  # noqa: N815  (the name is the API's)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The parts of a `PodConfig` that are JSON."""

    node_selector: dict[str, str]
    tolerations: list[Toleration]


def placement(pods: PodConfig) -> Placement:
    """Read the JSON of the settings. Raises ConfigError that names the variable."""
    if not pods.image:
        raise ConfigError("EXCHANGEAI_KUBERNETES_PODS_IMAGE is not set: name the trainer's image")
    try:
        selector = msgspec.json.decode(pods.node_selector, type=dict[str, str])
    except msgspec.MsgspecError as e:
        raise ConfigError(f"EXCHANGEAI_KUBERNETES_PODS_NODE_SELECTOR is no object of labels: {e}") from e
    try:
        tolerations = msgspec.json.decode(pods.tolerations, type=list[Toleration])
    except msgspec.MsgspecError as e:
        raise ConfigError(f"EXCHANGEAI_KUBERNETES_PODS_TOLERATIONS is no list of tolerations: {e}") from e
    return Placement(node_selector=selector, tolerations=tolerations)


def labels(launch: Launch, instance: str) -> dict[str, str]:
    """Who owns an object: the release, the run and the attempt. The chart's network policy goes by them."""
    return {
        "app.kubernetes.io/name": "exchangeai",
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": "training",
        "app.kubernetes.io/managed-by": "exchangeai-trainer",
        f"{PREFIX}run": launch.run_id,
        f"{PREFIX}attempt": str(launch.attempt),
    }


def service(launch: Launch, instance: str, job_uid: str, port: int) -> dict[str, Any]:
    """The headless Service; it goes when the Job goes."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": launch.name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": launch.name,
            "labels": labels(launch, instance),
            "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None",
            # The pods have to meet before any can be ready.
            "publishNotReadyAddresses": True,
            "selector": {f"{PREFIX}run": launch.run_id, f"{PREFIX}attempt": str(launch.attempt)},
            "ports": [{"name": "rendezvous", "port": port, "protocol": "TCP"}],
        },
    }


def job(
    launch: Launch,
    layout: Layout,
    pods: PodConfig,
    store: StoreConfig,
    *,
    instance: str,
    grace_s: float,
    keep_s: int,
) -> dict[str, Any]:
    """The Indexed Job.

    Ranks are not independent, so failures are counted over all pods. A pod that was drained, preempted
    or asked to stop does not count; one that told why it cannot go on ends the Job.
    """
    own = labels(launch, instance)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": launch.name, "labels": own},
        "spec": {
            "completionMode": "Indexed",
            "completions": layout.nodes,
            "parallelism": layout.nodes,
            # One death takes the other pods with it, and each of them counts.
            "backoffLimit": pods.retries * (layout.nodes + 1),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    _on_exit("FailJob", GAVE_UP),
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    _on_exit("Ignore", STOPPED),
                ]
            },
            "ttlSecondsAfterFinished": keep_s,
            "template": {"metadata": {"labels": own}, "spec": _pod(launch, layout, pods, store, grace_s)},
        },
    }


def _on_exit(action: str, code: int) -> dict[str, Any]:
    return {
        "action": action,
        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [code]},
    }


def _pod(
    launch: Launch, layout: Layout, pods: PodConfig, store: StoreConfig, grace_s: float
) -> dict[str, Any]:
    placed = placement(pods)
    amounts: dict[str, str] = {"cpu": pods.cpu, "memory": pods.memory}
    if pods.gpus:
        amounts[pods.gpu_resource] = str(layout.processes)
    volumes: dict[str, tuple[str, dict[str, Any]]] = {
        "tmp": ("/tmp", {"emptyDir": {"sizeLimit": pods.tmp_size}}),
        "shm": ("/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": pods.shm_size}}),
    }
    if pods.store_ca_secret:
        volumes["s3-ca"] = (CA_FOLDER, {"secret": {"secretName": pods.store_ca_secret}})
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "subdomain": launch.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(grace_s) + 15,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": pods.image,
                "imagePullPolicy": pods.pull_policy,
                "command": ["python", "-m", "services.trainer.node"],
                "args": _arguments(launch, layout, pods, grace_s),
                "env": _environment(pods, store),
                "resources": {"requests": amounts, "limits": amounts},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": [
                    {"name": name, "mountPath": path, **({"readOnly": True} if "secret" in source else {})}
                    for name, (path, source) in volumes.items()
                ],
            }
        ],
        "volumes": [{"name": name, **source} for name, (_, source) in volumes.items()],
    }
    optional = {
        "nodeSelector": placed.node_selector,
        "tolerations": msgspec.to_builtins(placed.tolerations),
        "priorityClassName": pods.priority_class,
        "imagePullSecrets": [{"name": name} for name in pods.pull_secrets.split(",") if name],
    }
    return spec | {name: value for name, value in optional.items() if value}


def _arguments(launch: Launch, layout: Layout, pods: PodConfig, grace_s: float) -> list[str]:
    own = ["--run-id", launch.run_id, "--attempt", str(launch.attempt)]
    own += ["--processes", str(layout.processes), "--grace", str(int(grace_s))]
    if layout.nodes == 1:
        return own
    host = f"{launch.name}-0.{launch.name}"
    # The kubelet puts the variable's value here; Indexed Jobs set it in every container.
    address = f"{launch.name}-$(JOB_COMPLETION_INDEX).{launch.name}"
    meeting = ["--nodes", str(layout.nodes), "--node-variable", "JOB_COMPLETION_INDEX"]
    return [*own, *meeting, "--endpoint", f"{host}:{pods.port}", "--address", address]


def _environment(pods: PodConfig, store: StoreConfig) -> list[dict[str, Any]]:
    secret = {"URL": "url", "ACCESS_KEY": "access-key", "SECRET_KEY": "secret-key"}
    plain = {"REGION": store.region, "BUCKET_PREFIX": store.bucket_prefix}
    if pods.store_ca_secret:
        plain["CA_FILE"] = f"{CA_FOLDER}/ca.crt"
    cores = {"resourceFieldRef": {"containerName": CONTAINER, "resource": "limits.cpu"}}
    return [
        {"name": "HOME", "value": "/tmp"},
        {"name": "EXCHANGEAI_CORES", "valueFrom": cores},
        *(
            {
                "name": f"EXCHANGEAI_STORE_{name}",
                "valueFrom": {"secretKeyRef": {"name": pods.store_secret, "key": key}},
            }
            for name, key in secret.items()
        ),
        *({"name": f"EXCHANGEAI_STORE_{name}", "value": value} for name, value in plain.items()),
    ]
