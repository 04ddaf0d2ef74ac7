"""A run as everyone sees it: once whoever asks, over restarts, with its log; what fails publishes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exchangeai import __version__
from exchangeai.bus import Bus, open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.dataset import manifest_key
from exchangeai.errors import NotFound
from exchangeai.events.v1.run_requested_pb2 import RunRequested
from exchangeai.facts import ModelFact, RunFact, RunState, TestLooksFact, TrainingOptions
from exchangeai.store import ObjectStore
from exchangeai.v1 import run_pb2
from exchangeai.v1 import training_service_pb2 as pb
from services.trainer import worker as worker_module
from services.trainer.failures import KILLED, NO_ROOM
from services.trainer.job import JOB_FILE
from services.trainer.main import Config
from services.trainer.runs import run_id_of
from tests.contract.trainer_calls import Trainer, add_dataset, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = run_pb2.TrainingOptions(max_epochs=60, patience=60, batch_size=8)
SHORT = run_pb2.TrainingOptions(max_epochs=3, patience=3, batch_size=8)
STATES = [
    run_pb2.RUN_STATE_QUEUED,
    run_pb2.RUN_STATE_PREPARING,
    run_pb2.RUN_STATE_RUNNING,
    run_pb2.RUN_STATE_EXPORTING,
    run_pb2.RUN_STATE_SUCCEEDED,
]


@pytest.fixture
async def trainer(bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path) -> AsyncIterator[Trainer]:
    config = Config(bus=bus_config, store=store_config, work_dir=tmp_path / "work", cores=1)
    async with serving(config) as started:
        yield started


def ranks_of(run_id: str) -> list[int]:
    """Process ids of the ranks at work on a run, whoever started them."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            if run_id.encode() in command and b"torchrun" not in command:
                found.append(int(entry.name))
    return found


async def log_of(trainer: Trainer, run_id: str, **fields: int) -> pb.GetRunLogResponse:
    return await trainer("GetRunLog", pb.GetRunLogRequest(run_id=run_id, **fields))


async def test_a_run_asked_for_twice_runs_once_over_restarts_of_everything(
    store: ObjectStore, store_config: StoreConfig, tmp_path: Path
) -> None:
    server = start_bus(tmp_path / "bus")
    port = int(server.config.url.rpartition(":")[2])

    def place(number: int) -> Config:
        folder = tmp_path / f"work-{number}"
        return Config(bus=server.config, store=store_config, work_dir=folder, cores=1)

    try:
        async with open_bus(server.config, "test") as bus:
            dataset_id = await add_dataset(bus, store, tmp_path / "made")
            async with serving(place(1)) as one, serving(place(2)) as other:
                asked = [x.start(dataset_id, options=LONG, request_key="k") for x in (one, other, one)]
                (run_id,) = {run.run_id for run in await asyncio.gather(*asked)}
                begun = await one.watch(run_id, lambda r: len(r.epochs) >= 2)
                assert len(ranks_of(run_id)) == 1

                server.process.kill()
                server.process.wait(5)
                server = start_bus(tmp_path / "bus", port=port)
                later = await one.watch(run_id, lambda r: len(r.epochs) > len(begun[-1].epochs) + 1)
                assert later[-1].state == run_pb2.RUN_STATE_RUNNING
                assert later[-1].eta_s > 0
                assert len(ranks_of(run_id)) == 1
                logs = [await log_of(x, run_id) for x in (one, other)]
                assert any("Epoch 1: loss" in x.text for x in logs)
            async with serving(place(3)) as third:
                ended = (await third.watch(run_id))[-1]
                log = await log_of(third, run_id)
            models = await bus.facts(ModelFact).all()
    finally:
        server.process.kill()
    assert ended.state == run_pb2.RUN_STATE_SUCCEEDED, ended.error
    assert [e.epoch for e in ended.epochs] == list(range(1, LONG.max_epochs + 1))
    assert list(models) == ["tiny.1"]
    assert ended.code_version == __version__
    manifest = await store.get(manifest_key(dataset_id))
    assert ended.dataset_digest == hashlib.sha256(manifest).hexdigest()
    # The log of the first trainer is gone with its folder, and was in the store.
    assert "Epoch 1: loss" in log.text
    assert "Asked to stop; the checkpoint is saved" in log.text
    assert "Exporting the model" in log.text


