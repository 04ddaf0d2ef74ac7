"""The page for callers is true: its Python runs on a server, its JSON fits the protos, its names exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from exchangeai.client import connect
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.inference import grpc_service_pb2
from exchangeai.leads import STANDARD_12
from exchangeai.testing.models import synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2, ingest_service_pb2, prediction_pb2
from tests.contract.inference_process import running_inference

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text("utf-8")
MODEL = "my-model"
ADDRESS = "localhost:50051"


def _snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


PYTHON = _snippets("python")
CALLS = [x for x in _snippets("sh") if x.startswith("grpcurl")]
_POOL = inference_service_pb2.DESCRIPTOR.pool


@pytest.fixture(scope="module")
def address(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[str]:
    with running_inference(bus_config, store_config) as running:
        running.publish(tiny_model(name=MODEL), MODEL)
        with connect(running.address) as client:
            client.wait_ready(model=MODEL)
        yield running.address


@pytest.mark.parametrize("index", range(len(PYTHON)))
def test_each_python_snippet_runs(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    index: int,
) -> None:
    rows = [",".join(f"{x:.3f}" for x in column) for column in synthetic_window(0)[:, :4800].T]
    # A time column says the rate, and the header the unit, so that the shortest call works.
    times = [f"{i / 500:.3f}," for i in range(len(rows))]
    header = ",".join(["time [s]", *(f"{x} [mV]" for x in STANDARD_12)])
    text = "\n".join([header, *(t + r for t, r in zip(times, rows, strict=True))])
    (tmp_path / "ecg.csv").write_text(text)
    assert ADDRESS in PYTHON[index]
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[index].replace(ADDRESS, address), "docs/clients.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_each_grpcurl_call_fits_the_protos(call: str) -> None:
    [(given, service, method)] = re.findall(r"-d '(.*?)'.*? ([a-zA-Z0-9.]+)/([A-Za-z]+)\s*$", call, re.DOTALL)
    described: ServiceDescriptor = _POOL.FindServiceByName(service)
    called: MethodDescriptor = described.methods_by_name[method]
    message: Any = message_factory.GetMessageClass(called.input_type)()
    json_format.ParseDict(json.loads(given), message)


def test_the_other_languages_name_what_there_is() -> None:
    request = inference_service_pb2.PredictRequest.DESCRIPTOR.fields_by_name
    finding = inference_service_pb2.Finding.DESCRIPTOR.fields_by_name
    answer = inference_service_pb2.PredictResponse.DESCRIPTOR.fields_by_name
    others = "".join(_snippets("go") + _snippets("java") + _snippets("csharp"))
    asked = re.findall(r"\b(ModelName|RecordingId)\b", others) + re.findall(r"\.set(\w+)\(", others)
    assert {_snake(x) for x in asked} == {"model_name", "recording_id"}
    assert {"model_name", "recording_id"} <= set(request)
    read = re.findall(r"finding\.(?:[gG]et)?(\w+)", others)
    assert {_snake(x) for x in read} == {"name", "probability", "present"}
    assert {"name", "probability", "present"} <= set(finding)
    assert {"findings", "refusals"} <= set(answer)
    assert "text" in prediction_pb2.Refusal.DESCRIPTOR.fields_by_name


def test_the_doors_are_there() -> None:
    for module in (inference_service_pb2, ingest_service_pb2, grpc_service_pb2):
        [service] = module.DESCRIPTOR.services_by_name.values()
        assert service.full_name in PAGE or module is ingest_service_pb2


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
