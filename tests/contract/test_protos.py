"""The contracts in motion: stubs are the protos', names are kept, nothing that was promised is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from exchangeai.inference import grpc_service_pb2 as oip

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
STUBS = ("exchangeai/v1", "exchangeai/events/v1", "exchangeai/inference", "buf")

OIP_METHODS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelStreamInfer",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
)
OIP_FIELDS: dict[str, dict[str, int]] = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": 1},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": 1},
    "ModelReadyRequest": {"name": 1, "version": 2},
    "ModelReadyResponse": {"ready": 1},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {"name": 1, "version": 2, "extensions": 3},
    "ModelMetadataRequest": {"name": 1, "version": 2},
    "ModelMetadataResponse": {"name": 1, "versions": 2, "platform": 3, "inputs": 4, "outputs": 5},
    "ModelMetadataResponse.TensorMetadata": {"name": 1, "datatype": 2, "shape": 3},
    "ModelInferRequest": {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    },
    "ModelInferRequest.InferInputTensor": {
        "name": 1,
        "datatype": 2,
        "shape": 3,
        "parameters": 4,
        "contents": 5,
    },
    "ModelInferRequest.InferRequestedOutputTensor": {"name": 1, "parameters": 2},
    "ModelStreamInferResponse": {"error_message": 1, "infer_response": 2},
    "RepositoryIndexRequest": {"repository_name": 1, "ready": 2},
    "RepositoryIndexResponse": {"models": 1},
    "RepositoryIndexResponse.ModelIndex": {"name": 1, "version": 2, "state": 3, "reason": 4},
    "RepositoryModelLoadRequest": {"repository_name": 1, "model_name": 2, "parameters": 3},
    "RepositoryModelLoadResponse": {},
    "RepositoryModelUnloadRequest": {"repository_name": 1, "model_name": 2, "parameters": 3},
    "RepositoryModelUnloadResponse": {},
    "ModelRepositoryParameter": {"bool_param": 1, "int64_param": 2, "string_param": 3, "bytes_param": 4},
    "ModelInferResponse": {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "outputs": 5,
        "raw_output_contents": 6,
    },
    "ModelInferResponse.InferOutputTensor": {
        "name": 1,
        "datatype": 2,
        "shape": 3,
        "parameters": 4,
        "contents": 5,
    },
    "InferParameter": {
        "bool_param": 1,
        "int64_param": 2,
        "string_param": 3,
        "double_param": 4,
        "uint64_param": 5,
    },
    "InferTensorContents": {
        "bool_contents": 1,
        "int_contents": 2,
        "int64_contents": 3,
        "uint_contents": 4,
        "uint64_contents": 5,
        "fp32_contents": 6,
        "fp64_contents": 7,
        "bytes_contents": 8,
    },
}
"""Message and field numbers of the Open Inference Protocol, version 2, and of Triton's extensions."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with freshly generated stubs and `image.binpb`."""
    folder = tmp_path_factory.mktemp("stubs")
    command = [sys.executable, str(PROTOS / "generate.py"), str(folder), str(folder / "image.binpb")]
    subprocess.run(command, check=True, timeout=60)
    return folder


def _buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    buf = Path(sys.executable).parent / "buf"
    command = [str(buf), *arguments, "--config", str(PROTOS / "buf.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("package", STUBS)
def test_committed_stubs_are_the_protos(generated: Path, package: str) -> None:
    def read(root: Path) -> dict[str, str]:
        found = (root / package).rglob("*_pb2*.py*")
        return {str(p.relative_to(root)): p.read_text() for p in found if p.suffix in {".py", ".pyi"}}

    assert read(ROOT) == read(generated), "run `make protos`"


def test_lint(generated: Path) -> None:
    result = _buf("lint", str(generated / "image.binpb"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_nothing_promised_is_broken(generated: Path) -> None:
    """Compared with the last release; protos/baseline.py makes a new baseline on purpose."""
    baseline = str(PROTOS / "baseline.binpb")
    result = _buf("breaking", str(generated / "image.binpb"), "--against", baseline)
    assert result.returncode == 0, result.stdout + result.stderr


def test_open_inference_protocol_keeps_its_names_and_numbers() -> None:
    file = oip.DESCRIPTOR
    assert file.package == "inference"
    service = file.services_by_name["GRPCInferenceService"]
    assert tuple(m.name for m in service.methods) == OIP_METHODS
    for method in service.methods:
        # As Triton's clients have it, a stream carries the requests of the single call.
        asked = "ModelInfer" if method.name == "ModelStreamInfer" else method.name
        assert method.input_type.name == f"{asked}Request"
        assert method.output_type.name == f"{method.name}Response"
    found: dict[str, dict[str, int]] = {}

    def walk(message: Descriptor, prefix: str = "") -> None:
        if not message.GetOptions().map_entry:
            found[prefix + message.name] = {f.name: f.number for f in message.fields}
            for nested in message.nested_types:
                walk(nested, f"{prefix}{message.name}.")

    for message in file.message_types_by_name.values():
        walk(message)
    assert found == OIP_FIELDS


def test_stubs_import_without_grpc_at_the_events() -> None:
    """Events are values: whoever builds one needs no gRPC."""
    for path in (ROOT / "exchangeai/events/v1").glob("*.py"):
        assert "import grpc" not in path.read_text()
