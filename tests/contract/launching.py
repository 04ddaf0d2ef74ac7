"""Launchers on their clusters, each ready to run the same job."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from exchangeai.config import StoreConfig, to_env
from exchangeai.dataset import manifest_key
from exchangeai.errors import NotFound
from exchangeai.facts import Task, TrainingOptions
from exchangeai.store import ObjectStore
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer.job import Job, checkpoint_key, write_job
from services.trainer.launchers import End, Launch, Launcher
from services.trainer.launchers._job_manifest import PodConfig
from services.trainer.launchers.kubernetes import KubernetesConfig, open_kubernetes
from services.trainer.launchers.local import LocalLauncher
from services.trainer.launchers.slurm import SlurmConfig, SlurmLauncher
from services.trainer.report import EpochDone, Report
from tests.contract.fake_kubernetes import FakeCluster
from tests.contract.fake_pods import ROOT
from tests.contract.fake_slurm import install

GRACE_S = 30.0
DATASET = "d" * 64
RUN = "0123456789abcdef" * 2
OPTIONS = TrainingOptions(max_epochs=40, patience=40, batch_size=8)
PODS = PodConfig(
    image="example/trainer:1",
    store_secret="s3",
    cpu="1",
    memory="1Gi",
    node_selector='{"pool": "gpu"}',
    tolerations='[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]',
    priority_class="training",
)
R = TypeVar("R", bound=Report)


@dataclass
class Heard:
    """Takes reports and acts when the first epoch is done."""

    reports: list[Report] = field(default_factory=list[Report])
    act: Callable[[], object] = lambda: None

    async def tell(self, report: Report) -> None:
        self.reports.append(report)
        if isinstance(report, EpochDone) and len(self.of(EpochDone)) == 1:
            self.act()

    def of(self, kind: type[R]) -> list[R]:
        return [r for r in self.reports if isinstance(r, kind)]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a launcher is tried with."""

    folder: Path
    store: ObjectStore
    store_config: StoreConfig

    async def put_dataset(self) -> None:
        """Put the data set into the store."""
        write_dataset(self.folder / "made", DATASET, counts=(32, 16, 16))
        for file in (self.folder / "made").iterdir():
            await self.store.put_file(manifest_key(DATASET).replace("manifest.json", file.name), file)

    async def forget_run(self) -> None:
        """Remove the checkpoint of an earlier test's run."""
        await self.store.delete(checkpoint_key(RUN))

    def launch(self, *, attempt: int = 1, dataset_id: str = DATASET, processes: int = 1) -> Launch:
        """An attempt at the one run, its folder made anew."""
        folder = self.folder / f"attempt-{attempt}"
        folder.mkdir(exist_ok=True)
        write_job(
            folder,
            Job(
                run_id=RUN,
                model_name="tiny",
                dataset_id=dataset_id,
                data_folder=self.folder / "data",
                architecture="tiny_cnn",
                task=Task.MULTI_LABEL,
                classes=CLASSES,
                options=replace(OPTIONS, processes=processes),
            ),
        )
        return Launch(run_id=RUN, attempt=attempt, folder=folder, processes=processes)

    def local(self) -> Launcher:
        """A launcher of child processes."""
        environment = {
            **os.environ,
            **to_env(self.store_config, "EXCHANGEAI_STORE_"),
            "PYTHONPATH": str(ROOT),
        }
        return LocalLauncher(environment, cores=2, grace_s=GRACE_S)

    def secrets(self) -> dict[str, dict[str, str]]:
        """What a cluster keeps for the pods."""
        config = self.store_config
        keys = {"url": config.url, "access-key": config.access_key, "secret-key": config.secret_key}
        return {"s3": keys}

    @asynccontextmanager
    async def kubernetes(self, cluster: FakeCluster, pods: PodConfig = PODS) -> AsyncGenerator[Launcher]:
        """A launcher of Jobs."""
        config = KubernetesConfig(
            api=cluster.url,
            account_folder=self.folder / "account",
            instance="site",
            most_nodes=2,
            poll_s=0.1,
            pods=pods,
        )
        cluster.write_account(config.account_folder)
        async with open_kubernetes(config, self.store, self.store_config, GRACE_S) as launcher:
            yield launcher

    def slurm(self, port: int) -> Launcher:
        """A launcher of batch jobs."""
        state = self.folder / "slurm"
        programs = state / "bin" if state.exists() else install(state)
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        config = SlurmConfig(options="--partition=cpu", cpus=1, most_nodes=2, poll_s=0.1, port=port)
        return SlurmLauncher(config, self.store, self.store_config, environment, GRACE_S)


async def attempt(
    launcher: Launcher, launch: Launch, heard: Heard, *, stop: bool = False, leave: bool = False
) -> End:
    """Run an attempt that is stopped or left after its first epoch."""
    stopping, leaving = asyncio.Event(), asyncio.Event()
    if stop or leave:
        heard.act = stopping.set if stop else leaving.set
    async with asyncio.timeout(110):
        return await launcher.run(launch, heard.tell, stopping, leaving)


async def has_checkpoint(store: ObjectStore) -> bool:
    """Whether the run's checkpoint is in the store."""
    try:
        return bool(await store.get(checkpoint_key(RUN)))
    except NotFound:
        return False
