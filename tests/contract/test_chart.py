"""The chart renders with the real helm CLI into valid, restricted objects that the services understand."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import kubernetes_validate
import pytest
import yaml

from exchangeai.config import StoreConfig, from_env
from services.trainer.launchers import Launch, lay_out
from services.trainer.launchers._job_manifest import job
from services.trainer.launchers.kubernetes import KubernetesConfig
from tests.contract.fake_kubernetes import ROLE
from tests.contract.fake_pods import violations
from tests.contract.helm_cli import ROOT, helm

CHART = ROOT / "deploy" / "helm"
SERVICES = ("ingest", "preprocess", "trainer", "inference", "ui")
BACKENDS = ("ingest", "preprocess", "trainer", "inference")
KUBERNETES = ("1.30.0", "1.37.0")
EDGES = {(caller, callee) for caller in ("ui", "test") for callee in BACKENDS}
"""Who calls whom inside a release; nothing else gets through."""
SECRETS = {
    "EXCHANGEAI_BUS_URL": ("exchangeai-nats", "url"),
    "EXCHANGEAI_BUS_USER": ("exchangeai-nats", "user"),
    "EXCHANGEAI_BUS_PASSWORD": ("exchangeai-nats", "password"),
    "EXCHANGEAI_STORE_URL": ("exchangeai-s3", "url"),
    "EXCHANGEAI_STORE_ACCESS_KEY": ("exchangeai-s3", "access-key"),
    "EXCHANGEAI_STORE_SECRET_KEY": ("exchangeai-s3", "secret-key"),
    "EXCHANGEAI_SITE_KEY": ("exchangeai-site", "site-key"),
}
FULL: dict[str, Any] = {
    "nats": {"caSecret": "nats-ca", "cidr": "10.0.0.0/8"},
    "s3": {"caSecret": "s3-ca", "namespace": "storage"},
    "metrics": {"namespace": "monitoring"},
    "image": {"tag": "1.2.3", "pullSecrets": ["pull"]},
    "trainer": {"gpus": 1, "nodeSelector": {"accelerator": "gpu"}},
    "inference": {
        "clientNamespaces": ["clinic"],
        "rest": {"enabled": True},
        "trust": {"keysConfigMap": "keys", "requireSignature": True},
        "device": "cuda",
        "gpus": 1,
        "nodeSelector": {"accelerator": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
}
"""Values that switch on every option."""
JOBS: dict[str, Any] = {
    "s3": {"caSecret": "s3-ca", "cidr": "10.1.0.0/16"},
    "image": {"pullSecrets": ["pull", "other"]},
    "trainer": {
        "launcher": "kubernetes",
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "jobs": {
            "mostNodes": 4,
            "gpus": 8,
            "shmSize": "16Gi",
            "nodeSelector": {"accelerator": "gpu"},
            "tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
            "priorityClass": "training",
            "apiCidr": "10.0.0.1/32",
        },
    },
}
BATCH: dict[str, Any] = {
    "trainer": {
        "launcher": "slurm",
        "slurm": {"options": "--partition=gpu", "workClaim": "shared", "configSecret": "slurm"},
    }
}
VALUES: dict[str, dict[str, Any]] = {"defaults": {}, "everything": FULL, "kubernetes": JOBS, "slurm": BATCH}

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render the chart with values; fails the test with helm's words when helm does."""
    home = tmp_path_factory.mktemp("helm")

    def run(values: dict[str, Any] | None = None, kubernetes: str = "1.33.0") -> Objects:
        result = helm(*_template(home, values or {}), "--kube-version", kubernetes, home=home)
        assert result.returncode == 0, result.stderr
        return [document for document in yaml.safe_load_all(result.stdout) if document]

    return run


@pytest.fixture(scope="module", params=VALUES.values(), ids=list(VALUES))
def objects(render: Render, request: pytest.FixtureRequest) -> Objects:
    """The rendered chart."""
    return render(request.param)


