"""What is made of finished runs, their mean and a form in eight bits: calibrated anew, vetted like any."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from exchangeai.dataset import decode_manifest, open_part
from exchangeai.facts import Task, TrainingOptions
from exchangeai.model_file import (
    CARD_FILE,
    LOSS_KEY,
    MEMBERS_KEY,
    OUTPUTS,
    Manifest,
    ModelClass,
    Scope,
    TrainingData,
    model_digest,
    parse_model,
    read_manifest,
)
from exchangeai.novelty import Scorer
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.inference.vetting import vet
from services.trainer import ensemble, int8_form, network, quantise, train
from services.trainer.export import export, session, synthetic_window
from services.trainer.job import INT8_FOLDER, MODEL_FILE, Job, read_job, read_result, write_job
from services.trainer.judge_anew import finished
from services.trainer.tensors import seed_all

DATASET_ID = "ad" * 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two finished runs that differ by their seed."""
    data = tmp_path_factory.mktemp("data")
    write_dataset(data, DATASET_ID, counts=(24, 20, 12))
    folders: list[Path] = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp(f"run{seed}")
        options = TrainingOptions(max_epochs=1, batch_size=8, seed=seed)
        write_job(
            folder,
            Job(
                run_id=f"run{seed}",
                model_name="tiny",
                dataset_id=DATASET_ID,
                data_folder=data,
                architecture="tiny_cnn",
                task=Task.MULTI_LABEL,
                classes=CLASSES,
                options=options,
            ),
        )
        train.run(folder, lambda: False, None)
        folders.append(folder)
    return folders


def test_the_joined_model_gives_the_mean_and_passes_the_gate(runs: list[Path], tmp_path: Path) -> None:
    assert ensemble.main([*map(str, runs), "--out", str(tmp_path / "joined")]) == 0
    data = (tmp_path / "joined" / MODEL_FILE).read_bytes()
    manifest = vet(data)
    members = [(folder / MODEL_FILE).read_bytes() for folder in runs]
    assert manifest.architecture == "2 x tiny_cnn"
    assert manifest.extra[MEMBERS_KEY].split() == [model_digest(x) for x in members]

    folder = read_job(runs[0]).data_folder
    described = decode_manifest((folder / "manifest.json").read_bytes())
    windows = open_part(folder, described, "test").millivolts(slice(0, 5))
    own = dict(zip(OUTPUTS, session(data)(windows), strict=True))
    theirs = [dict(zip(OUTPUTS, session(x)(windows), strict=True)) for x in members]
    for name in ("logits", "saliency"):
        expected = np.mean([x[name] for x in theirs], axis=0)
        np.testing.assert_allclose(own[name], expected, atol=1e-5)
    np.testing.assert_allclose(own["embedding"], np.concatenate([x["embedding"] for x in theirs], axis=1))
    expected = 1 / (1 + np.exp(-own["logits"] / manifest.temperature))
    np.testing.assert_allclose(own["probabilities"], expected, atol=1e-6)

    result = read_result(tmp_path / "joined")
    assert result is not None
    assert result.digest == model_digest(data)
    assert manifest.test == result.test
    assert f"digest: sha256:{result.digest}" in (tmp_path / "joined" / CARD_FILE).read_text(encoding="utf-8")


def test_runs_and_what_is_joined_of_them_carry_their_contract_of_use(
    runs: list[Path], tmp_path: Path
) -> None:
    assert ensemble.main([*map(str, runs), "--out", str(tmp_path)]) == 0
    for folder in (*runs, tmp_path):
        data = (folder / MODEL_FILE).read_bytes()
        manifest = read_manifest(parse_model(data))
        assert manifest.scope == Scope(max_missing_leads=3, min_duration_s=2.5)  # nobody's age is known
        detector = manifest.novelty
        assert detector is not None
        assert (detector.fitted_windows, detector.validated_windows) == (24, 20)
        found = session(data)(np.stack([synthetic_window(seed) for seed in range(2)]))
        embeddings = dict(zip(OUTPUTS, found, strict=True))["embedding"]
        assert embeddings.shape == (2, detector.features)
        assert Scorer(detector).judge(Scorer(detector).score(embeddings[0])).limit == detector.limit
        assert "refuses what it has not learned from" in (folder / CARD_FILE).read_text(encoding="utf-8")


