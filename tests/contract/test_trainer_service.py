"""The trainer over gRPC on real servers: start, watch, cancel, continue, publish."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import AlreadyExists, InvalidArgument, NotFound, NotReady
from exchangeai.facts import DatasetState, ModelFact, ModelState, Task
from exchangeai.int8 import INT8_MOST_LOSS
from exchangeai.model_file import LOSS_KEY, model_digest, parse_model, read_manifest
from exchangeai.store import ObjectStore
from exchangeai.v1 import run_pb2
from exchangeai.v1 import training_service_pb2 as pb
from services.trainer.main import Config
from services.trainer.network import architecture_keys
from tests.contract.trainer_calls import Trainer, add_dataset, put_dataset, serving

pytestmark = pytest.mark.timeout(400)

SHORT = run_pb2.TrainingOptions(max_epochs=2, batch_size=8)
ENDLESS = run_pb2.TrainingOptions(max_epochs=10000, patience=1000, batch_size=8)


@pytest.fixture
async def trainer(bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path) -> AsyncIterator[Trainer]:
    config = Config(bus=bus_config, store=store_config, work_dir=tmp_path / "work", cores=1)
    async with serving(config) as started:
        yield started


@pytest.fixture
async def dataset_id(bus: Bus, store: ObjectStore, tmp_path: Path) -> str:
    return await add_dataset(bus, store, tmp_path / "made")


async def test_architectures_are_told(trainer: Trainer) -> None:
    told = (await trainer("ListArchitectures", pb.ListArchitecturesRequest())).architectures
    assert [a.name for a in told] == list(architecture_keys())
    assert all(a.summary and a.parameters > 10_000 for a in told)


async def test_what_cannot_be_trained_is_refused(trainer: Trainer, bus: Bus, dataset_id: str) -> None:
    with pytest.raises(NotFound, match="data set"):
        await trainer.start("f" * 64)
    with pytest.raises(NotFound, match="inception_time"):
        await trainer.start(dataset_id, architecture="perceptron")
    with pytest.raises(NotFound, match="base model"):
        await trainer.start(dataset_id, base_model="absent")
    with pytest.raises(InvalidArgument):
        await trainer.start("not an id")
    with pytest.raises(InvalidArgument, match="processes"):
        await trainer.start(dataset_id, options=run_pb2.TrainingOptions(processes=1024))
    building = secrets.token_hex(32)
    await put_dataset(bus, building, DatasetState.BUILDING)
    with pytest.raises(NotReady, match="building"):
        await trainer.start(building)
    for verb in ("CancelRun", "ResumeRun"):
        with pytest.raises(NotFound, match="no such run"):
            await trainer(verb, getattr(pb, f"{verb}Request")(run_id="absent"))
    with pytest.raises(NotFound, match="no such run"):
        await trainer.watch("absent")
    assert not (await trainer("ListRuns", pb.ListRunsRequest())).runs


@pytest.mark.slow
async def test_runs_publish_versions_and_build_on_each_other(
    trainer: Trainer, bus: Bus, store: ObjectStore, dataset_id: str
) -> None:
    first = await trainer.start(dataset_id, options=SHORT, request_key="once")
    again = await trainer.start(dataset_id, options=SHORT, request_key="once")
    assert again.run_id == first.run_id
    with pytest.raises(AlreadyExists):
        await trainer.start(dataset_id, options=SHORT, request_key="once", model_name="other")
    seen = await trainer.watch(first.run_id)
    ended = seen[-1]
    assert ended.state == run_pb2.RUN_STATE_SUCCEEDED, ended.error
    assert [e.epoch for e in ended.epochs] == [1, 2]
    assert ended.progress == 1.0
    assert ended.best_epoch in (1, 2)
    assert ended.test.recordings == 16
    assert any(r.state == run_pb2.RUN_STATE_RUNNING for r in seen)
    data = await store.get(f"models/{ended.model_digest}.onnx")
    assert model_digest(data) == ended.model_digest
    manifest = read_manifest(parse_model(data))
    assert manifest.parent_digest == ""
    card = (await store.get(f"models/{ended.model_digest}/card.md")).decode()
    assert f"digest: sha256:{ended.model_digest}" in card
    assert b"<svg" in await store.get(f"models/{ended.model_digest}/reliability.svg")
    fact = await bus.facts(ModelFact).get("tiny.1")
    assert fact is not None
    assert (fact.value.digest, fact.value.state) == (ended.model_digest, ModelState.APPROVED)

    both_forms = run_pb2.TrainingOptions()
    both_forms.CopyFrom(SHORT)
    both_forms.int8, both_forms.max_epochs = True, 12  # till no two recordings lie close
    with pytest.raises(InvalidArgument, match="at most 58 letters"):
        await trainer.start(dataset_id, options=both_forms, model_name="m" * 59)
    second = await trainer.start(dataset_id, options=both_forms, base_model="tiny:1")
    ended = (await trainer.watch(second.run_id))[-1]
    assert ended.state == run_pb2.RUN_STATE_SUCCEEDED, ended.error
    assert ended.model_version == 2
    data = await store.get(f"models/{ended.model_digest}.onnx")
    assert read_manifest(parse_model(data)).parent_digest == fact.value.digest

    small = ended.int8_form
    assert (small.model_name, small.model_version, small.reason) == ("tiny-int8", 1, "")
    assert small.loss.low <= small.loss.value <= INT8_MOST_LOSS
    assert min(small.inference_ms, small.float32_ms) > 0
    manifest = read_manifest(parse_model(await store.get(f"models/{small.model_digest}.onnx")))
    assert (manifest.name, manifest.parent_digest) == ("tiny-int8", ended.model_digest)
    assert manifest.extra[LOSS_KEY].startswith(f"{small.loss.value:.4f}")
    card = (await store.get(f"models/{small.model_digest}/card.md")).decode()
    assert manifest.extra[LOSS_KEY] in card
    fact = await bus.facts(ModelFact).get("tiny-int8.1")
    assert fact is not None
    assert (fact.value.digest, fact.value.state) == (small.model_digest, ModelState.APPROVED)

    with pytest.raises(NotReady, match="succeeded"):
        await trainer("ResumeRun", pb.ResumeRunRequest(run_id=second.run_id))
    with pytest.raises(InvalidArgument, match="architecture"):
        await trainer.start(dataset_id, architecture="inception_time", base_model="tiny")


@pytest.mark.slow
async def test_cancelled_runs_end_and_continue(trainer: Trainer, dataset_id: str) -> None:
    running = await trainer.start(dataset_id, options=ENDLESS)
    queued = await trainer.start(dataset_id, options=ENDLESS)
    await trainer.watch(running.run_id, lambda r: len(r.epochs) >= 1)
    cancelled = (await trainer("CancelRun", pb.CancelRunRequest(run_id=queued.run_id))).run
    assert cancelled.state == run_pb2.RUN_STATE_CANCELLED
    await trainer("CancelRun", pb.CancelRunRequest(run_id=running.run_id))
    ended = (await trainer.watch(running.run_id))[-1]
    assert ended.state == run_pb2.RUN_STATE_CANCELLED
    before = len(ended.epochs)

    resumed = (await trainer("ResumeRun", pb.ResumeRunRequest(run_id=running.run_id))).run
    assert resumed.state == run_pb2.RUN_STATE_QUEUED
    seen = await trainer.watch(running.run_id, lambda r: len(r.epochs) > before)
    assert [e.epoch for e in seen[-1].epochs] == list(range(1, len(seen[-1].epochs) + 1))
    await trainer("CancelRun", pb.CancelRunRequest(run_id=running.run_id))
    assert (await trainer.watch(running.run_id))[-1].state == run_pb2.RUN_STATE_CANCELLED


@pytest.mark.slow
async def test_a_run_that_cannot_work_says_why(trainer: Trainer, bus: Bus) -> None:
    lost = secrets.token_hex(32)
    await put_dataset(bus, lost, DatasetState.READY)
    ended = (await trainer.watch((await trainer.start(lost)).run_id))[-1]
    assert ended.state == run_pb2.RUN_STATE_FAILED
    assert ended.error
    assert not ended.model_digest


@pytest.mark.slow
async def test_numbers_are_learned_and_reported_in_their_own_unit(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    numbers = await add_dataset(bus, store, tmp_path / "numbers", Task.REGRESSION)
    options = run_pb2.TrainingOptions(max_epochs=12, patience=12, batch_size=8, learning_rate=0.01)
    started = await trainer.start(numbers, architecture="tiny_cnn", options=options)
    ended = (await trainer.watch(started.run_id))[-1]
    assert ended.state == run_pb2.RUN_STATE_SUCCEEDED, ended.error
    assert not ended.test.classes
    tall, fast = ended.test.targets
    assert (tall.name, tall.recordings, fast.recordings) == ("TALL", 13, 16)
    assert tall.mean_absolute_error.value < 0.4  # 0.5 is what the mean of 0 and 1 reaches
    manifest = read_manifest(parse_model(await store.get(f"models/{ended.model_digest}.onnx")))
    assert manifest.conformal is not None
    assert manifest.conformal.low[0] < 0 < manifest.conformal.high[0]