def _template(home: Path, values: dict[str, Any]) -> list[str]:
    path = home / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return ["template", "site", str(CHART), "-n", "prod", "-f", str(path)]


def test_lint(tmp_path: Path) -> None:
    result = helm("lint", "--strict", str(CHART), home=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_objects_are_valid(render: Render, version: str, values: dict[str, Any]) -> None:
    rendered = render(values, version)
    assert len(rendered) > 20
    for document in rendered:
        kubernetes_validate.validate(document, version.rsplit(".", 1)[0], strict=True)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"ingres": {}}, "ingres"),
        ({"ingest": {"replica": 2}}, "replica"),
        ({"nats": {"password": "x"}}, "password"),
        ({"trainer": {"resources": {"limits": {"gpu": "1"}}}}, "gpu"),
        ({"inference": {"replicas": "many"}}, "replicas"),
        ({"s3": {"secret": ""}}, "secret"),
        ({"inference": {"rest": {"port": 80}}}, "port"),
        ({"trainer": {"launcher": "batch"}}, "launcher"),
        ({"trainer": {"jobs": {"tolerations": [{"keys": "gpu"}]}}}, "keys"),
        ({"trainer": {"launcher": "slurm"}}, "trainer.slurm.workClaim is needed"),
    ],
)
def test_unknown_or_wrong_values_are_refused(tmp_path: Path, values: dict[str, Any], path: str) -> None:
    result = helm(*_template(tmp_path, values), home=tmp_path)
    assert result.returncode != 0
    assert path in result.stderr


def test_schema_is_strict_everywhere() -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                extra = node.get("additionalProperties")
                assert extra is False or (extra == {"type": "string"} and "properties" not in node), node
            for child in node.values():
                check(child)

    schema = json.loads((CHART / "values.schema.json").read_text())
    check(schema)
    assert set(schema["properties"]) == set(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_every_service_has_its_objects(objects: Objects) -> None:
    found = {(o["kind"], o["metadata"]["name"]) for o in objects}
    for name in SERVICES:
        for kind in ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"):
            assert (kind, f"site-{name}") in found
    assert not {kind for kind, _ in found} & {"Secret", "ClusterRole", "ClusterRoleBinding"}
    accounts = {(kind, name) for kind, name in found if kind in ("Role", "RoleBinding", "ServiceAccount")}
    needed = {(kind, "site-trainer") for kind in ("Role", "RoleBinding", "ServiceAccount")}
    assert accounts == (needed if _launcher(objects) == "kubernetes" else set())


def test_pods_are_restricted(objects: Objects) -> None:
    for pod in _pods(objects):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for volume in pod["volumes"]:
            assert "hostPath" not in volume
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_pods_have_limits_probes_and_time_to_drain(objects: Objects) -> None:
    for deployment in _kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        for which in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][which])
        probes = [container[p] for p in ("startupProbe", "readinessProbe", "livenessProbe")]
        if container["name"] == "ui":
            assert all(p["httpGet"]["path"] == "/healthz" for p in probes)
        else:
            # Only readiness follows the backends: a lost NATS must not restart the pods.
            assert [p["grpc"].get("service") for p in probes] == [None, "ready", None]
            drain_s = float(_env(container)["EXCHANGEAI_RPC_DRAIN_S"]["value"])
            pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pod["terminationGracePeriodSeconds"] > drain_s + pause_s


def test_secrets_are_only_referred_to(objects: Objects) -> None:
    for name, container in _containers(objects).items():
        env = _env(container)
        for variable, entry in env.items():
            if variable in SECRETS:
                reference = entry["valueFrom"]["secretKeyRef"]
                assert (reference["name"], reference["key"]) == SECRETS[variable]
                assert "value" not in entry
            else:
                assert not re.search(r"(PASSWORD|SECRET_KEY|ACCESS_KEY|SITE_KEY)$", variable)
        assert ("EXCHANGEAI_SITE_KEY" in env) == (name in ("ingest", "preprocess"))
        assert ("EXCHANGEAI_STORE_URL" in env) == (name in BACKENDS)


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_known_and_every_required_one_is_set(objects: Objects, service: str) -> None:
    """The chart and the service's Config speak of the same variables."""
    config = importlib.import_module(f"services.{service}.main").Config
    known = dict(_variables(config, "EXCHANGEAI_"))
    given = set(_env(_containers(objects)[service]))
    assert given <= set(known), given - set(known)
    required = {name for name, needed in known.items() if needed}
    assert required <= given, required - given


