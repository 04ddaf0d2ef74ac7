"""Every launcher keeps the one promise: the same job, the same reports, the same model, the same end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from exchangeai.config import StoreConfig
from exchangeai.errors import InvalidArgument
from exchangeai.model_file import model_digest
from exchangeai.ports import ReservedPort
from exchangeai.store import ObjectStore
from services.trainer.job import MODEL_FILE, read_result
from services.trainer.launchers import End, Launcher, lay_out
from services.trainer.report import Alive, EpochDone, Failed, Finished, Resumed, Stopped
from services.trainer.run_log import read
from tests.contract.fake_kubernetes import fake_cluster
from tests.contract.launching import OPTIONS, Bench, Heard, attempt, has_checkpoint

pytestmark = pytest.mark.timeout(300)

Open = Callable[[], AbstractAsyncContextManager[Launcher]]
MODELS: dict[str, str] = {}
"""Digest of the model that each launcher's run gave."""


@pytest.fixture
async def bench(store: ObjectStore, store_config: StoreConfig, tmp_path: Path) -> Bench:
    made = Bench(folder=tmp_path, store=store, store_config=store_config)
    await made.put_dataset()
    await made.forget_run()
    return made


@pytest.fixture(params=["local", "kubernetes", "slurm"])
async def opened(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[Open]:
    """Opens launchers, each a trainer's new start, on one cluster."""

    @asynccontextmanager
    async def ready(launcher: Launcher) -> AsyncIterator[Launcher]:
        yield launcher

    if request.param == "kubernetes":
        async with fake_cluster(bench.folder / "pods", bench.secrets()) as cluster:
            yield lambda: bench.kubernetes(cluster)
            assert not cluster.objects["jobs"]
            assert not cluster.objects["services"]
    elif request.param == "slurm":
        port = ReservedPort()
        yield lambda: ready(bench.slurm(port.number))
    else:
        yield lambda: ready(bench.local())


@pytest.mark.slow
async def test_a_run_is_stopped_continued_left_and_joined(
    opened: Open, bench: Bench, request: pytest.FixtureRequest
) -> None:
    # Children end with the trainer, saved; ranks that live elsewhere do not.
    local = "local" in request.node.name
    first, second = bench.launch(), bench.launch(attempt=2)
    async with opened() as launcher:
        heard = Heard()
        assert await attempt(launcher, first, heard, stop=not local, leave=local) is End.STOPPED
        assert len(heard.of(Stopped)) == 1
        assert [r.epochs for r in heard.of(Resumed)] == [()]
        assert await has_checkpoint(bench.store)
        assert read_result(first.folder) is None
        await launcher.clear(first)

    if not local:
        async with opened() as launcher:
            heard = Heard()
            assert await attempt(launcher, second, heard, leave=True) is End.LEFT
            assert not heard.of(Stopped)

    async with opened() as launcher:
        heard = Heard()
        assert await attempt(launcher, second, heard) is End.FINISHED
        assert [r for r in heard.reports if not isinstance(r, Alive)][-1] == Finished()
        assert len(heard.of(Resumed)) == 1
        assert 1 <= len(heard.of(Resumed)[0].epochs) < OPTIONS.max_epochs
        told = [*heard.of(Resumed)[0].epochs, *(r.epoch for r in heard.of(EpochDone))]
        assert [e.epoch for e in told] == list(range(1, OPTIONS.max_epochs + 1))
        result = read_result(second.folder)
        assert result is not None
        assert model_digest((second.folder / MODEL_FILE).read_bytes()) == result.digest
        if not local:  # who looks again finds the result, until it is cleared away
            assert await attempt(launcher, second, Heard()) is End.FINISHED
        for _ in range(2):
            await launcher.clear(second)
    assert [k for k in await bench.store.list("runs/") if "/in/" in k or "/out/" in k] == []
    MODELS[request.node.name] = result.digest
    assert len(set(MODELS.values())) == 1, MODELS


@pytest.mark.slow
async def test_a_run_that_cannot_work_says_why(opened: Open, bench: Bench) -> None:
    launch = bench.launch(dataset_id="e" * 64)
    async with opened() as launcher:
        heard = Heard()
        assert await attempt(launcher, launch, heard) is End.GAVE_UP
        assert len(heard.of(Failed)) == 1
        assert "Traceback" in read(launch.folder).decode()
        await launcher.clear(launch)


def test_whole_nodes_are_filled() -> None:
    assert (lay_out(3, 4, 2).nodes, lay_out(3, 4, 2).processes) == (1, 3)
    assert (lay_out(8, 4, 2).nodes, lay_out(8, 4, 2).processes) == (2, 4)
    for wrong in (6, 12):
        with pytest.raises(InvalidArgument, match="multiple of 4 up to 8"):
            lay_out(wrong, 4, 2)
