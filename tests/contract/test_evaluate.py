"""`python -m services.trainer.evaluate`: our own model file and foreign ones, on a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig, to_env
from exchangeai.dataset import decode_manifest, open_part
from exchangeai.facts import ModelFact, ModelState, Task
from exchangeai.leads import STANDARD_12
from exchangeai.metrics import TestReport
from exchangeai.model_file import Manifest, ModelClass, TrainingData, model_digest, object_key
from exchangeai.store import ObjectStore
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer import network
from services.trainer.evaluate import main
from services.trainer.evaluation import onnx_file
from services.trainer.export import export
from tests.contract.trainer_calls import add_dataset

DATASET_ID = "ab" * 32
TASK = Task.MULTI_LABEL
NEVER = "FLAT"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, DATASET_ID, counts=(4, 40, 60))
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly initialised network that knows the data set's classes in another order, and one more."""
    torch.manual_seed(1)
    names = (CLASSES[1], NEVER, CLASSES[0])
    training = TrainingData(dataset_id=DATASET_ID, recordings=4, patients=2, positives=(1, 1, 1))
    described = Manifest(
        name="fresh",
        architecture="tiny_cnn",
        task=TASK,
        classes=tuple(ModelClass(name=n, threshold=0.5) for n in names),
        temperature=2.0,
        training=training,
    )
    path = tmp_path_factory.mktemp("own") / "model.onnx"
    path.write_bytes(export(network.build("tiny_cnn", len(names)), described))
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes [B, 250, 2] microvolts at 100 Hz of the leads V1 and II; TALL is what is loud in II."""
    weights = np.array([[0.0, 0.0], [0.02, 0.0]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["x"], ["a"]),
            helper.make_node("ReduceMean", ["a", "axes"], ["m"], keepdims=0),
            helper.make_node("Gemm", ["m", "w", "b"], ["scores"]),
        ],
        "loud",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 250, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array([-2.0, 0.0], np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    folder = tmp_path_factory.mktemp("foreign")
    onnx.save(model, folder / "loud.onnx")
    (folder / "loud.toml").write_text(
        'name = "loud"\ntask = "multi_label"\nclasses = ["TALL", "FAST"]\nsampling_rate_hz = 100\n'
        'samples = 250\nleads = ["V1", "II"]\ntime_first = true\nmillivolts = 0.001\n'
    )
    return folder


def told(folder: Path) -> TestReport:
    return msgspec.json.decode((folder / "report.json").read_bytes(), type=TestReport)


def test_own_model_is_judged_on_the_classes_it_shares_with_the_data_set(
    data: Path, own: Path, tmp_path: Path
) -> None:
    assert main(["--model", str(own), "--dataset", str(data), "--out", str(tmp_path)]) == 0
    report = told(tmp_path)
    assert {c.name for c in report.classes} == set(CLASSES)
    assert (report.recordings, report.patients, report.part) == (60, 30, "test")
    fast = next(c for c in report.classes if c.name == "FAST")
    part = open_part(data, decode_manifest((data / "manifest.json").read_bytes()), "test")
    logits = onnx_file.own(own.read_bytes(), 1)(part.millivolts(slice(None)))
    assert fast.true_positives + fast.false_positives == int((logits[:, 0] >= 0).sum())
    assert fast.positives == int(part.labels[:, CLASSES.index("FAST")].sum())
    page = (tmp_path / "report.md").read_text()
    assert page.startswith("# fresh on tiny")
    assert "![reliability](reliability.svg)" in page
    assert (tmp_path / "reliability.svg").is_file()


def test_foreign_model_is_brought_its_own_rate_leads_unit_and_layout(
    data: Path, foreign: Path, tmp_path: Path
) -> None:
    arguments = ["--model", str(foreign / "loud.onnx"), "--foreign", str(foreign / "loud.toml")]
    assert main([*arguments, "--dataset", str(data), "--out", str(tmp_path)]) == 0
    tall = next(c for c in told(tmp_path).classes if c.name == "TALL")
    assert tall.auroc.value == pytest.approx(1.0)
    assert (tall.f1.value or 0) > 0.9  # its threshold came from the validation part

    said = onnx_file.read_foreign((foreign / "loud.toml").read_text())
    run = onnx_file.foreign((foreign / "loud.onnx").read_bytes(), said, 1)
    window = np.zeros((1, 12, 5000), np.float32)
    window[:, STANDARD_12.index("II")] = 0.25
    logits = run(window)
    assert logits[0, 0] == pytest.approx(0.02 * 250 - 2, abs=0.02)
    assert logits[0, 1] == pytest.approx(0, abs=1e-6)


async def test_models_and_data_sets_of_a_platform_are_found_and_the_look_is_counted(
    own: Path,
    bus: Bus,
    store: ObjectStore,
    bus_config: BusConfig,
    store_config: StoreConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        **to_env(bus_config, "EXCHANGEAI_BUS_"),
        **to_env(store_config, "EXCHANGEAI_STORE_"),
    }.items():
        monkeypatch.setenv(name, value)
    dataset_id = await add_dataset(bus, store, tmp_path / "made")
    digest = model_digest(own.read_bytes())
    await store.put(object_key(digest), own.read_bytes())
    for version, content in ((1, "00" * 32), (2, digest)):
        fact = ModelFact(
            name="fresh", version=version, digest=content, state=ModelState.APPROVED, origin="here"
        )
        await bus.facts(ModelFact).put(f"fresh.{version}", fact)

    async def run(model: str, dataset: str) -> int:
        arguments = ["--model", model, "--dataset", dataset, "--out", str(tmp_path / "out")]
        return await asyncio.to_thread(main, arguments)

    assert await run("fresh", dataset_id) == 0
    assert await run("fresh:2", dataset_id) == 0
    assert "so far: 1" in capsys.readouterr().out
    assert told(tmp_path / "out").recordings == 16
    for model, dataset, reason in (
        ("fresh:3", dataset_id, "no model 'fresh:3'"),
        ("fresh", "ef" * 32, "no data set"),
    ):
        assert await run(model, dataset) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('classes = ["TALL", "FAST"]', 'classes = ["A", "B"]'), "none is shared by name"),
        (("samples = 250", "samples = 200"), "does not take"),
        (("samples = 250", "samples = 2500"), "windows have 10 s"),
        (('"V1", "II"', '"V1", "X"'), "the leads X"),
        (("samples = 250", "length = 250"), "malformed"),
        (('classes = ["TALL", "FAST"]', 'classes = ["TALL"]'), "the model gives"),
        (("millivolts = 0.001", 'output = "other"'), "no output 'other'"),
        (('"multi_label"', '"single_label"'), "the data set is"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    change: tuple[str, str],
    reason: str,
    data: Path,
    foreign: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (foreign / "loud.toml").read_text()
    assert change[0] in text
    (tmp_path / "changed.toml").write_text(text.replace(*change))
    arguments = ["--model", str(foreign / "loud.onnx"), "--foreign", str(tmp_path / "changed.toml")]
    assert main([*arguments, "--dataset", str(data), "--out", str(tmp_path / "out")]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_model_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    arguments = ["--model", str(tmp_path / "x.onnx"), "--dataset", str(data), "--out", str(tmp_path / "o")]
    assert main(arguments) == 2
    assert "not an ONNX model" in capsys.readouterr().err