def test_the_trainer_may_do_what_its_launcher_does_and_no_more(render: Render) -> None:
    objects = render(JOBS)
    (role,) = _kind(objects, "Role")
    allowed = {
        (verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    assert allowed == ROLE
    (binding,) = _kind(objects, "RoleBinding")
    (account,) = _kind(objects, "ServiceAccount")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [(s["name"], s["namespace"]) for s in binding["subjects"]] == [("site-trainer", "prod")]
    assert account["automountServiceAccountToken"] is False
    for deployment in _kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        tokens = [v for v in pod["volumes"] if "projected" in v]
        if deployment["metadata"]["name"] == "site-trainer":
            assert pod["serviceAccountName"] == account["metadata"]["name"]
            (projected,) = tokens
            assert projected["projected"]["sources"][0]["serviceAccountToken"]["path"] == "token"
        else:
            assert "serviceAccountName" not in pod
            assert not tokens


def test_the_values_reach_the_pods_of_the_jobs(render: Render, tmp_path: Path) -> None:
    """What the chart sets is read by the trainer's own Config, and the Job made from it keeps the schema."""
    objects = render(JOBS)
    env = {n: e["value"] for n, e in _env(_containers(objects)["trainer"]).items() if "value" in e}
    config = from_env(KubernetesConfig, env, prefix="EXCHANGEAI_KUBERNETES_")
    launch = Launch(run_id="f" * 32, attempt=1, folder=tmp_path, processes=16)
    layout = lay_out(16, config.pods.gpus, config.most_nodes)
    made = job(
        launch,
        layout,
        config.pods,
        StoreConfig(url="s3://store"),
        instance=config.instance,
        grace_s=20.0,
        keep_s=config.keep_s,
    )
    kubernetes_validate.validate(made, "1.33", strict=True)
    template = made["spec"]["template"]
    pod = template["spec"]
    assert violations(pod) == []
    assert (layout.nodes, layout.processes) == (2, 8)
    assert pod["containers"][0]["image"] == env["EXCHANGEAI_KUBERNETES_PODS_IMAGE"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert pod["nodeSelector"] == {"accelerator": "gpu"}
    assert pod["tolerations"] == JOBS["trainer"]["jobs"]["tolerations"]
    assert pod["priorityClassName"] == "training"
    assert pod["imagePullSecrets"] == [{"name": "pull"}, {"name": "other"}]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}} in pod["volumes"]
    # The release denies all traffic of its pods; those of the Jobs are let through by their own policy.
    policies = {o["metadata"]["name"]: o["spec"] for o in _kind(objects, "NetworkPolicy")}
    for name in ("site-deny", "site-training"):
        selector = policies[name]["podSelector"]["matchLabels"]
        assert selector.items() <= template["metadata"]["labels"].items()


def test_models_run_where_the_values_say(render: Render) -> None:
    for values, device, gpus in (({}, "cpu", None), (FULL, "cuda", 1)):
        rendered = render(values)
        container = _containers(rendered)["inference"]
        assert _env(container)["EXCHANGEAI_DEVICE"]["value"] == device
        assert container["resources"]["limits"].get("nvidia.com/gpu") == gpus


@pytest.mark.parametrize("values", [{}, FULL, {"inference": {"rest": {"enabled": True}}}])
def test_http_is_open_when_asked_for_and_to_clients_only(render: Render, values: dict[str, Any]) -> None:
    """Setting, port of the pod, port of the service and the way through the policy come and go together."""
    objects, wanted = render(values), values.get("inference", {})
    selectors = [
        {"matchLabels": {"kubernetes.io/metadata.name": x}} for x in wanted.get("clientNamespaces", [])
    ]
    port = {"name": "http-rest", "port": 8082, "targetPort": 8082, "appProtocol": "http"}
    for name, container in _containers(objects).items():
        here = bool(wanted) and name == "inference"
        assert _env(container).get("EXCHANGEAI_REST_PORT", {}).get("value") == ("8082" if here else None)
        assert ({"name": "http-rest", "containerPort": 8082} in container["ports"]) == here
        named = {(o["kind"], o["metadata"]["name"]): o["spec"] for o in objects}
        assert named["Service", f"site-{name}"]["ports"][1:] == ([port] if here else [])
        rules = named["NetworkPolicy", f"site-{name}"]["ingress"]
        let_in = [r["from"] for r in rules if {"port": 8082, "protocol": "TCP"} in r["ports"]]
        assert let_in == ([[{"namespaceSelector": x} for x in selectors]] if here and selectors else [])


def test_network_edges(objects: Objects) -> None:
    policies = {o["metadata"]["name"]: o["spec"] for o in _kind(objects, "NetworkPolicy")}
    deny = policies.pop("site-deny")
    training = policies.pop("site-training", None)
    assert (training is not None) == (_launcher(objects) == "kubernetes")
    if training is not None:
        assert list(_components(training["ingress"][0]["from"])) == ["training"]
        assert [list(_components(r.get("to", []))) for r in training["egress"]] == [[], ["training"], []]
    further = {"local": set[int](), "kubernetes": {443, 6443}, "slurm": {6817}}[_launcher(objects)]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    incoming, outgoing = set[tuple[str, str]](), set[tuple[str, str]]()
    for policy in policies.values():
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        own = policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        incoming |= {
            (other, own) for rule in policy["ingress"] for other in _components(rule.get("from", []))
        }
        outgoing |= {(own, other) for rule in policy["egress"] for other in _components(rule.get("to", []))}
        ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        expected = {53, 4222, 443} if own in BACKENDS else {53, 8081}
        assert ports == expected | (further if own == "trainer" else set())
    assert incoming == outgoing == EDGES


def test_test_pods_and_policies_select_what_exists(objects: Objects) -> None:
    """Labels meet: each Service and each policy of the release selects a pod of the release."""
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in _kind(objects, "Deployment")]
    labels += [p["metadata"]["labels"] for p in _kind(objects, "Pod")]
    labels.append({**labels[0], "app.kubernetes.io/component": "training"})  # which the trainer makes
    selectors = [s["spec"]["selector"] for s in _kind(objects, "Service")]
    selectors += [p["spec"]["podSelector"]["matchLabels"] for p in _kind(objects, "NetworkPolicy")]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