async def test_a_run_whose_event_comes_twice_is_worked_at_once(
    bus: Bus, bus_config: BusConfig, store: ObjectStore, store_config: StoreConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    config = Config(bus=bus_config, store=store_config, work_dir=folder, cores=1, max_parallel_runs=2)
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    most = 0
    async with serving(config) as trainer:
        run_id = (await trainer.start(dataset_id, options=SHORT, model_name="twice")).run_id
        await trainer.watch(run_id, lambda r: r.state == run_pb2.RUN_STATE_PREPARING)
        await bus.publish(RunRequested(run_id=run_id, attempt=1), dedup_id="again")
        watching = asyncio.create_task(trainer.watch(run_id))
        while not watching.done():
            most = max(most, len(ranks_of(run_id)))
            await asyncio.sleep(0.2)
        ended = (await watching)[-1]
    assert ended.state == run_pb2.RUN_STATE_SUCCEEDED, ended.error
    assert [e.epoch for e in ended.epochs] == list(range(1, SHORT.max_epochs + 1))
    assert most == 1


async def test_states_progress_and_log_are_told_live_and_kept(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    run_id = (await trainer.start(dataset_id, options=SHORT)).run_id
    seen = await trainer.watch(run_id)
    states = [r.state for r in seen]
    assert list(dict.fromkeys(states)) == STATES[states[0] == STATES[1] :]
    assert [r.progress for r in seen] == sorted(r.progress for r in seen)
    log = await log_of(trainer, run_id)
    assert log.total_bytes == len(log.text.encode()) > 0
    assert [f"Epoch {i}: loss" in log.text for i in (1, 2, 3)] == [True] * 3
    assert "patient" not in log.text
    assert "train-0" not in log.text
    short = await log_of(trainer, run_id, size_bytes=10)
    assert short.text == log.text[-10:]
    before = await log_of(trainer, run_id, size_bytes=10, skip_bytes=10)
    assert before.text == log.text[-20:-10]
    with pytest.raises(NotFound, match="no such run"):
        await log_of(trainer, "absent")


async def test_data_that_cannot_be_learnt_from_fail_the_run(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"leaked": 3}, r"3 patients are .* \(train-patient-0 in train and test; train-patient-1 in"),
        ({"uniform": "train"}, "the training part has one class only"),
        ({"uniform": "validation"}, "the validation part has one class only"),
    ]
    made = [await add_dataset(bus, store, tmp_path / f"made-{i}", **how) for i, (how, _) in enumerate(wrong)]
    cases = zip(made, wrong, strict=True)
    await asyncio.gather(*(fails(trainer, bus, store, x, why) for x, (_, why) in cases))


async def test_a_rank_that_is_killed_again_and_again_fails_the_run(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MOST_STARTS", 2)
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    killed: list[int] = []

    async def kill() -> None:
        while True:
            for run in (await trainer("ListRuns", pb.ListRunsRequest())).runs:
                for rank in ranks_of(run.run_id) if run.dataset_id == dataset_id else ():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rank, signal.SIGKILL)
                        killed.append(rank)
            await asyncio.sleep(0.2)

    killer = asyncio.create_task(kill())
    try:
        await fails(trainer, bus, store, dataset_id, re.escape(KILLED))
    finally:
        killer.cancel()
    assert len(set(killed)) >= 2


async def test_a_run_that_takes_the_trainer_with_it_is_given_up(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    run = RunFact(
        run_id="f" * 32,
        model_name="never",
        dataset_id=await add_dataset(bus, store, tmp_path / "made"),
        architecture="tiny_cnn",
        state=RunState.PREPARING,
        options=TrainingOptions(),
        starts=worker_module.MOST_STARTS,
    )
    await bus.facts(RunFact).create(run.run_id, run)
    await bus.publish(RunRequested(run_id=run.run_id, attempt=1), dedup_id="taken")
    ended = (await trainer.watch(run.run_id))[-1]
    assert (ended.state, ended.error) == (run_pb2.RUN_STATE_FAILED, KILLED)


async def test_a_full_work_folder_fails_the_run(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    folder = tmp_path / "work" / "trainer" / "runs" / run_id_of(dataset_id[:32])
    folder.mkdir(parents=True)
    (folder / f"{JOB_FILE}.new").symlink_to("/dev/full")
    await fails(trainer, bus, store, dataset_id, re.escape(NO_ROOM))


async def fails(trainer: Trainer, bus: Bus, store: ObjectStore, dataset_id: str, why: str) -> None:
    """A run on the data set fails with the reason and leaves nothing behind."""
    models = await store.list("models/")
    name = f"never-{dataset_id[:8]}"
    started = await trainer.start(dataset_id, model_name=name, options=LONG, request_key=dataset_id[:32])
    ended = (await trainer.watch(started.run_id))[-1]
    assert ended.state == run_pb2.RUN_STATE_FAILED
    assert re.search(why, ended.error), ended.error
    assert not ended.model_digest
    assert await store.list("models/") == models
    assert await bus.facts(ModelFact).get(f"{name}.1") is None
    assert await bus.facts(TestLooksFact).get(dataset_id) is None
