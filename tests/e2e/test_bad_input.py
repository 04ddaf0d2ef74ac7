"""What is wrong is said at once and clearly, the service stays up, and nothing is half-stored."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from demo.platform import Stubs
from exchangeai.errors import ContractViolation, DeadlineRequired, InvalidArgument, NotFound, TooLarge
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.rpc import invoke
from exchangeai.rpc.errors import from_call
from exchangeai.v1 import (
    dataset_pb2,
    inference_service_pb2,
    ingest_service_pb2,
    preprocess_service_pb2,
    recording_pb2,
)

PROMPT_S = 2.0


@pytest.fixture(autouse=True)
def answered_promptly(stubs: Stubs) -> Iterator[None]:
    """Whatever happened took no longer than two seconds, and the catalogue still answers."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < PROMPT_S
    invoke(stubs.ingest.List, ingest_service_pb2.ListRequest(page_size=1))


def send(stubs: Stubs, files: dict[str, bytes]) -> ingest_service_pb2.UploadResult:
    def parts() -> Iterator[ingest_service_pb2.UploadRequest]:
        for name, data in files.items():
            yield ingest_service_pb2.UploadRequest(file=ingest_service_pb2.FileStart(name=name))
            for at in range(0, len(data), 1 << 20):
                yield ingest_service_pb2.UploadRequest(chunk=data[at : at + (1 << 20)])

    # A header that is refused takes no members; a stray .dat then has a result of its own.
    return invoke(stubs.ingest.Upload, parts(), timeout_s=20).results[0]


def wfdb(header: str, samples: int = 1000) -> dict[str, bytes]:
    return {"r.hea": header.encode(), "r.dat": np.zeros(samples, "<i2").tobytes()}


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        (wfdb("r 1 500 5000\nr.dat 16 200/mV 16 0 0 0 0 I\n"), {"Truncated"}),
        ({"ecg.dcm": b"This is a letter, not an ECG.\n" * 50}, {"UnknownFormat"}),
        (
            wfdb("r 1 500 1000\n../../../../etc/passwd 16 200/mV 16 0 0 0 0 I\n"),
            {"UnsafeReference"},
        ),
        (
            wfdb("r 1 500 1000000000000\nr.dat 16 200/mV 16 0 0 0 0 I\n"),
            {"Truncated", "InvalidHeader", "TooLarge"},
        ),
        (wfdb("r 1 500 1000\nr.dat 16 nan/mV 16 0 0 0 0 I\n"), {"InvalidHeader"}),
        ({"empty.edf": b""}, {"EmptyFile"}),
        ({"signal.csv": b"0.1,0.2\n" * 500}, {"MissingMetadata"}),
    ],
    ids=["truncated", "text-as-dcm", "passwd", "1e12-samples", "nan-gain", "empty", "csv-without-rate"],
)
def test_a_bad_file_stays_visible_with_its_reason(
    stubs: Stubs, files: dict[str, bytes], reasons: set[str]
) -> None:
    result = send(stubs, files)
    assert result.recording.state == recording_pb2.RECORDING_STATE_UNREADABLE
    assert result.recording.error.reason in reasons
    assert len(result.recording.error.message) > 20
    request = ingest_service_pb2.GetRequest(recording_id=result.recording.recording_id)
    listed = invoke(stubs.ingest.Get, request).recording
    assert listed.error == result.recording.error
    assert not listed.leads


def test_an_upload_of_nothing_is_refused(stubs: Stubs) -> None:
    with pytest.raises(InvalidArgument):
        invoke(stubs.ingest.Upload, iter(()), timeout_s=5)


def test_200_mb_are_refused_before_they_are_sent(stubs: Stubs) -> None:
    sent = 0

    def parts() -> Iterator[ingest_service_pb2.UploadRequest]:
        nonlocal sent
        size = 200 << 20
        start = ingest_service_pb2.FileStart(name="big.edf", size_bytes=size)
        yield ingest_service_pb2.UploadRequest(file=start)
        while sent < size:
            sent += 1 << 20
            yield ingest_service_pb2.UploadRequest(chunk=bytes(1 << 20))

    with pytest.raises(TooLarge, match="at most 100 MiB"):
        invoke(stubs.ingest.Upload, parts(), timeout_s=20)
    assert sent < 50 << 20


def build(stubs: Stubs, table: bytes, label: str = "label") -> None:
    request = preprocess_service_pb2.BuildDatasetRequest(
        name="t",
        table=table,
        columns=preprocess_service_pb2.TableColumns(recording="file", label=label),
        task=dataset_pb2.TASK_MULTI_LABEL,
        split=preprocess_service_pb2.Split(validation=0.2, test=0.2),
    )
    invoke(stubs.preprocess.BuildDataset, request)


def test_a_table_of_unknown_files_is_refused(stubs: Stubs) -> None:
    with pytest.raises(InvalidArgument, match="2"):
        build(stubs, b"file,label\nno-such-file,A\nnor-this,B\n")


def test_a_table_without_the_column_names_those_it_has(stubs: Stubs) -> None:
    with pytest.raises(InvalidArgument, match="diagnosis"):
        build(stubs, b"file,diagnosis\nx,A\n")


def predict_tensor(stubs: Stubs, shape: tuple[int, ...], values: bytes, model: str = "none") -> None:
    tensor = inference_service_pb2.EcgTensor(shape=shape, values_mv=values)
    request = inference_service_pb2.PredictRequest(model_name=model, tensor=tensor)
    invoke(stubs.inference.Predict, request)


def test_an_unknown_model_is_not_found(stubs: Stubs) -> None:
    with pytest.raises(NotFound, match="no-such-model"):
        predict_tensor(stubs, (1, 12, 5000), bytes(240_000), "no-such-model")


@pytest.mark.parametrize(
    ("shape", "values"),
    [((1, 8, 5000), bytes(160_000)), ((1, 12, 5000), bytes(120_000)), ((1, 12, 500), bytes(24_000))],
    ids=["8-leads", "int16-bytes", "50-Hz"],
)
def test_a_tensor_outside_the_contract_is_refused(
    stubs: Stubs, shape: tuple[int, ...], values: bytes
) -> None:
    with pytest.raises((ContractViolation, NotFound)):
        predict_tensor(stubs, shape, values)


def test_the_protocol_answers_an_unknown_model(stubs: Stubs) -> None:
    with pytest.raises(NotFound):
        invoke(stubs.protocol.ModelInfer, oip.ModelInferRequest(model_name="no-such-model"))


def test_a_call_without_a_deadline_is_refused(stubs: Stubs) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stubs.ingest.List(ingest_service_pb2.ListRequest())
    assert isinstance(from_call(raised.value), DeadlineRequired)
    assert "deadline" in (raised.value.details() or "")  # type: ignore[attr-defined]


def test_unknown_ids_are_not_found(stubs: Stubs) -> None:
    unknown = "0" * 64
    with pytest.raises(NotFound):
        invoke(stubs.ingest.Get, ingest_service_pb2.GetRequest(recording_id=unknown))
    with pytest.raises(NotFound):
        invoke(stubs.preprocess.GetWindows, preprocess_service_pb2.GetWindowsRequest(recording_id=unknown))
