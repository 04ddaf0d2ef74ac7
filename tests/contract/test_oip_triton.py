"""The Open Inference Protocol, asked by the stock client in a process of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai import __version__
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import ContractViolation
from exchangeai.facts import ModelFact
from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.model_file import OUTPUTS
from exchangeai.rpc import invoke
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.testing.models import synthetic_window, tiny_model
from services.inference.sessions import Session
from tests.contract.inference_process import Running, running_inference

MODEL = "stock"


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_inference(bus_config, store_config) as running:
        yield running


@pytest.fixture(scope="module")
def stub(service: Running) -> Any:
    return GRPCInferenceServiceStub(service.channel)


@pytest.fixture(scope="module")
def model(service: Running, stub: Any) -> ModelFact:
    fact = service.publish(tiny_model(name=MODEL), MODEL)
    until = time.monotonic() + 10
    while not invoke(stub.ModelReady, pb.ModelReadyRequest(name=MODEL)).ready:
        assert time.monotonic() < until
        time.sleep(0.02)
    return fact


@pytest.fixture(scope="module")
def values() -> npt.NDArray[np.float32]:
    return np.stack([synthetic_window(1), np.zeros((12, 5000), np.float32), synthetic_window(2)])


@pytest.fixture(scope="module")
def told(
    service: Running,
    model: ModelFact,
    values: npt.NDArray[np.float32],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("triton") / "input.npy"
    np.save(path, values)
    script = Path(__file__).with_name("triton_calls.py")
    done = subprocess.run(
        [sys.executable, str(script), service.address, MODEL, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_readiness_and_metadata(told: dict[str, Any]) -> None:
    assert told["live"]
    assert told["ready"]
    assert told["model_ready"]
    assert told["version_ready"]
    assert not told["other_ready"]
    assert not told["other_version_ready"]
    assert told["server"] == ["exchangeai", __version__]
    assert told["metadata"] == {
        "name": MODEL,
        "versions": ["1"],
        "inputs": [["ecg", "FP32", [-1, 12, 5000]]],
        "outputs": [
            ["logits", "FP32", [-1, 5]],
            ["probabilities", "FP32", [-1, 5]],
            ["embedding", "FP32", [-1, 8]],
            ["saliency", "FP32", [-1, 5, 100]],
        ],
    }


def test_an_answer_is_what_the_model_says_in_process(
    told: dict[str, Any], values: npt.NDArray[np.float32]
) -> None:
    expected = Session(tiny_model(name=MODEL), threads=1).run(values)["probabilities"].tolist()
    assert told["answer"]["probabilities"] == expected
    assert told["without_deadline"] == expected
    assert told["answer"]["outputs"] == {
        "logits": [3, 5],
        "probabilities": [3, 5],
        "embedding": [3, 8],
        "saliency": [3, 5, 100],
    }
    assert told["subset"] == ["probabilities", "logits"]


def test_an_answer_says_where_it_comes_from(
    told: dict[str, Any], model: ModelFact, values: npt.NDArray[np.float32]
) -> None:
    answer = told["answer"]
    assert answer["id"] == "my-id"
    assert answer["model"] == [MODEL, "1"]
    parameters = answer["parameters"]
    assert parameters["model_digest"] == model.digest
    assert parameters["input_digest"] == hashlib.sha256(values.tobytes()).hexdigest()
    assert parameters["code_version"] == __version__
    assert parameters["preprocessing_version"] == PREPROCESSING_VERSION
    assert parameters["quality"] == "analysable,not_analysable,analysable"
    assert parameters["quality_reasons"].startswith("1: only 0 of 12 leads")
    assert "not a medical device" in parameters["notice"]
    assert told["not_assessed"] == "not_assessed"


@pytest.mark.parametrize(
    ("case", "status", "says"),
    [
        ("model", "NOT_FOUND", "nobody"),
        ("metadata", "NOT_FOUND", "nobody"),
        ("version", "NOT_FOUND", "77"),
        ("version_word", "INVALID_ARGUMENT", "version"),
        ("input_name", "INVALID_ARGUMENT", "'ecg'"),
        ("shape", "INVALID_ARGUMENT", "[3, 12, 1000]"),
        ("rank", "INVALID_ARGUMENT", "[12, 5000]"),
        ("dtype", "INVALID_ARGUMENT", "FP64"),
        ("output", "INVALID_ARGUMENT", "attention"),
        ("nan", "INVALID_ARGUMENT", "NaN"),
        ("load", "NOT_FOUND", "nobody"),
        ("unload", "NOT_FOUND", "nobody"),
    ],
)
def test_the_stock_client_gets_clear_errors(told: dict[str, Any], case: str, status: str, says: str) -> None:
    got_status, message = told["errors"][case]
    assert got_status == f"StatusCode.{status}"
    assert says in message


def test_a_stream_answers_in_order_and_an_error_ends_its_request_only(told: dict[str, Any]) -> None:
    stream = told["stream"]
    assert [x[2] for i, x in enumerate(stream) if i != 7] == [told["logits"]] * 19
    assert [x[1] for i, x in enumerate(stream) if i != 7] == [f"s{i}" for i in range(20) if i != 7]
    assert "nobody" in stream[7][0]


def test_the_repository_lists_unloads_and_loads(told: dict[str, Any]) -> None:
    first, (gone, ready, refused), again, ready_again = told["repository"]
    assert first == again == [[MODEL, "1", "READY", ""]]
    assert gone == [[MODEL, "1", "UNAVAILABLE", "unloaded on request; load it again"]]
    assert (ready, ready_again) == (False, True)
    assert "unloaded" in refused[1]


def test_the_asynchronous_client_and_microvolts_give_the_same(told: dict[str, Any]) -> None:
    assert told["aio"] == [told["logits"]] * 8
    assert told["int16"] == told["rounded"]


def _request(values: npt.NDArray[np.float32], **more: Any) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="ecg", datatype="FP32", shape=values.shape)
    return pb.ModelInferRequest(model_name=MODEL, inputs=[tensor], **more)


def test_typed_contents_give_what_raw_contents_give(
    stub: Any, model: ModelFact, values: npt.NDArray[np.float32]
) -> None:
    raw = invoke(stub.ModelInfer, _request(values, raw_input_contents=[values.tobytes()]))
    typed = _request(values)
    typed.inputs[0].contents.fp32_contents.extend(values.ravel().tolist())
    answer = invoke(stub.ModelInfer, typed)
    assert list(answer.raw_output_contents) == list(raw.raw_output_contents)
    assert [x.name for x in answer.outputs] == list(OUTPUTS)
    assert answer.parameters["input_digest"] == raw.parameters["input_digest"]


def test_contents_missing_doubled_or_short_are_refused(
    stub: Any, model: ModelFact, values: npt.NDArray[np.float32]
) -> None:
    doubled = _request(values, raw_input_contents=[values.tobytes()])
    doubled.inputs[0].contents.fp32_contents.extend([0.0])
    short = _request(values)
    short.inputs[0].contents.fp32_contents.extend([0.0] * 7)
    requests = {
        "0 raw tensors": _request(values),
        "1 raw tensors and with typed": doubled,
        "2 raw tensors": _request(values, raw_input_contents=[values.tobytes(), b""]),
        "7 values; expected 180000": short,
        "4 bytes; expected 720000": _request(values, raw_input_contents=[bytes(4)]),
    }
    for says, request in requests.items():
        with pytest.raises(ContractViolation, match=says):
            invoke(stub.ModelInfer, request)
