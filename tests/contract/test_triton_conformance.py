"""The stock clients' whole range: batches, concurrency, streams, typed contents, what is not offered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.client import connect
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.testing.models import synthetic_window, tiny_model
from tests.contract.inference_process import running_inference

MODEL = "stock"


@pytest.fixture(scope="module")
def told(
    bus_config: BusConfig, store_config: StoreConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("triton") / "input.npy"
    np.save(path, np.stack([synthetic_window(i) for i in range(3)]))
    with running_inference(bus_config, store_config) as running:
        running.publish(tiny_model(name=MODEL), MODEL)
        with connect(running.address) as client:
            client.wait_ready(model=MODEL)
        script = Path(__file__).with_name("triton_conformance.py")
        done = subprocess.run(
            [sys.executable, str(script), running.address, MODEL, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_row_is_the_same_in_every_batch(told: dict[str, Any]) -> None:
    first = told["each"][0]
    assert told["batches"] == {str(n): [n, first] for n in (1, 2, 7, 128)}
    assert told["rows"] == [x[0] for x in told["each"]] == told["compressed"] == told["sequence"]


def test_callers_at_once_get_their_own_answers(told: dict[str, Any]) -> None:
    assert told["callbacks"] == [told["each"][i % 3] for i in range(12)]
    assert told["aio"]["unary"] == [[f"a{i}", told["each"][i % 3]] for i in range(64)]
    assert told["aio"]["ready"] == [True, True]
    assert told["aio"]["index"] == 1


def test_streams_of_both_clients_come_in_order(told: dict[str, Any]) -> None:
    assert told["aio"]["stream"] == [[f"s{i}", told["each"][i % 3], None] for i in range(10)]
    rounded = told["each_rounded"]
    assert told["stream_of_microvolts"] == [[f"m{i}", rounded[i % 3], None] for i in range(9)]


def test_typed_contents_of_the_stock_messages_are_taken(told: dict[str, Any]) -> None:
    (wide_id, wide), (narrow_id, narrow) = told["typed"]
    assert (wide_id, narrow_id) == ("typed", "typed")
    assert wide == told["rows"]
    assert narrow == [x[0] for x in told["each_rounded"]]


@pytest.mark.parametrize(
    ("case", "status", "says"),
    [
        ("ModelConfig", "UNIMPLEMENTED", "ModelMetadata"),
        ("ModelStatistics", "UNIMPLEMENTED", "/metrics"),
        ("LogSettings", "UNIMPLEMENTED", "environment"),
        ("TraceSetting", "UNIMPLEMENTED", "environment"),
        ("SystemSharedMemoryStatus", "UNIMPLEMENTED", "shared memory"),
        ("CudaSharedMemoryStatus", "UNIMPLEMENTED", "shared memory"),
        ("too_many", "INVALID_ARGUMENT", "129 windows"),
        ("parameter", "INVALID_ARGUMENT", "assess_quality"),
        ("twice", "INVALID_ARGUMENT", "exactly one"),
        ("deadline", "DEADLINE_EXCEEDED", ""),
    ],
)
def test_what_is_not_offered_or_wrong_is_said(
    told: dict[str, Any], case: str, status: str, says: str
) -> None:
    got_status, message = told["errors"][case]
    assert status in got_status
    assert says in message