def _kind(objects: Objects, kind: str) -> Objects:
    return [o for o in objects if o["kind"] == kind]


def _pods(objects: Objects) -> Objects:
    deployed = [d["spec"]["template"]["spec"] for d in _kind(objects, "Deployment")]
    return deployed + [p["spec"] for p in _kind(objects, "Pod")]


def _containers(objects: Objects) -> dict[str, dict[str, Any]]:
    pods = [d["spec"]["template"]["spec"] for d in _kind(objects, "Deployment")]
    return {c["name"]: c for pod in pods for c in pod["containers"]}


def _launcher(objects: Objects) -> str:
    return _env(_containers(objects)["trainer"])["EXCHANGEAI_LAUNCHER"]["value"]


def _env(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in container["env"]}


def _components(peers: Objects) -> Iterator[str]:
    for peer in peers:
        if "podSelector" in peer:
            yield peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]


def _variables(config: type, prefix: str) -> Iterator[tuple[str, bool]]:
    """Each environment variable of a config and whether it is required, as exchangeai.config reads them."""
    hints = get_type_hints(config)
    for field in dataclasses.fields(config):
        name, hint = prefix + field.name.upper(), hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _variables(hint, name + "_")  # type: ignore[arg-type]
        else:
            no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            yield name, no_default
