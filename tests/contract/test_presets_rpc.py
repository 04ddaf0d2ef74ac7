"""Presets, estimates and the search for a learning rate over gRPC, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import NotFound
from exchangeai.store import ObjectStore
from exchangeai.v1 import run_pb2
from exchangeai.v1 import training_service_pb2 as pb
from services.trainer.main import Config
from tests.contract.trainer_calls import Trainer, add_dataset, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def trainer(bus_config: BusConfig, store_config: StoreConfig, tmp_path: Path) -> AsyncIterator[Trainer]:
    config = Config(bus=bus_config, store=store_config, work_dir=tmp_path / "work", cores=1)
    async with serving(config) as started:
        yield started


async def test_presets_are_estimated_and_a_found_rate_is_told_and_kept(
    trainer: Trainer, bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    which: dict[str, Any] = {"dataset_id": dataset_id, "architecture": "tiny_cnn"}
    presets = (await trainer("ListPresets", pb.ListPresetsRequest(**which))).presets
    assert [x.name for x in presets] == ["quick", "balanced", "thorough"]
    with pytest.raises(NotFound, match="architecture"):
        await trainer("ListPresets", pb.ListPresetsRequest(dataset_id=dataset_id, architecture="perceptron"))

    told = [
        await trainer("EstimateRun", pb.EstimateRunRequest(**which, options=x.options))
        for x in (presets[0], presets[2])
    ]
    assert 0 < told[0].low_s < told[0].high_s
    assert told[0].low_s < told[1].low_s
    assert told[0].peak_memory_bytes > 50e6
    assert "steps" in told[0].measured_from
    with pytest.raises(NotFound, match="data set"):
        await trainer("EstimateRun", pb.EstimateRunRequest(dataset_id="f" * 64, architecture="tiny_cnn"))

    options = run_pb2.TrainingOptions(max_epochs=1, batch_size=8, find_learning_rate=True)
    searched = [
        (await trainer.watch((await trainer.start(dataset_id, options=options)).run_id))[-1] for _ in range(2)
    ]
    one, other = searched
    assert one.state == run_pb2.RUN_STATE_SUCCEEDED, one.error
    assert one.rate_search.chosen > 0
    assert len(one.rate_search.rates) == len(one.rate_search.losses) > 10
    # The same seed finds the same rate and makes the same model.
    assert one.rate_search == other.rate_search
    assert one.model_digest == other.model_digest
    card = (await store.get(f"models/{one.model_digest}/card.md")).decode()
    assert f"peak rate {one.rate_search.chosen:g} (found by a search)" in card
