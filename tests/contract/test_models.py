"""What every architecture keeps: found by walking services/trainer/models."""

from __future__ import annotations

from typing import NamedTuple

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
from services.trainer.layers import at_steps, mean_over_valid

ARCHITECTURES = tuple(network.architecture_keys())
PLAIN = tuple({file: key for key, (file, _) in reversed(network.architecture_keys().items())}.values())[::-1]
"""One of each file: its other sizes differ in numbers only."""


class Exported(NamedTuple):
    """A network and its model file."""

    name: str
    net: network.Network
    data: bytes


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
        temperature=1.7,
        training=TrainingData(dataset_id="0" * 64, recordings=1, patients=1, positives=(1, 1, 1)),
    )


def trained_a_little(name: str) -> network.Network:
    """With running statistics that are not those of a fresh layer."""
    net = network.build(name, 3)
    net(windows(8))
    return net.eval()


@pytest.fixture(scope="module", params=PLAIN)
def exported(request: pytest.FixtureRequest) -> Exported:
    """Exported once for all tests; export itself checks the parity at batch 1, 7 and 64."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = trained_a_little(request.param)
    return Exported(request.param, net, export(net, manifest(request.param, task=Task.MULTI_LABEL)))


def test_the_folder_is_the_list() -> None:
    described = architectures.describe()
    assert tuple(told.name for told in described) == ARCHITECTURES
    assert ARCHITECTURES[0] == PLAIN[0] == "xresnet1d"
    for told in described:
        assert told.summary.endswith(".")
        assert 10_000 < told.parameters < 50_000_000
        assert 0.001 < told.gflops < 50


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shapes_and_stages(name: str) -> None:
    net = network.build(name, 3)
    logits, embedding, features = net(windows(2))
    assert logits.shape == (2, 3)
    assert embedding.shape == (2, features.shape[1]) == (2, net.encoder.width)
    assert features.ndim == 3
    assert net.head.in_features == embedding.shape[1]
    staged = [id(p) for stage in net.stages() for p in stage.parameters()]
    assert sorted(staged) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize("name", PLAIN)
def test_a_window_is_judged_alone_and_contributions_make_its_logits(name: str) -> None:
    net = trained_a_little(name)
    x = windows(4)
    x[3, :, 2100:] = 0
    with torch.no_grad():
        together, _, contributions = net(x)
        alone = torch.cat([net(x[i : i + 1])[0] for i in range(4)])
        valid = torch.ones(4, 1, 5000)
        valid[3, :, 2100:] = 0
        mean = mean_over_valid(contributions, at_steps(valid, contributions.shape[2]))
        summed = mean @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together, summed, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_padding_offset_and_silence_are_harmless(name: str) -> None:
    net = trained_a_little(name)
    short = windows(1)
    short[:, :, 2500:] = 0
    with torch.no_grad():
        assert torch.isfinite(net(torch.zeros(1, 12, 5000))[0]).all()
        if net.crop_samples <= 2500:
            torch.testing.assert_close(net(short)[0], net(short[:, :, :2500])[0], atol=1e-5, rtol=1e-4)
        logits = net(windows(1))[0]
        # not exactly: the filter sees the offset begin and end at the edges of a crop
        torch.testing.assert_close(net(windows(1) + 0.5)[0], logits, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", PLAIN)
def test_it_learns_one_batch_by_heart(name: str) -> None:
    net = network.build(name, 3)
    x, y = windows(6), torch.eye(3).repeat(2, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=network.learning_rate(name, 3e-3))
    losses = [1.0]
    while losses[-1] > 0.1 and len(losses) < 60:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1


@pytest.mark.parametrize("name", PLAIN)
def test_it_runs_in_bfloat16(name: str) -> None:
    net = network.build(name, 3)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(windows(2))[0]
    logits.float().square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", PLAIN)
def test_it_compiles(name: str) -> None:
    net = trained_a_little(name)
    torch.compiler.reset()
    # what inductor makes of the graph is its own business, and takes a minute
    x = windows(1)
    expected = net(x)[0]
    torch.testing.assert_close(torch.compile(net, backend="aot_eager")(x)[0], expected)


def test_a_model_file_is_faithful_and_silent_about_the_machine(exported: Exported) -> None:
    assert_faithful(exported.net, exported.data, Task.MULTI_LABEL)
    assert b"/services/" not in exported.data
    assert b".py" not in exported.data
    assert len(exported.data) < 4.5 * sum(p.numel() for p in exported.net.parameters()) + 2_000_000
    assert all(o.domain in ("", "ai.onnx") for o in parse_model(exported.data).opset_import)


@pytest.mark.parametrize("task", list(Task))
def test_export_is_faithful_in_each_task_and_repeatable(task: Task) -> None:
    net = trained_a_little("tiny_cnn")
    data = export(net, manifest("tiny_cnn", task=task))
    assert data == export(net, manifest("tiny_cnn", task=task))
    assert_faithful(net, data, task)


def assert_faithful(net: network.Network, data: bytes, task: Task) -> None:
    model = parse_model(data)
    onnx.checker.check_model(model)
    told = read_manifest(model)
    assert told.golden is not None
    assert told.temperature == 1.7
    with torch.no_grad():
        logits = net(torch.from_numpy(unpack_window(told.golden.window).copy())[None])[0][0]
    np.testing.assert_allclose(logits.numpy(), told.golden.logits, atol=1e-4)
    scaled = logits / 1.7
    expected = {
        Task.MULTI_LABEL: torch.sigmoid(scaled),
        Task.SINGLE_LABEL: torch.softmax(scaled, 0),
        Task.REGRESSION: logits,
    }[task]
    np.testing.assert_allclose(expected.numpy(), told.golden.probabilities, atol=1e-4)


def test_a_published_model_is_a_beginning(exported: Exported) -> None:
    name, old, data = exported
    same = network.build(name, 3)
    assert network.start_from(same, name, ("A", "B", "C"), data)
    x = windows(2)
    with torch.no_grad():
        torch.testing.assert_close(same.eval()(x)[0], old(x)[0])
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
