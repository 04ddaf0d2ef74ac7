"""The Open Inference Protocol over HTTP: plain requests, the stock client, and what is wrong."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai import __version__
from exchangeai.client import RawOutputs
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.ports import ReservedPort
from exchangeai.testing.models import synthetic_window, tiny_model
from tests.contract.inference_process import publish_model
from tests.contract.raw_http2 import connected, received
from tests.contract.served_inference import served_inference

MODEL = "over-http"
INFER = f"/v2/models/{MODEL}/infer"
LENGTH = "Inference-Header-Content-Length"
VALUES = np.stack([synthetic_window(1), synthetic_window(2)])


@pytest.fixture(scope="module")
def served(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[tuple[str, RawOutputs]]:
    """Address of the HTTP port, and what gRPC answers."""
    publish_model(bus_config, store_config, tiny_model(name=MODEL), MODEL)
    port = ReservedPort()
    with (
        served_inference(bus_config, store_config, REST_PORT=str(port.number)) as running,
        running.client() as client,
    ):
        client.wait_ready(model=MODEL)
        yield f"127.0.0.1:{port.number}", client.infer(VALUES, MODEL)


@pytest.fixture(scope="module")
def address(served: tuple[str, RawOutputs]) -> str:
    return served[0]


def _call(
    address: str, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _tensor(values: Any = VALUES, **more: Any) -> dict[str, Any]:
    return {"name": "ecg", "shape": list(values.shape), "datatype": "FP32"} | more


def test_json_in_and_out(served: tuple[str, RawOutputs]) -> None:
    address, expected = served
    for data in (VALUES.tolist(), VALUES.ravel().tolist()):
        status, headers, body = _call(
            address, "POST", INFER, {"id": "mine", "inputs": [_tensor(data=data)]}, {"x-request-id": "r1"}
        )
        assert (status, headers["x-request-id"]) == (200, "r1")
        answer = json.loads(body)
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("mine", MODEL, "1")
        assert answer["parameters"] == dict(expected.parameters)
        for output in answer["outputs"]:
            got = np.array(output["data"], np.float32).reshape(output["shape"])
            np.testing.assert_array_equal(got, expected[output["name"]])


def test_binary_in_and_out(served: tuple[str, RawOutputs]) -> None:
    address, expected = served
    header = json.dumps(
        {
            "inputs": [_tensor(parameters={"binary_data_size": VALUES.nbytes})],
            "outputs": [
                {"name": "logits", "parameters": {"binary_data": True}},
                {"name": "probabilities", "parameters": {"binary_data": False}},
            ],
            "parameters": {"assess_quality": False},
        }
    ).encode()
    status, headers, body = _call(
        address, "POST", INFER, header + VALUES.tobytes(), {LENGTH: str(len(header))}
    )
    assert status == 200
    size = int(headers[LENGTH.lower()])
    answer = json.loads(body[:size])
    logits, probabilities = answer["outputs"]
    assert logits["parameters"] == {"binary_data_size": len(body) - size}
    got = np.frombuffer(body[size:], "<f4").reshape(logits["shape"])
    np.testing.assert_array_equal(got, expected["logits"])
    assert probabilities["data"] == expected["probabilities"].ravel().tolist()
    assert answer["parameters"]["quality"] == "not_assessed"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "says"),
    [
        ("POST", INFER, b"{", {}, 400, "JSON"),
        ("POST", INFER, b"[" * 100_000, {}, 400, "JSON"),
        ("POST", INFER, {}, {}, 400, "inputs"),
        ("POST", INFER, {"inputs": []}, {}, 400, "exactly one"),
        ("POST", INFER, {"inputs": [_tensor()]}, {}, 400, "data"),
        ("POST", INFER, {"inputs": [_tensor(data=[1, "a"])]}, {}, 400, "numbers"),
        ("POST", INFER, {"inputs": [_tensor(data=[[1], [1, 2]])]}, {}, 400, "numbers"),
        ("POST", INFER, {"inputs": [_tensor(data=[1.0])]}, {}, 400, "expected 480000"),
        ("POST", INFER, {"inputs": [_tensor(data=[1e300] * 120_000)]}, {}, 400, "infinite"),
        ("POST", INFER, {"inputs": [_tensor(data=[1] * 120_000, datatype="FP64")]}, {}, 400, "FP32"),
        ("POST", INFER, {"inputs": [_tensor(data=[0.5] * 120_000, datatype="INT16")]}, {}, 400, "whole"),
        (
            "POST",
            INFER,
            {"inputs": [_tensor(parameters={"binary_data_size": 9})]},
            {},
            400,
            "binary_data_size",
        ),
        ("POST", INFER, {"inputs": [_tensor(parameters={"binary_data_size": -1})]}, {}, 400, "binary_data"),
        ("POST", INFER, b"{}", {LENGTH: "999"}, 400, "length"),
        ("POST", INFER, b"{}", {LENGTH: "-1"}, 400, "length"),
        ("POST", INFER, {"inputs": [], "parameters": {"a": [1]}}, {}, 400, "parameter 'a'"),
        ("POST", INFER, {"inputs": [_tensor(data=[1]) | {"shape": [1 << 70]}]}, {}, 400, "no message"),
        ("POST", INFER, {"inputs": [_tensor(data=[1]) | {"name": "\ud800"}]}, {}, 400, "no message"),
        ("POST", "/v2/models/nobody/infer", {"inputs": [_tensor(data=[])]}, {}, 404, "nobody"),
        ("POST", f"/v2/models/{MODEL}/versions/7/infer", {"inputs": [_tensor(data=[])]}, {}, 404, "7"),
        ("GET", "/v2/models/nobody", b"", {}, 404, "nobody"),
        ("GET", "/v2/models/nobody/ready", b"", {}, 400, "false"),
        ("GET", INFER, b"", {}, 405, "Method"),
        ("GET", "/", b"", {}, 404, "/v2"),
        ("POST", INFER, bytes(41 << 20), {}, 400, "larger"),
    ],
)
def test_what_is_wrong_is_said(
    address: str, method: str, path: str, body: Any, headers: dict[str, str], status: int, says: str
) -> None:
    got, _, told = _call(address, method, path, body, headers)
    assert got == status
    assert says in told.decode()
    assert _call(address, "GET", "/v2/health/ready")[0] == 200


def test_a_body_that_is_announced_takes_no_memory_and_noise_ends_its_connection(address: str) -> None:
    announced = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
    with connected(address) as connection:
        connection.sendall(announced)
        with connected(address) as noise:
            noise.sendall(np.random.default_rng(3).bytes(10_000))
            assert b"400" in received(noise, b"400 ")
        assert _call(address, "GET", "/v2/health/live")[0] == 200


def test_the_stock_client(served: tuple[str, RawOutputs], tmp_path: Path) -> None:
    address, expected = served
    path = tmp_path / "input.npy"
    np.save(path, VALUES)
    script = Path(__file__).with_name("triton_http_calls.py")
    done = subprocess.run(
        [sys.executable, str(script), address, MODEL, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    logits = expected["logits"].tolist()
    assert told["binary"] == told["json"] == told["gzip"] == logits
    assert told["asynchronous"] == [logits] * 8
    assert told["int16"] == told["int16_json"]
    assert [told[x] for x in ("live", "ready", "model_ready", "version_ready", "loaded")] == [True] * 5
    assert not told["other_ready"]
    assert told["server"]["version"] == __version__
    assert "binary_tensor_data" in told["server"]["extensions"]
    assert told["metadata"]["inputs"] == [{"name": "ecg", "datatype": "FP32", "shape": [-1, 12, 5000]}]
    assert told["index"] == [{"name": MODEL, "version": "1", "state": "READY", "reason": ""}]
    assert told["response"]["id"] == "my-id"
    assert told["outputs"] == {k: list(v.shape) for k, v in expected.arrays.items()}
    for case, says in (("model", "nobody"), ("shape", "1000"), ("dtype", "FP64"), ("nan", "NaN")):
        assert says in told["errors"][case]
    assert not told["unloaded"][0]
    assert "unloaded" in told["unloaded"][1]
