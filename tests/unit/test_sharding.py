"""Weights split among ranks learn what whole ones learn, and go on from a checkpoint."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from exchangeai.dataset import PARTS, decode_manifest, open_part
from exchangeai.facts import Task, TrainingOptions
from exchangeai.ports import ReservedPort
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer import network, objective, sharding
from services.trainer.checkpoint import Checkpoint
from services.trainer.job import Job
from services.trainer.loop import StopRequested, train
from services.trainer.models import tiny_cnn
from services.trainer.ranks import joined
from services.trainer.tensors import seed_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
WORLD = 2
DATASET_ID = "ef" * 32
OPTIONS = TrainingOptions(max_epochs=2, batch_size=8, seed=3, processes=WORLD, accumulate=2)


def rank(number: int, port: int, folder: Path) -> None:
    """Train with whole weights, with split ones, and with split ones stopped and continued."""
    os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE=str(WORLD))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined() as ranks:
        manifest = decode_manifest((folder / "manifest.json").read_bytes())
        parts = {p: open_part(folder, manifest, p) for p in PARTS}
        job = Job(
            run_id="run",
            model_name="tiny",
            dataset_id=DATASET_ID,
            data_folder=folder,
            architecture="tiny_cnn",
            task=Task.MULTI_LABEL,
            classes=CLASSES,
            options=OPTIONS,
        )
        learned = objective.fit(parts["train"].labels, job.task, weigh=False, label_smoothing=0.0)
        kept: list[Checkpoint] = []

        def fresh() -> network.Network:
            seed_all(OPTIONS.seed)
            return network.build(job.architecture, len(CLASSES))

        def run(resumed: Checkpoint | None = None, stop_after: int = 0) -> dict[str, Any]:
            steps = 0

            def stop() -> bool:
                nonlocal steps
                steps += 1
                return steps == stop_after

            ended = train(
                job,
                parts,
                learned,
                ranks,
                fresh=fresh,
                resumed=resumed,
                save=kept.append,
                stop=stop,
                tell=lambda report: None,
            )
            return {"model": ended.model, "average": ended.average, "best": ended.best}

        whole = run()
        tiny_cnn.SHARDED = True  # pyright: ignore[reportAttributeAccessIssue]
        split = run()
        with pytest.raises(StopRequested):
            run(stop_after=6)
        torch.save(kept[-1].optimizer, folder / f"optimizer-{number}.pt")
        continued = run(kept[-1])
        torch.save([whole, split, continued], folder / f"weights-{number}.pt")


def test_split_weights_agree_with_whole_ones_and_resume(tmp_path: Path) -> None:
    write_dataset(tmp_path, DATASET_ID, counts=(32, 18, 8))
    port = ReservedPort()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=rank, args=(i, port.number, tmp_path)) for i in range(WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(150)
        assert process.exitcode == 0
    whole, split, continued = torch.load(tmp_path / "weights-0.pt", weights_only=True)
    for state, weights in whole.items():
        assert weights.keys() == split[state].keys()
        for name, value in weights.items():
            assert type(split[state][name]) is torch.Tensor
            torch.testing.assert_close(split[state][name], value, atol=1e-6, rtol=0)
            assert torch.equal(continued[state][name], split[state][name]), name
    moments = torch.load(tmp_path / "optimizer-0.pt", weights_only=True)["state"]
    sizes = sorted(x["exp_avg"].numel() for x in moments.values())
    assert sizes == sorted(p.numel() for p in network.build("tiny_cnn", len(CLASSES)).parameters())


def test_an_architecture_or_a_size_of_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(sharding.asked_for(key) for key in network.architecture_keys())
    monkeypatch.setattr(tiny_cnn, "SHARDED", True, raising=False)
    assert sharding.asked_for("tiny_cnn")
    sized = next(key for key, (_, size) in network.architecture_keys().items() if size)
    file, size = network.architecture_keys()[sized]
    monkeypatch.setattr(f"services.trainer.models.{file}.SHARDED", (size,), raising=False)
    asked = [key for key in network.architecture_keys() if sharding.asked_for(key)]
    assert asked == [sized, "tiny_cnn"]
