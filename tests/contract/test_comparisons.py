"""Comparisons over gRPC on real servers: asked for, followed over a restart, failing in part, cancelled."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from exchangeai.bus import Bus
from exchangeai.comparisons import ComparisonFact, ComparisonState
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import AlreadyExists, InvalidArgument, NotFound, TooLarge
from exchangeai.facts import ModelFact, RunFact, RunState
from exchangeai.rpc.comparisons import comparison_from_proto, comparison_to_proto
from exchangeai.store import ObjectStore
from exchangeai.v1 import comparison_pb2, run_pb2
from exchangeai.v1 import training_service_pb2 as pb
from services.trainer.main import Config
from services.trainer.scores import read_scores, scores_key
from tests.contract.trainer_calls import Trainer, add_dataset, serving

pytestmark = pytest.mark.timeout(400)

SHORT = run_pb2.TrainingOptions(max_epochs=1, batch_size=8, seed=77, label_share=0.3)
ENDLESS = run_pb2.TrainingOptions(max_epochs=10000, patience=1000, batch_size=8)


@pytest.fixture
def config(bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path) -> Config:
    return Config(bus=bus_config, store=store_config, work_dir=tmp_path / "work", cores=1)


@pytest.fixture
async def trainer(config: Config) -> AsyncIterator[Trainer]:
    async with serving(config) as started:
        yield started


@pytest.fixture
async def dataset_id(bus: Bus, store: ObjectStore, tmp_path: Path) -> str:
    return await add_dataset(bus, store, tmp_path / "made")


async def test_what_cannot_be_compared_is_refused(trainer: Trainer, bus: Bus, dataset_id: str) -> None:
    with pytest.raises(NotFound, match="data set"):
        await trainer.compare("f" * 64)
    with pytest.raises(NotFound, match="architecture"):
        await trainer.compare(dataset_id, architectures=["tiny_cnn", "perceptron"])
    options = run_pb2.TrainingOptions(method=run_pb2.METHOD_LINEAR_PROBE)
    with pytest.raises(InvalidArgument, match="from scratch"):
        await trainer.compare(dataset_id, options=options)
    for wrong in ({"architectures": []}, {"label_shares": [0.0]}, {"seeds": [1, 1]}, {"name": "A b"}):
        with pytest.raises(InvalidArgument):
            await trainer.compare(dataset_id, **wrong)
    many = {"seeds": range(20), "label_shares": [x / 100 for x in range(1, 11)]}
    with pytest.raises(TooLarge, match="1100 runs"):
        await trainer.compare(dataset_id, architectures=["tiny_cnn"] + [f"a{i}" for i in range(4)], **many)
    for verb in ("GetComparison", "CancelComparison", "RankComparison"):
        with pytest.raises(NotFound, match="no such comparison"):
            await trainer(verb, getattr(pb, f"{verb}Request")(comparison_id="absent"))
    with pytest.raises(NotFound, match="no such comparison"):
        await trainer.watch_comparison("absent")
    assert not (await trainer("ListComparisons", pb.ListComparisonsRequest())).comparisons
    assert not await bus.facts(RunFact).all()


@pytest.mark.endurance
async def test_a_comparison_outlives_its_trainer_and_ranks_what_succeeded(
    config: Config, bus: Bus, store: ObjectStore, dataset_id: str
) -> None:
    asked = {
        "architectures": ["tiny_cnn", "crnn"],
        "seeds": [3],
        "label_shares": [0.5],
        "options": SHORT,
        "request_key": secrets.token_hex(8),
    }
    async with serving(config) as trainer:
        first = await trainer.compare(dataset_id, **asked)
        assert (await trainer.compare(dataset_id, **asked)).comparison_id == first.comparison_id
        with pytest.raises(AlreadyExists):
            await trainer.compare(dataset_id, **{**asked, "name": "other"})
        doomed = {x.label_share: x.run_id for x in first.runs if x.architecture == "crnn"}
        await trainer.watch_comparison(
            first.comparison_id, lambda x: any(r.state == run_pb2.RUN_STATE_RUNNING for r in x.runs)
        )
        failed = {"state": RunState.FAILED, "error": "the disk is full"}
        for run_id in doomed.values():
            await bus.facts(RunFact).change(run_id, lambda x: replace(x, **failed))
    async with serving(config) as trainer:
        seen = await trainer.watch_comparison(first.comparison_id)
        ended = seen[-1]
        assert ended.state == comparison_pb2.COMPARISON_STATE_SUCCEEDED, ended.error
        assert list(ended.label_shares) == [0.5, 1.0]
        assert [(x.rank, x.architecture, x.succeeded, x.failed) for x in ended.rows] == [
            (1, "tiny_cnn", 1, 0),
            (0, "crnn", 0, 1),
        ]
        best, lost = ended.rows
        assert lost.error == "the disk is full"
        assert best.validation.recordings == 16
        assert best.test.patients == 8
        assert best.validation.indistinguishable
        assert best.inference_ms > 0
        assert best.parameters > 0
        assert best.gflops > 0
        assert [(x.label_share, x.patients, x.recordings) for x in best.label_efficiency] == [
            (0.5, 8, 16),
            (1.0, 16, 32),
        ]
        assert not lost.label_efficiency[0].succeeded
        assert ended.score_name == "macro_auroc"
        runs = {x.run_id: x for x in (await trainer("ListRuns", pb.ListRunsRequest())).runs}
        made = runs[ended.runs[0].run_id]
        assert made.comparison_id == first.comparison_id
        assert (made.options.seed, made.options.label_share, made.model_name) == (3, 1.0, "both-tiny_cnn")
        assert {x.label_share for x in ended.runs if x.model_digest} == {1.0}
        assert {x.split(".")[0] for x in await bus.facts(ModelFact).keys()} == {"both-tiny_cnn"}
        scores = read_scores(await store.get(scores_key(made.run_id)))
        assert scores.test is not None
        assert len(scores.test.scores.recordings) == 16
        assert len(scores.test.draws) == 1000
        fact, progress = comparison_from_proto(ended)
        assert comparison_to_proto(fact, progress) == ended
        stored = await bus.facts(ComparisonFact).get(first.comparison_id)
        assert stored is not None
        assert stored.value == replace(
            fact, created_at=stored.value.created_at, updated_at=stored.value.updated_at
        )

        # Continuing the failed run mends the leaderboard; so does asking for it.
        await trainer("ResumeRun", pb.ResumeRunRequest(run_id=doomed[1.0]))
        assert (await trainer.watch(doomed[1.0]))[-1].state == run_pb2.RUN_STATE_SUCCEEDED
        for _ in range(2):
            request = pb.RankComparisonRequest(comparison_id=first.comparison_id)
            await trainer("RankComparison", request)
            ended = (await trainer.watch_comparison(first.comparison_id))[-1]
            assert ended.state == comparison_pb2.COMPARISON_STATE_SUCCEEDED
            assert sorted(x.rank for x in ended.rows) == [1, 2]


@pytest.mark.slow
async def test_cancelling_stops_all_runs(trainer: Trainer, bus: Bus, dataset_id: str) -> None:
    made = await trainer.compare(dataset_id, seeds=[0, 1], options=ENDLESS)
    await trainer.watch_comparison(made.comparison_id, lambda x: any(r.validation_score for r in x.runs))
    request = pb.CancelComparisonRequest(comparison_id=made.comparison_id)
    cancelled = (await trainer("CancelComparison", request)).comparison
    assert cancelled.state == comparison_pb2.COMPARISON_STATE_CANCELLING
    ended = (await trainer.watch_comparison(made.comparison_id))[-1]
    assert ended.state == comparison_pb2.COMPARISON_STATE_CANCELLED
    assert {x.state for x in ended.runs} == {run_pb2.RUN_STATE_CANCELLED}
    assert [(x.rank, x.failed) for x in ended.rows] == [(0, 2)]


async def test_a_crash_before_runs_were_added_or_cancelled_is_made_good(
    config: Config, bus: Bus, dataset_id: str
) -> None:
    async with serving(config) as trainer:
        made = await trainer.compare(dataset_id, seeds=[5], options=ENDLESS)
        request = pb.CancelComparisonRequest(comparison_id=made.comparison_id)
        await trainer("CancelComparison", request)
        await trainer.watch_comparison(made.comparison_id)
    facts, runs = bus.facts(ComparisonFact), bus.facts(RunFact)
    await runs.delete(made.runs[0].run_id)
    await facts.change(made.comparison_id, lambda x: replace(x, state=ComparisonState.CANCELLING, rows=()))
    async with serving(config) as trainer:
        ended = (await trainer.watch_comparison(made.comparison_id))[-1]
        assert ended.state == comparison_pb2.COMPARISON_STATE_CANCELLED
        run = await runs.get(made.runs[0].run_id)
        assert run is not None
        assert run.value.state is RunState.CANCELLED
