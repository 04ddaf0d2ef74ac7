"""Training by command on the running platform: the page's digest, a run left alone, a leaderboard."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from exchangeai.facts import RunState
from exchangeai.rpc.training import Training, open_training
from exchangeai.rpc.training_options import stated_options
from services.local import Platform
from services.ui.gateway import Addresses, Gateway
from tests.contract.service_thread import behind
from tests.contract.trainer_calls import add_dataset

pytestmark = pytest.mark.timeout(300)

DIGEST = re.compile(r"^digest  ([0-9a-f]{64})$", re.MULTILINE)


@pytest.fixture(scope="module")
def dataset_id(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    assert platform.bus is not None
    assert platform.store is not None
    folder: Path = tmp_path_factory.mktemp("made") / "set"
    return behind(platform.bus, platform.store, partial(add_dataset, folder=folder))


@pytest.fixture
def training(platform: Platform) -> Iterator[Training]:
    with open_training(platform.addresses["trainer"]) as opened:
        yield opened


def command(platform: Platform, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "exchangeai", *arguments, "--to", platform.addresses["trainer"]]


def run(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(platform, *arguments), capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.slow
def test_the_command_and_the_page_make_the_same_model(
    platform: Platform, dataset_id: str, training: Training
) -> None:
    stated = ["--preset", "quick", "--seed", "4", "--max-epochs", "12", "--batch-size", "8", "--int8"]
    ended = run(platform, "finetune", dataset_id, "--architecture", "tiny_cnn", "--name", "same", *stated)
    assert ended.returncode == 0, ended.stderr
    assert "100 %" in ended.stderr
    found = DIGEST.search(ended.stdout)
    assert found is not None, ended.stdout
    assert re.search(r"^test +macro-AUROC \d\.\d{3} \(.*\), 16 recordings of 8 patients$", ended.stdout, re.M)
    assert "model   same:1" in ended.stdout
    assert re.search(r"^int8    same-int8:1, loses -?0\.\d{4} \(.*\) of macro-AUROC, ", ended.stdout, re.M)
    assert "not a medical device" in ended.stdout

    quick = training.presets(dataset_id=dataset_id, architecture="tiny_cnn", from_base=False)["quick"]
    gateway = Gateway(Addresses(**{x: platform.addresses[x] for x in Addresses.__annotations__}))
    try:
        made = gateway.trainer.start_run(
            dataset_id=dataset_id,
            architecture="tiny_cnn",
            model_name="same",
            base_model="",
            request_key="",
            # As a page has them: texts of its fields, empty where the preset's is meant.
            options=stated_options(
                {"seed": "4", "max_epochs": 12, "batch_size": 8, "patience": "", "int8": True}, quick
            ),
        )
    finally:
        gateway.close()
    *_, last = training.watch_run(made.run_id)
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.model_digest == found[1]
    assert last.model_version == 1
    assert last.int8_form is not None
    assert last.int8_form.model_version == 1


@pytest.mark.slow
def test_a_run_that_is_left_goes_on_until_it_is_cancelled(
    platform: Platform, dataset_id: str, training: Training
) -> None:
    endless = ["--max-epochs", "10000", "--patience", "1000", "--batch-size", "8"]
    arguments = ["finetune", dataset_id, "--architecture", "tiny_cnn", "--name", "endless", *endless]
    with subprocess.Popen(command(platform, *arguments), stderr=subprocess.PIPE, text=True) as watched:
        assert watched.stderr is not None
        for line in watched.stderr:
            if "Training" in line:
                break
        watched.send_signal(signal.SIGINT)
        said = watched.stderr.read()
        assert watched.wait(10) == 130
    advice = re.search(r"exchangeai runs cancel ([0-9a-f]{32}) --to \S+", said)
    assert advice is not None, said
    listed = {x.run_id: x for x in training.runs()}
    assert not listed[advice[1]].state.ended
    assert advice[1] in run(platform, "runs", "list").stdout
    assert "rank 0: Fetching the data set" in run(platform, "runs", "log", advice[1]).stdout
    assert run(platform, "runs", "cancel", advice[1]).returncode == 0
    followed = run(platform, "runs", "follow", advice[1])
    assert followed.returncode == 1
    assert "is cancelled" in followed.stderr


@pytest.mark.slow
def test_a_comparison_ends_in_a_leaderboard(platform: Platform, dataset_id: str) -> None:
    asked = ["--architectures", "tiny_cnn", "--seeds", "3", "--max-epochs", "1", "--batch-size", "8"]
    ended = run(platform, "compare", dataset_id, "--name", "board", *asked)
    assert ended.returncode == 0, ended.stderr
    assert "0 of 1 runs have ended" in ended.stderr
    assert "The comparison is succeeded" in ended.stderr
    head, row = ended.stdout.splitlines()[2:4]
    assert head.split()[:2] == ["architecture", "validation"]
    assert row.split()[:2] == ["1", "tiny_cnn"]
    assert "=" in row


def test_what_cannot_be_done_is_said_in_a_line(platform: Platform, dataset_id: str) -> None:
    for arguments, said in (
        (("finetune", "0" * 64, "--architecture", "tiny_cnn", "--name", "x"), "data set"),
        (("finetune", dataset_id, "--architecture", "perceptron", "--name", "x"), "tiny_cnn"),
        (("compare", dataset_id, "--architectures", "perceptron", "--name", "x"), "tiny_cnn"),
        (("runs", "cancel", "absent"), "no such run"),
        (("runs", "follow"), "say which run"),
    ):
        ended = run(platform, *arguments)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"exchangeai {arguments[0]}: ")
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1
