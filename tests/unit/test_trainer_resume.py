"""A run that is killed and resumed ends with the very weights of one that never stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch

from exchangeai.facts import Task, TrainingOptions
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer.job import CHECKPOINT_FILE, MODEL_FILE, RESULT_FILE, Job, read_result, write_job
from services.trainer.launchers import End, Launch
from services.trainer.launchers.local import LocalLauncher
from services.trainer.report import Activity, EpochDone, Failed, RateFound, Report, Resumed, Stopped
from services.trainer.run_log import read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # each launch loads torch twice

DATASET_ID = "ab" * 32
OPTIONS = TrainingOptions(max_epochs=5, batch_size=8, patience=5, seed=5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, DATASET_ID, counts=(32, 16, 16))
    return folder


def job(data: Path, folder: Path, options: TrainingOptions = OPTIONS) -> Path:
    folder.mkdir()
    write_job(
        folder,
        Job(
            run_id="run",
            model_name="tiny",
            dataset_id=DATASET_ID,
            data_folder=data,
            architecture="xresnet1d",
            task=Task.MULTI_LABEL,
            classes=CLASSES,
            options=options,
        ),
    )
    return folder


class Run:
    """One launch; what it reported and how it ended."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.stop = asyncio.Event()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGEAI_")}
        self.launcher = LocalLauncher(environment, cores=1, grace_s=20)

    async def __call__(
        self, folder: Path, react: Callable[[Report], Awaitable[None]] | None = None, processes: int = 1
    ) -> End:
        async def tell(report: Report) -> None:
            self.reports.append(report)
            if react is not None:
                await react(report)

        launch = Launch(run_id="run", attempt=1, folder=folder, processes=processes)
        return await self.launcher.run(launch, tell, self.stop, asyncio.Event())

    def has(self, kind: type) -> bool:
        return any(isinstance(r, kind) for r in self.reports)


def processes_of(folder: Path) -> dict[int, str]:
    """Everything that works on the run, torchrun and ranks: command line by process id."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
                if str(folder) in command:
                    found[int(entry.name)] = command
    return found


async def test_killed_and_stopped_and_resumed_gives_equal_weights(data: Path, tmp_path: Path) -> None:
    straight, broken = job(data, tmp_path / "straight"), job(data, tmp_path / "broken")
    whole = Run()
    assert await whole(straight) is End.FINISHED, read(straight).decode()

    killed = Run()

    ranks: list[int] = []

    async def kill(report: Report) -> None:
        if isinstance(report, Resumed):
            ranks.extend(p for p, command in processes_of(broken).items() if "torchrun" not in command)
        if isinstance(report, EpochDone):
            while ranks:
                os.kill(ranks.pop(), signal.SIGKILL)

    assert await killed(broken, kill) is End.DIED
    assert not killed.has(Failed)
    assert not killed.has(Stopped)

    stopped = Run()

    async def stop(report: Report) -> None:
        if isinstance(report, Resumed):
            # the killed rank may have run ahead of what we had heard
            assert 1 <= len(report.epochs) < OPTIONS.max_epochs
            stopped.stop.set()

    assert await stopped(broken, stop) is End.STOPPED
    assert stopped.has(Stopped), read(broken).decode()

    rest = Run()
    assert await rest(broken) is End.FINISHED, read(broken).decode()
    ended = [torch.load(f / CHECKPOINT_FILE, weights_only=True) for f in (straight, broken)]
    for state in ("model", "best"):
        for name, weights in ended[0][state].items():
            assert torch.equal(weights, ended[1][state][name]), name
    result, other = read_result(broken), read_result(straight)
    assert result is not None
    assert other is not None
    assert (result.digest, result.test) == (other.digest, other.test)
    assert (straight / MODEL_FILE).read_bytes() == (broken / MODEL_FILE).read_bytes()
    assert result.test.macro_auroc.value is not None


async def test_cancelled_launch_leaves_nothing_running(data: Path, tmp_path: Path) -> None:
    folder = job(data, tmp_path / "run", TrainingOptions(max_epochs=1000, patience=1000, batch_size=8))
    run = Run()
    begun = asyncio.Event()

    async def react(report: Report) -> None:
        if isinstance(report, EpochDone):
            begun.set()

    task = asyncio.create_task(run(folder, react))
    await begun.wait()
    assert len(processes_of(folder)) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if not processes_of(folder):
            break
        await asyncio.sleep(0.05)
    assert not processes_of(folder)
    assert not (folder / RESULT_FILE).exists()


async def test_a_diverging_run_says_so(data: Path, tmp_path: Path) -> None:
    folder = job(data, tmp_path / "run", TrainingOptions(max_epochs=3, learning_rate=1e30, batch_size=8))
    run = Run()
    assert await run(folder) is End.GAVE_UP
    (failed,) = [r for r in run.reports if isinstance(r, Failed)]
    assert "lower learning rate" in failed.reason


async def test_a_damaged_checkpoint_is_passed_over(data: Path, tmp_path: Path) -> None:
    folder = job(data, tmp_path / "run", TrainingOptions(max_epochs=1, batch_size=8))
    (folder / CHECKPOINT_FILE).write_bytes(b"")
    run = Run()
    assert await run(folder) is End.FINISHED, read(folder).decode()
    assert run.has(EpochDone)
    assert not run.has(Failed)


async def test_two_ranks_train_together_and_repeat(data: Path, tmp_path: Path) -> None:
    digests: set[str] = set()
    for name in ("one", "two"):
        options = TrainingOptions(max_epochs=1, batch_size=8, processes=2)
        folder = job(data, tmp_path / name, options)
        assert await Run()(folder, processes=2) is End.FINISHED, read(folder).decode()
        result = read_result(folder)
        assert result is not None
        digests.add(result.digest)
    assert len(digests) == 1


@pytest.mark.endurance
async def test_a_found_rate_outlives_a_kill(data: Path, tmp_path: Path) -> None:
    options = TrainingOptions(max_epochs=3, batch_size=8, seed=2, find_learning_rate=True)
    straight, broken = job(data, tmp_path / "straight", options), job(data, tmp_path / "broken", options)
    whole, killed, rest = Run(), Run(), Run()
    assert await whole(straight) is End.FINISHED, read(straight).decode()

    async def kill(report: Report) -> None:
        if isinstance(report, EpochDone):
            for process, command in processes_of(broken).items():
                if "torchrun" not in command:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)

    assert await killed(broken, kill) is End.DIED
    assert await rest(broken) is End.FINISHED, read(broken).decode()
    found = [r for run in (whole, killed, rest) for r in run.reports if isinstance(r, RateFound)]
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert found[0].search.chosen > 0
    # It was taken from the checkpoint, not searched for anew.
    assert not any(isinstance(r, Activity) and "Searching" in r.text for r in rest.reports)
    assert (straight / MODEL_FILE).read_bytes() == (broken / MODEL_FILE).read_bytes()