def test_joining_again_gives_the_same_bytes(runs: list[Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert ensemble.main([*map(str, runs), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "one" / MODEL_FILE).read_bytes() == (tmp_path / "two" / MODEL_FILE).read_bytes()


def test_runs_that_do_not_fit_are_refused(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in runs[1].iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    write_job(other, replace(read_job(runs[1]), dataset_id="ae" * 32))
    assert ensemble.main([str(runs[0]), str(other), "--out", str(tmp_path / "out")]) == 2
    assert "different data" in capsys.readouterr().err
    assert ensemble.main([str(runs[0]), str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "not finished" in capsys.readouterr().err


def test_a_run_in_eight_bits_says_what_it_loses_and_passes_the_gate(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantise.main([str(runs[0]), "--out", str(tmp_path / "small"), "--most-loss", "1"]) == 0
    said = capsys.readouterr().out
    data, whole = ((x / MODEL_FILE).read_bytes() for x in (tmp_path / "small", runs[0]))
    manifest = vet(data)
    assert manifest.architecture == "tiny_cnn in int8"
    assert manifest.parent_digest == model_digest(whole)
    assert manifest.extra[LOSS_KEY] in said
    assert manifest.extra[LOSS_KEY] in (tmp_path / "small" / CARD_FILE).read_text(encoding="utf-8")
    kinds = [node.op_type for node in parse_model(data).graph.node]
    assert kinds.count("QuantizeLinear") > 0
    windows = np.stack([synthetic_window(seed) for seed in range(4)])
    small, large = (session(x)(windows)[1] for x in (data, whole))
    assert 0 < np.abs(small - large).max() < 0.05

    assert quantise.main([str(runs[0]), "--out", str(tmp_path / "no"), "--most-loss", "-1"]) == 2
    assert "more than -1" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_what_was_joined_can_be_quantised(runs: list[Path], tmp_path: Path) -> None:
    assert ensemble.main([*map(str, runs), "--out", str(tmp_path / "joined")]) == 0
    made = tmp_path / "small"
    assert quantise.main([str(tmp_path / "joined"), "--out", str(made), "--most-loss", "1"]) == 0
    assert vet((made / MODEL_FILE).read_bytes()).architecture == "2 x tiny_cnn in int8"


def test_a_run_whose_form_in_eight_bits_loses_too_much_says_so(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, result = finished(runs[0]), read_result(runs[0])
    assert result is not None
    numbers = replace(run.job, task=Task.REGRESSION)
    told = int8_form.make(runs[0], numbers, run.data_manifest, result)
    assert (told.digest, told.model_name) == ("", "")
    assert "numbers is not quantised" in told.reason
    monkeypatch.setattr(int8_form, "quantise", partial(quantise.quantise, most_loss=-1))
    told = int8_form.make(runs[0], run.job, run.data_manifest, result)
    assert told.digest == ""
    assert "more than -1" in told.reason
    assert not (runs[0] / INT8_FOLDER).exists()


@pytest.mark.endurance
@pytest.mark.parametrize(
    "architecture", {file: key for key, (file, _) in reversed(network.architecture_keys().items())}.values()
)
def test_every_architecture_can_be_quantised(runs: list[Path], architecture: str) -> None:
    seed_all(0)
    net = network.build(architecture, len(CLASSES))
    manifest = Manifest(
        name="m",
        architecture=architecture,
        task=Task.MULTI_LABEL,
        classes=tuple(ModelClass(name=x, threshold=0.5) for x in CLASSES),
        training=TrainingData(dataset_id=DATASET_ID, recordings=1, patients=1, positives=(1, 1)),
    )
    whole = export(net, manifest)
    run = finished(runs[0])
    part = open_part(run.job.data_folder, run.data_manifest, "train")
    quantised = quantise.quantised(parse_model(whole), quantise.calibration(part))
    small = ensemble.joined([quantised], Task.MULTI_LABEL)
    kinds = [node.op_type for node in small.graph.node]
    assert kinds.count("QuantizeLinear") > 0
    windows = part.millivolts(slice(0, 4))
    ours, theirs = (session(x)(windows) for x in (ensemble.tempered(small, 1.0), whole))
    for name, a, b in zip(OUTPUTS, ours, theirs, strict=True):
        assert a.shape == b.shape, name
        assert np.isfinite(a).all(), name
    assert np.abs(ours[1] - theirs[1]).max() < 0.1
