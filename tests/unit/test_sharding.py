"""Weights split among ranks learn what whole ones learn, and go on from a checkpoint."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from exchangeai.dataset import PARTS, decode_manifest, open_part
from exchangeai.facts import Task, TrainingOptions
from exchangeai.plugins import modules_in
from exchangeai.ports import ReservedPort
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer import models, network, objective, sharding
from services.trainer.checkpoint import Checkpoint
from services.trainer.job import Job
from services.trainer.loop import StopRequested, train
from services.trainer.models import tiny_cnn
from services.trainer.ranks import Ranks, joined
from services.trainer.tensors import seed_all, tensor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
WORLD = 2
DATASET_ID = "ef" * 32
OPTIONS = TrainingOptions(max_epochs=2, batch_size=8, seed=3, processes=WORLD, accumulate=2)
FEW_STEPS = TrainingOptions(max_epochs=1, batch_size=4, seed=3, processes=WORLD)
SMALLEST = {file: key for key, (file, _) in reversed(network.architecture_keys().items())}
"""Key of each architecture's first size."""
QUICK = ("vit_1d", "crnn")
"""A weight beside the modules, and modules that hold their weights in a list of their own."""


def in_ranks(act: Callable[..., None], *arguments: object) -> None:
    """Call it in so many processes that find each other."""
    port = ReservedPort()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_rank, args=(i, port.number, act, arguments)) for i in range(WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(150)
        assert process.exitcode == 0


def _rank(number: int, port: int, act: Callable[..., None], arguments: tuple[object, ...]) -> None:
    os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE=str(WORLD))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined() as ranks:
        act(ranks, *arguments)


def fresh(architecture: str) -> network.Network:
    seed_all(OPTIONS.seed)
    return network.build(architecture, len(CLASSES))


def trained(
    ranks: Ranks,
    folder: Path,
    architecture: str,
    options: TrainingOptions,
    save: Callable[[Checkpoint], None] = lambda made: None,
    resumed: Checkpoint | None = None,
    stop_after: int = 0,
) -> Checkpoint:
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    parts = {p: open_part(folder, manifest, p) for p in PARTS}
    job = Job(
        run_id="run",
        model_name="model",
        dataset_id=DATASET_ID,
        data_folder=folder,
        architecture=architecture,
        task=Task.MULTI_LABEL,
        classes=CLASSES,
        options=options,
    )
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == stop_after

    return train(
        job,
        parts,
        objective.fit(parts["train"].labels, job.task, weigh=False, label_smoothing=0.0),
        ranks,
        fresh=lambda: fresh(architecture),
        resumed=resumed,
        save=save,
        stop=stop,
        tell=lambda report: None,
    )


def resume(ranks: Ranks, folder: Path) -> None:
    """Train with whole weights, with split ones, and with split ones stopped and continued."""
    kept: list[Checkpoint] = []

    def run(**changes: Any) -> dict[str, Any]:
        ended = trained(ranks, folder, "tiny_cnn", OPTIONS, kept.append, **changes)
        return {"model": ended.model, "average": ended.average, "best": ended.best}

    whole = run()
    tiny_cnn.SHARDED = True  # pyright: ignore[reportAttributeAccessIssue]
    split = run()
    with pytest.raises(StopRequested):
        run(stop_after=6)
    number = 0 if ranks.first else 1
    torch.save(kept[-1].optimizer, folder / f"optimizer-{number}.pt")
    continued = run(resumed=kept[-1])
    torch.save([whole, split, continued], folder / f"weights-{number}.pt")


def test_split_weights_agree_with_whole_ones_and_resume(tmp_path: Path) -> None:
    write_dataset(tmp_path, DATASET_ID, counts=(32, 18, 8))
    in_ranks(resume, tmp_path)
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


def learn_both_ways(ranks: Ranks, folder: Path, files: Sequence[str]) -> None:
    """A few steps of each architecture with whole and with split weights."""
    for file in files:
        states: list[dict[str, Tensor]] = []
        for split in (False, True):
            asking: Any = modules_in(models.__name__)[file]
            asking.SHARDED = split
            states.append(trained(ranks, folder, SMALLEST[file], FEW_STEPS).model)
        if ranks.first:
            torch.save(states, folder / f"{file}.pt")


def outputs(architecture: str, state: dict[str, Tensor], x_BLT: Tensor) -> Tensor:
    """Logits as in training, where a bias before a normalisation, taught by rounding alone, says nothing."""
    net = fresh(architecture).train()
    net.load_state_dict(state)
    with torch.no_grad():
        return network.logits(net, x_BLT)


@pytest.mark.parametrize(
    "files", [QUICK, pytest.param(tuple(SMALLEST), marks=pytest.mark.endurance)], ids=["quick", "every"]
)
def test_every_architecture_can_be_split(tmp_path: Path, files: Sequence[str]) -> None:
    write_dataset(tmp_path, DATASET_ID, counts=(16, 6, 4))
    in_ranks(learn_both_ways, tmp_path, files)
    part = open_part(tmp_path, decode_manifest((tmp_path / "manifest.json").read_bytes()), "train")
    x_BLT = tensor(part.millivolts(range(8)))
    for file in files:
        whole, split = torch.load(tmp_path / f"{file}.pt", weights_only=True)
        assert whole.keys() == split.keys()
        begun, learned, shared = (
            outputs(SMALLEST[file], x, x_BLT) for x in (fresh(SMALLEST[file]).state_dict(), whole, split)
        )
        assert (learned - begun).abs().max() > 1e-2, file
        torch.testing.assert_close(
            shared, learned, atol=1e-3, rtol=0, msg=lambda m, file=file: f"{file}: {m}"
        )


def test_an_architecture_or_a_size_of_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(sharding.asked_for(key) for key in network.architecture_keys())
    monkeypatch.setattr(tiny_cnn, "SHARDED", True, raising=False)
    assert sharding.asked_for("tiny_cnn")
    sized = next(key for key, (_, size) in network.architecture_keys().items() if size)
    file, size = network.architecture_keys()[sized]
    monkeypatch.setattr(f"services.trainer.models.{file}.SHARDED", (size,), raising=False)
    asked = [key for key in network.architecture_keys() if sharding.asked_for(key)]
    assert asked == [sized, "tiny_cnn"]
