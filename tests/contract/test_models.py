"""What every architecture keeps: found by walking services/trainer/models."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.model_file import (
    Manifest,
    ModelClass,
    TrainingData,
    parse_model,
    read_manifest,
    unpack_window,
)
from services.trainer import architectures, network
from services.trainer.export import export, synthetic_window

ARCHITECTURES = tuple(network.architecture_keys())


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def windows(count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([synthetic_window(seed) for seed in range(count)]))


def manifest(
    architecture: str, classes: tuple[str, ...] = ("A", "B", "C"), task: Task = Task.MULTI_LABEL
) -> Manifest:
    return Manifest(
        name="test",
        architecture=architecture,
        task=task,
        classes=tuple(ModelClass(name=c, threshold=0.5) for c in ("A", "B", "C")),
        training=TrainingData(dataset_id="0" * 64, recordings=1, patients=1, positives=(1, 1, 1)),
    )


def test_the_folder_is_the_list() -> None:
    assert tuple(told.name for told in architectures.describe()) == ARCHITECTURES
    assert ARCHITECTURES[0] == "xresnet1d"
    for told in architectures.describe():
        assert told.summary.endswith(".")
        assert 10_000 < told.parameters < 50_000_000
        assert 0.001 < told.gflops < 50


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shapes_and_head(name: str) -> None:
    net = network.build(name, 3)
    logits, embedding, features = net(windows(2))
    assert logits.shape == (2, 3)
    assert embedding.shape == (2, features.shape[1])
    assert features.ndim == 3
    assert net.head.in_features == embedding.shape[1]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_window_is_judged_alone(name: str) -> None:
    net = network.build(name, 3).eval()
    x = windows(4)
    with torch.no_grad():
        together, alone = net(x)[0], torch.cat([net(x[i : i + 1])[0] for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_padding_offset_and_silence_are_harmless(name: str) -> None:
    net = network.build(name, 3).eval()
    short = windows(1)
    short[:, :, 2500:] = 0
    with torch.no_grad():
        assert torch.isfinite(net(torch.zeros(1, 12, 5000))[0]).all()
        assert torch.isfinite(net(short)[0]).all()
        moved = windows(1) + 0.5
        torch.testing.assert_close(net(moved)[1][:, :4], net(windows(1))[1][:, :4], atol=0.05, rtol=0.5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_learns_one_batch_by_heart(name: str) -> None:
    net = network.build(name, 3)
    x, y = windows(6), torch.eye(3).repeat(2, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    loss = torch.tensor(1.0)
    for _ in range(30):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("task", list(Task))
def test_export_is_faithful_repeatable_and_silent_about_the_machine(name: str, task: Task) -> None:
    net = network.build(name, 3)
    net(windows(8))  # running statistics that are not those of a fresh layer
    data = export(net, task, 1.7, manifest(name, task=task))
    assert data == export(net, task, 1.7, manifest(name, task=task))
    model = parse_model(data)
    onnx.checker.check_model(model)
    told = read_manifest(model)
    assert told.golden is not None
    assert told.temperature == 1.7
    with torch.no_grad():
        logits = net.eval()(torch.from_numpy(unpack_window(told.golden.window).copy())[None])[0][0]
    np.testing.assert_allclose(logits.numpy(), told.golden.logits, atol=1e-4)
    scaled = logits / 1.7
    expected = {
        Task.MULTI_LABEL: torch.sigmoid(scaled),
        Task.SINGLE_LABEL: torch.softmax(scaled, 0),
        Task.REGRESSION: logits,
    }[task]
    np.testing.assert_allclose(expected.numpy(), told.golden.probabilities, atol=1e-4)
    assert b"/services/" not in data
    assert b".py" not in data
    assert all(o.domain in ("", "ai.onnx") for o in model.opset_import)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_published_model_is_a_beginning(name: str) -> None:
    old = network.build(name, 3)
    old(windows(4))
    data = export(old, Task.MULTI_LABEL, 1.0, manifest(name))
    same = network.build(name, 3)
    assert network.start_from(same, name, ("A", "B", "C"), data)
    x = windows(2)
    with torch.no_grad():
        torch.testing.assert_close(same.eval()(x)[0], old.eval()(x)[0])
    other = network.build(name, 2)
    assert not network.start_from(other, name, ("A", "D"), data)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(x)[1], old(x)[1])
    with pytest.raises(ContractViolation, match="do not fit"):
        network.start_from(network.build(name, 3), "another", ("A", "B", "C"), data)


def test_the_synthetic_window_is_an_ecg_of_nobody() -> None:
    x = synthetic_window()
    i, ii, iii, avr, avl, avf = x[:6]
    np.testing.assert_allclose(iii, ii - i, atol=1e-6)
    np.testing.assert_allclose(avr + avl + avf, 0, atol=1e-5)
    np.testing.assert_array_equal(x, synthetic_window())
    assert 0.3 < np.abs(x).max() < 5
