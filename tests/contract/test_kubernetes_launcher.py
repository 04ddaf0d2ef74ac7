"""Runs on Kubernetes: lost pods, drained nodes, a moody API server, and objects that hospitals accept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from exchangeai.config import ConfigError, StoreConfig
from exchangeai.errors import InvalidArgument, PermissionDenied, Unavailable
from exchangeai.ports import ReservedPort
from exchangeai.store import ObjectStore
from services.trainer.job import GAVE_UP, STOPPED, read_result
from services.trainer.launchers import End, Launch, Layout
from services.trainer.launchers import kubernetes as launcher_module
from services.trainer.launchers._job_manifest import PodConfig, job, placement
from services.trainer.launchers._log_lines import LogLines
from services.trainer.report import Activity, Failed, Interrupted, Killed, Resumed, StepDone
from services.trainer.run_log import read
from tests.contract.fake_kubernetes import FakeCluster, fake_cluster
from tests.contract.fake_pods import violations
from tests.contract.launching import OPTIONS, PODS, RUN, Bench, Heard, attempt

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def bench(store: ObjectStore, store_config: StoreConfig, tmp_path: Path) -> Bench:
    made = Bench(folder=tmp_path, store=store, store_config=store_config)
    await made.put_dataset()
    await made.forget_run()
    return made


@pytest.fixture
async def cluster(bench: Bench) -> AsyncIterator[FakeCluster]:
    async with fake_cluster(bench.folder / "pods", bench.secrets()) as running:
        yield running


class Scripted:
    """Has pods run a line of Python in place of the trainer: enough to try how they are followed."""

    def __init__(self, cluster: FakeCluster, code: str) -> None:
        self._create = cluster.create
        self._code = code

    def __call__(self, resource: str, body: dict[str, Any]) -> Any:
        if resource == "jobs":
            (container,) = body["spec"]["template"]["spec"]["containers"]
            container |= {"command": ["python", "-c"], "args": [self._code]}
        return self._create(resource, body)


@pytest.mark.slow
async def test_a_killed_pod_is_replaced_and_the_weights_are_those_of_an_undisturbed_run(
    bench: Bench, cluster: FakeCluster
) -> None:
    undisturbed = bench.launch(attempt=1, processes=2)
    assert await attempt(bench.local(), undisturbed, Heard()) is End.FINISHED
    await bench.forget_run()

    launch = bench.launch(attempt=2, processes=2)
    heard = Heard()
    killed: list[str] = []

    def kill() -> None:
        pod = cluster.running(1)
        assert pod is not None
        killed.append(pod.name)
        cluster.kill(pod)

    heard.act = kill
    port = ReservedPort()
    async with bench.kubernetes(cluster, replace(PODS, port=port.number)) as launcher:
        assert await attempt(launcher, launch, heard) is End.FINISHED
        assert len(killed) == 1
        pods = [p for p in cluster.pods.values() if p.index == 1]
        assert [p.exit_code for p in pods if p.name in killed] == [137]
        assert [p.exit_code for p in pods][-1] == 0
        first, second = (len(r.epochs) for r in heard.of(Resumed))
        assert first == 0 < second < OPTIONS.max_epochs
        assert not heard.of(Failed)
        await launcher.clear(launch)
    straight, broken = (read_result(done.folder) for done in (undisturbed, launch))
    assert straight is not None
    assert broken is not None
    assert (broken.digest, broken.test) == (straight.digest, straight.test)


async def test_a_log_that_breaks_off_loses_and_repeats_no_line(bench: Bench, cluster: FakeCluster) -> None:
    steps = 400
    code = (
        "import time\n"
        f"for i in range({steps}):\n"
        '    print(\'{"event":"progress","epoch":1,"step":%d,"steps":400}\' % i, flush=True)\n'
        "    print('words', i, flush=True)\n"
        "    time.sleep(0.004)\n"
    )
    cluster.create = Scripted(cluster, code)
    cluster.cuts.extend((0, 1, 50, 1000, 3333, 7000, 12000, 12001, 20000))
    launch, heard = bench.launch(), Heard()
    async with bench.kubernetes(cluster) as launcher:
        # The Job completes without a result, which no trainer does.
        assert await attempt(launcher, launch, heard) is End.DIED
    assert [r.step for r in heard.of(StepDone)] == list(range(steps))
    assert read(launch.folder).decode().splitlines() == [f"words {i}" for i in range(steps)]
    assert not cluster.cuts


def test_lines_are_told_apart_when_clocks_go_back_and_logs_are_rotated() -> None:
    lines = LogLines()
    assert lines.begin() is None
    assert lines.take(b"2026-01-01T00:00:01.5Z a\n2026-01-01T00:00:01.5Z a\n2026-01-01T00:0") == [b"a", b"a"]
    assert lines.begin() == "2026-01-01T00:00:01Z"
    again = b"2026-01-01T00:00:01.5Z a\n2026-01-01T00:00:01.5Z a\n2026-01-01T00:00:01.5Z a\n"
    assert lines.take(again) == [b"a"]
    assert lines.take(b"2026-01-01T00:00:00.9Z back\n") == [b"back"]
    assert lines.begin() == "2026-01-01T00:00:00Z"
    assert lines.take(b"2026-01-01T00:00:02.0+00:00 new\n2026-01-01T00:00:02.1+00:00 end") == [b"new"]
    assert lines.end() == [b"end"]


async def test_a_moody_api_server_is_asked_again(bench: Bench, cluster: FakeCluster) -> None:
    cluster.create = Scripted(cluster, "raise SystemExit(1)")
    launch, heard = bench.launch(), Heard()
    begun = time.monotonic()
    cluster.answers.extend([(500, {}), (429, {"Retry-After": "1"}), (503, {})])
    async with bench.kubernetes(cluster, replace(PODS, retries=0)) as launcher:
        assert await attempt(launcher, launch, heard) is End.DIED
    assert time.monotonic() - begun > 1.0
    assert not cluster.answers
    assert not cluster.objects["jobs"], "the next try makes a new Job"


async def test_an_api_server_that_stays_away_is_unavailable(
    bench: Bench, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_module, "RETRY_BUDGET_S", 0.5)
    cluster.answers.extend([(503, {})] * 100)
    async with bench.kubernetes(cluster) as launcher:
        with pytest.raises(Unavailable, match="503"):
            await attempt(launcher, bench.launch(), Heard())


async def test_a_rotated_token_is_read_again(bench: Bench, cluster: FakeCluster) -> None:
    cluster.create = Scripted(cluster, "import time; time.sleep(1.5); raise SystemExit(1)")

    async def rotate() -> None:
        await asyncio.sleep(0.5)
        cluster.token = "rotated"
        cluster.write_account(bench.folder / "account")

    rotating = asyncio.create_task(rotate())
    async with bench.kubernetes(cluster, replace(PODS, retries=0)) as launcher:
        assert await attempt(launcher, bench.launch(), Heard()) is End.DIED
        await rotating
        cluster.token = "another"  # the file has the old one: there is nothing to wait for
        with pytest.raises(PermissionDenied, match="service account"):
            await launcher.clear(bench.launch())


async def test_two_starts_of_an_attempt_are_one_job(bench: Bench, cluster: FakeCluster) -> None:
    cluster.create = Scripted(cluster, 'print(\'{"event":"activity","text":"x"}\'); raise SystemExit(65)')
    launch = bench.launch()
    async with bench.kubernetes(cluster) as one, bench.kubernetes(cluster) as other:
        ends = await asyncio.gather(*(attempt(x, launch, Heard()) for x in (one, other)))
    assert set(ends) <= {End.GAVE_UP, End.DIED}
    assert cluster.requests.count(("create", "jobs")) == 2
    assert len({p.object["metadata"]["labels"]["job-name"] for p in cluster.pods.values()}) <= 1


async def test_the_reason_is_found_in_whichever_pod_told_it(bench: Bench, cluster: FakeCluster) -> None:
    code = (
        "import os, time\n"
        "if os.environ['JOB_COMPLETION_INDEX'] == '1':\n"
        '    print(\'{"event":"failed","reason":"the disk is full"}\', flush=True)\n'
        "    raise SystemExit(65)\n"
        "time.sleep(60)\n"
    )
    cluster.create = Scripted(cluster, code)
    heard = Heard()
    async with bench.kubernetes(cluster) as launcher:
        assert await attempt(launcher, bench.launch(processes=2), heard) is End.GAVE_UP
    assert [r.reason for r in heard.of(Failed)] == ["the disk is full"]


async def test_words_of_all_pods_are_kept_and_a_want_of_memory_is_told(
    bench: Bench, cluster: FakeCluster
) -> None:
    code = (
        "import os, signal, time\n"
        "print('words of', os.environ['JOB_COMPLETION_INDEX'], flush=True)\n"
        "time.sleep(0.3)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    cluster.create = Scripted(cluster, code)
    launch, heard = bench.launch(processes=2), Heard()
    async with bench.kubernetes(cluster, replace(PODS, retries=0)) as launcher:
        assert await attempt(launcher, launch, heard) is End.DIED
    assert len(heard.of(Killed)) == 1
    log = read(launch.folder).decode()
    assert "words of 0" in log
    assert "pod 1 of the run:\nwords of 1" in log


async def test_pods_without_room_are_told(bench: Bench, cluster: FakeCluster) -> None:
    cluster.create = Scripted(cluster, "import time; time.sleep(60)")
    heard = Heard()
    async with bench.kubernetes(cluster, replace(PODS, retries=0)) as launcher:
        run = asyncio.create_task(attempt(launcher, bench.launch(), heard))
        await until(lambda: cluster.running(0) is not None)
        pod = cluster.running(0)
        assert pod is not None
        cluster.evict(pod, 'Usage of EmptyDir volume "tmp" exceeds the limit "50Gi". ')
        assert await run is End.DIED
    (told,) = heard.of(Interrupted)
    assert '(Usage of EmptyDir volume "tmp" exceeds the limit "50Gi")' in told.reason
    assert not heard.of(Killed)


async def test_a_missing_right_is_told(
    bench: Bench, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.contract.fake_kubernetes.ROLE", {("get", "jobs")})
    async with bench.kubernetes(cluster) as launcher:
        with pytest.raises(PermissionDenied, match=r"chart.s Role .trainer.launcher: kubernetes"):
            await attempt(launcher, bench.launch(), Heard())


async def test_drained_pods_do_not_count_and_waiting_is_told(bench: Bench, cluster: FakeCluster) -> None:
    cluster.create = Scripted(cluster, "import time; time.sleep(60)")
    cluster.nodes = 0
    heard, stop = Heard(), asyncio.Event()
    async with bench.kubernetes(cluster, replace(PODS, retries=0)) as launcher:
        run = asyncio.create_task(launcher.run(bench.launch(), heard.tell, stop, asyncio.Event()))
        await until(lambda: bool(heard.of(Activity)))
        assert heard.of(Activity)[0].text == "Waiting for 1 of 1 pods: 0 nodes are available"
        cluster.nodes = 1
        for drained in range(2):
            await until(lambda: cluster.running(0) is not None)
            pod = cluster.running(0)
            assert pod is not None
            cluster.drain(pod)
            await until(lambda seen=drained: sum(p.over for p in cluster.pods.values()) == seen + 1)
        await until(lambda: cluster.running(0) is not None)
        stop.set()
        assert await run is End.STOPPED
    assert not cluster.pods


async def test_a_job_that_someone_deleted_is_tried_again_by_the_worker(
    bench: Bench, cluster: FakeCluster
) -> None:
    cluster.create = Scripted(cluster, "import time; time.sleep(60)")
    launch = bench.launch()
    async with bench.kubernetes(cluster) as launcher:
        run = asyncio.create_task(attempt(launcher, launch, Heard()))
        await until(lambda: cluster.running(0) is not None)
        cluster.objects["jobs"][launch.name]["metadata"]["deletionTimestamp"] = "now"
        assert await run is End.DIED


async def test_wrong_settings_are_told(bench: Bench, cluster: FakeCluster) -> None:
    wrong = {"image": "", "node_selector": "pool=gpu", "tolerations": '[{"keys": "gpu"}]'}
    for name, value in wrong.items():
        with pytest.raises(ConfigError, match=f"PODS_{name.upper()}"):
            placement(replace(PODS, **{name: value}))
    async with bench.kubernetes(cluster) as launcher:
        assert launcher.most_processes == 2
        with pytest.raises(InvalidArgument, match="at most 2 nodes of 1"):
            await attempt(launcher, bench.launch(processes=3), Heard())
    async with bench.kubernetes(cluster, replace(PODS, cpu="many")) as launcher:
        with pytest.raises(InvalidArgument, match="Kubernetes refuses"):
            await attempt(launcher, bench.launch(), Heard())


def test_jobs_are_what_the_references_ask_for() -> None:
    pods = replace(PODS, gpus=4, pull_secrets="one,two", store_ca_secret="ca")
    launch = Launch(run_id=RUN, attempt=3, folder=Path(), processes=8)
    config = StoreConfig(url="s3://secret-host", access_key="secret-a", secret_key="secret-b")
    made = job(
        launch,
        Layout(nodes=2, processes=4),
        pods,
        config,
        instance="site",
        grace_s=20.0,
        keep_s=60,
    )
    spec = made["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert violations(pod) == []
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert "backoffLimitPerIndex" not in spec, "ranks are not independent"
    actions = [
        (r["action"], r.get("onExitCodes", {}).get("values")) for r in spec["podFailurePolicy"]["rules"]
    ]
    assert actions == [("FailJob", [GAVE_UP]), ("Ignore", None), ("Ignore", [STOPPED])]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert pod["terminationGracePeriodSeconds"] > 20
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["priorityClassName"] == "training"
    assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in pod["volumes"]
    assert made["metadata"]["labels"].items() >= {"exchangeai/run": RUN, "exchangeai/attempt": "3"}.items()
    assert "secret-" not in yaml.safe_dump(made).replace("secret-key", "")
    assert (
        "imagePullSecrets"
        not in job(
            launch,
            Layout(nodes=1, processes=1),
            PodConfig(image="x"),
            config,
            instance="s",
            grace_s=1,
            keep_s=1,
        )["spec"]["template"]["spec"]
    )


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)
