"""The typed inference API over a real bus and a real object store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from onnx import numpy_helper

from exchangeai import __version__
from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import (
    ContractViolation,
    DeadlineRequired,
    ExchangeaiError,
    InvalidArgument,
    NotFound,
    NotReady,
    TooLarge,
    UnreadableFile,
)
from exchangeai.facts import LeadFact, ModelFact, PreprocessedFact, RecordingFact
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import model_digest, parse_model
from exchangeai.rpc import invoke, stream
from exchangeai.rpc.errors import from_call
from exchangeai.signal import PREPROCESSING_VERSION, assess, standardise
from exchangeai.signal.windows import Windows, to_bytes
from exchangeai.store import ObjectStore
from exchangeai.testing.models import SUPERCLASSES, synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import model_pb2, recording_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.contract.inference_process import Running, running_inference

OPTIONS = ReadOptions(sampling_rate_hz=500.0, unit="mV")


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_inference(bus_config, store_config) as running:
        yield running


@pytest.fixture(scope="module")
def stub(service: Running) -> Any:
    return InferenceServiceStub(service.channel)


@pytest.fixture(scope="module")
def model(service: Running) -> ModelFact:
    return service.publish(tiny_model(name="main"), "main")


def test_a_card_is_served_with_its_figures_and_its_absence_said(
    service: Running, stub: Any, model: ModelFact
) -> None:
    _when_known(lambda: _listed(stub, model.name))
    asked = pb.GetModelCardRequest(name=model.name)
    with pytest.raises(NotFound, match="without a card"):
        invoke(stub.GetModelCard, asked)

    async def work(bus: Bus, store: ObjectStore) -> None:
        await store.put(f"models/{model.digest}/card.md", b"# A model")
        await store.put(f"models/{model.digest}/classes.svg", b"<svg/>")

    service.behind(work)
    answer = invoke(stub.GetModelCard, asked)
    assert (answer.markdown, dict(answer.figures)) == ("# A model", {"classes.svg": b"<svg/>"})
    with pytest.raises(NotFound, match="nobody"):
        invoke(stub.GetModelCard, pb.GetModelCardRequest(name="nobody"))


def _csv(seconds: float, seed: int = 0) -> bytes:
    window = synthetic_window(seed)
    signal = np.tile(window[:, :4800], (1, int(seconds * 500) // 4800 + 1))[:, : int(seconds * 500)]
    rows = [",".join(f"{x:.3f}" for x in column) for column in signal.T]
    return "\n".join([",".join(STANDARD_12), *rows]).encode()


def _windows(csv: bytes) -> Windows:
    return standardise(read_records({"a.csv": csv}, OPTIONS)[0].recording)


def _files(csv: bytes) -> pb.EcgFiles:
    options = recording_pb2.ReadOptions(sampling_rate_hz=500, unit=recording_pb2.UNIT_MILLIVOLT)
    return pb.EcgFiles(files=[pb.EcgFile(name="a.csv", content=csv)], options=options)


def _tensor(windows: Windows) -> pb.EcgTensor:
    values = windows.millivolts()
    return pb.EcgTensor(
        shape=values.shape, values_mv=values.tobytes(), valid_samples=windows.valid_samples.tolist()
    )


def _ingested(service: Running, csv: bytes) -> str:
    """Leave behind what ingest and preprocess leave behind."""
    recording = read_records({"a.csv": csv}, OPTIONS)[0].recording
    windows = standardise(recording)
    fact = PreprocessedFact(
        recording_id=recording.source_digest,
        preprocessing_version=PREPROCESSING_VERSION,
        windows=len(windows),
        quality=assess(recording, windows),
    )

    async def work(bus: Bus, store: ObjectStore) -> None:
        await store.put(f"windows/{fact.recording_id}.npz", to_bytes(windows))
        await bus.facts(PreprocessedFact).put(fact.recording_id, fact)

    service.behind(work)
    return fact.recording_id


def _when_known(call: Callable[[], Any], within_s: float = 10) -> Any:
    """The fact travels to the service in milliseconds; wait for that, not for more."""
    until = time.monotonic() + within_s
    while True:
        try:
            return call()
        except (NotFound, NotReady):
            if time.monotonic() > until:
                raise
        time.sleep(0.02)


def _import(stub: Any, name: str, data: bytes) -> model_pb2.Model:
    requests = [
        pb.ImportModelRequest(name=name if at == 0 else "", chunk=data[at : at + 5000])
        for at in range(0, max(len(data), 1), 5000)
    ]
    return invoke(stub.ImportModel, iter(requests), timeout_s=60).model


def _listed(stub: Any, name: str) -> list[model_pb2.Model]:
    found = [x for x in invoke(stub.ListModels, pb.ListModelsRequest()).models if x.name == name]
    if not found:
        raise NotFound(name)
    return found


def test_a_published_model_answers_without_restart(service: Running, stub: Any) -> None:
    request = pb.PredictRequest(model_name="fresh", tensor=_tensor(_windows(_csv(10))))
    with pytest.raises(NotFound, match="fresh"):
        invoke(stub.Predict, request)
    first = service.publish(tiny_model(name="fresh"), "fresh")
    answer = _when_known(lambda: invoke(stub.Predict, request))
    assert answer.provenance.model_digest == first.digest
    second = service.publish(tiny_model(name="fresh", seed=5), "fresh", 2)
    until = time.monotonic() + 10
    while answer.provenance.model_digest != second.digest:
        assert time.monotonic() < until
        answer = invoke(stub.Predict, request)
    assert answer.provenance.model_version == 2
    request.model_version = 1
    assert invoke(stub.Predict, request).provenance.model_digest == first.digest


def test_id_file_and_tensor_give_the_same_answer(service: Running, stub: Any, model: ModelFact) -> None:
    csv = _csv(26)
    windows = _windows(csv)
    requests = {
        "id": pb.PredictRequest(model_name="main", recording_id=_ingested(service, csv)),
        "file": pb.PredictRequest(model_name="main", files=_files(csv)),
        "tensor": pb.PredictRequest(model_name="main", tensor=_tensor(windows)),
    }
    answers = {k: _when_known(lambda r=r: invoke(stub.Predict, r)) for k, r in requests.items()}
    by_id = answers["id"]
    assert [x.name for x in by_id.findings] == list(SUPERCLASSES)
    assert [x.start_s for x in by_id.windows] == [0, 10, 20]
    for answer in answers.values():
        assert list(answer.findings) == list(by_id.findings)
        assert list(answer.windows) == list(by_id.windows)
        assert answer.quality == by_id.quality
        provenance = answer.provenance
        assert (provenance.model_name, provenance.model_version) == ("main", 1)
        assert provenance.model_digest == model.digest
        assert provenance.code_version == __version__
        assert provenance.preprocessing_version == PREPROCESSING_VERSION
        assert "not a medical device" in provenance.notice
        assert provenance.request_id
    assert by_id.provenance.input_digest == hashlib.sha256(csv).hexdigest()
    assert answers["file"].provenance.input_digest == hashlib.sha256(csv).hexdigest()
    assert (
        answers["tensor"].provenance.input_digest
        == hashlib.sha256(windows.millivolts().tobytes()).hexdigest()
    )


def test_the_same_input_gives_the_same_bytes(stub: Any, model: ModelFact) -> None:
    request = pb.PredictRequest(model_name="main", tensor=_tensor(_windows(_csv(30))))
    answers: set[bytes] = set()
    for _ in range(5):
        answer = _when_known(lambda: invoke(stub.Predict, request))
        answer.provenance.request_id = ""
        answers.add(answer.SerializeToString(deterministic=True))
    assert len(answers) == 1


def test_what_cannot_be_analysed_gets_reasons_and_no_findings(stub: Any, model: ModelFact) -> None:
    flat = pb.EcgTensor(shape=[1, 12, 5000], values_mv=bytes(240_000))
    answer = _when_known(lambda: invoke(stub.Predict, pb.PredictRequest(model_name="main", tensor=flat)))
    assert not answer.findings
    assert not answer.windows
    assert "usable" in " ".join(answer.quality.reasons)
    assert answer.provenance.model_digest == model.digest


def test_recordings_that_are_not_there_not_ready_or_unreadable(
    service: Running, stub: Any, model: ModelFact
) -> None:
    def predict(recording_id: str) -> None:
        invoke(stub.Predict, pb.PredictRequest(model_name="main", recording_id=recording_id))

    lead = LeadFact(name="I", sampling_rate_hz=500, sample_count=5000)
    facts = [
        RecordingFact(recording_id="a" * 64, leads=(lead,)),
        RecordingFact(recording_id="b" * 64, error_reason="Truncated", error_message="it ends too early"),
    ]

    async def work(bus: Bus, store: ObjectStore) -> None:
        for fact in facts:
            await bus.facts(RecordingFact).put(fact.recording_id, fact)
        hopeless = PreprocessedFact(
            recording_id="c" * 64, preprocessing_version="1", error="no standard lead"
        )
        await bus.facts(PreprocessedFact).put("c" * 64, hopeless)

    service.behind(work)
    _when_known(lambda: invoke(stub.Predict, pb.PredictRequest(model_name="main", files=_files(_csv(10)))))
    with pytest.raises(NotFound, match="recording"):
        predict("9" * 64)
    with pytest.raises(NotReady, match="preprocessed"):
        predict("a" * 64)
    with pytest.raises(InvalidArgument, match="ends too early"):
        predict("b" * 64)
    with pytest.raises(InvalidArgument, match="no standard lead"):
        predict("c" * 64)


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"tensor": pb.EcgTensor(shape=[1, 12, 1000], values_mv=bytes(48_000))}, ContractViolation, "1000"),
        (
            {"tensor": pb.EcgTensor(shape=[1, 12, 5000], values_mv=bytes(480_000))},
            ContractViolation,
            "480000",
        ),
        ({"tensor": pb.EcgTensor(shape=[12, 5000])}, InvalidArgument, "shape"),
        ({"recording_id": "../../etc/passwd"}, InvalidArgument, "recording_id"),
        ({}, InvalidArgument, "ecg"),
        ({"files": _files(b"")}, UnreadableFile, "no bytes"),
        ({"files": _files(b"\x00\x01 this is no ECG")}, UnreadableFile, "reader"),
        ({"files": _files(b"\x80" + bytes(131) + b"DICM" + b"not really")}, UnreadableFile, "(?i)dicom"),
    ],
)
def test_bad_requests_are_refused_quickly_by_type(
    stub: Any, model: ModelFact, change: dict[str, Any], kind: type[ExchangeaiError], says: str
) -> None:
    _when_known(lambda: _listed(stub, "main"))
    begin = time.monotonic()
    with pytest.raises(kind, match=says):
        invoke(stub.Predict, pb.PredictRequest(model_name="main", **change))
    assert time.monotonic() - begin < 10  # a bound on hanging, not a measurement


def test_unknown_models_and_versions(stub: Any, model: ModelFact) -> None:
    tensor = _tensor(_windows(_csv(10)))
    with pytest.raises(NotFound, match="'nobody'"):
        invoke(stub.Predict, pb.PredictRequest(model_name="nobody", tensor=tensor))
    with pytest.raises(NotFound, match="version 9"):
        invoke(stub.Predict, pb.PredictRequest(model_name="main", model_version=9, tensor=tensor))


def test_a_call_without_a_deadline_is_refused(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.ListModels(pb.ListModelsRequest())
    assert isinstance(from_call(refused.value), DeadlineRequired)


def test_a_bad_new_version_leaves_the_old_one_answering(service: Running, stub: Any) -> None:
    good = service.publish(tiny_model(name="careful"), "careful")
    model = parse_model(tiny_model(name="careful", seed=3))
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    service.publish(model.SerializeToString(), "careful", 2)
    damaged = tiny_model(name="careful", seed=4)
    service.publish(damaged[:-1] + b"\0", "careful", 3, digest=model_digest(damaged))
    request = pb.PredictRequest(model_name="careful", tensor=_tensor(_windows(_csv(10))))
    assert _when_known(lambda: invoke(stub.Predict, request)).provenance.model_digest == good.digest
    for version, says in ((2, "golden"), (3, "digest")):
        request.model_version = version
        with pytest.raises(NotReady, match=says):
            _until_refused(stub, request)


def _until_refused(stub: Any, request: pb.PredictRequest) -> None:
    """Ask until the service knows the version."""
    until = time.monotonic() + 10
    while True:
        try:
            invoke(stub.Predict, request)
        except NotFound:
            if time.monotonic() > until:
                raise
        time.sleep(0.02)


def test_a_model_whose_file_comes_late_is_loaded_when_it_is_there(service: Running, stub: Any) -> None:
    data = tiny_model(name="late", seed=11)
    fact = service.publish(data, "late", put=False)
    request = pb.PredictRequest(model_name="late", tensor=_tensor(_windows(_csv(10))))
    with pytest.raises(NotReady, match="could not be fetched"):
        _until_refused(stub, request)

    async def work(bus: Bus, store: ObjectStore) -> None:
        await store.put(f"models/{fact.digest}.onnx", data)

    service.behind(work)
    answer = _when_known(lambda: invoke(stub.Predict, request), within_s=20)
    assert answer.provenance.model_digest == fact.digest


def test_import_waits_for_a_person_then_predicts_and_comes_out_as_it_went_in(stub: Any) -> None:
    data = tiny_model(name="theirs", seed=7)
    imported = _import(stub, "guest", data)
    assert (imported.version, imported.state, imported.origin) == (
        1,
        model_pb2.MODEL_STATE_QUARANTINED,
        "import",
    )
    assert _import(stub, "guest", data) == imported
    request = pb.PredictRequest(model_name="guest", tensor=_tensor(_windows(_csv(10))))
    for version in (0, 1):
        request.model_version = version
        with pytest.raises(NotReady, match="quarantine"):
            invoke(stub.Predict, request)
    known = _when_known(lambda: _listed(stub, "guest"))
    assert known == [imported]
    approved = invoke(stub.ApproveModel, pb.ApproveModelRequest(name="guest", version=1)).model
    assert approved.state == model_pb2.MODEL_STATE_APPROVED
    assert invoke(stub.Predict, request).provenance.model_digest == model_digest(data)
    assert invoke(stub.ApproveModel, pb.ApproveModelRequest(name="guest", version=1)).model == approved
    chunks = stream(stub.ExportModel, pb.ExportModelRequest(name="guest"), timeout_s=10)
    assert b"".join(x.chunk for x in chunks) == data
    assert _import(stub, "guest", tiny_model(name="theirs", seed=8)).version == 2
    assert invoke(stub.Predict, request).provenance.model_version == 1


def test_bad_imports_leave_nothing(service: Running, stub: Any) -> None:
    good = tiny_model(seed=21)
    for name, data, kind in (
        ("bad", good[: len(good) // 2], ContractViolation),
        ("bad", b"", InvalidArgument),
        ("bad", b"\x80\x04cbuiltins\neval\n.", ContractViolation),
        ("bad", bytes((1 << 20) + 1), TooLarge),
        ("Bad Name", good, InvalidArgument),
        ("", good, InvalidArgument),
    ):
        with pytest.raises(kind):
            _import(stub, name, data)
    assert not [x for x in invoke(stub.ListModels, pb.ListModelsRequest()).models if x.name == "bad"]

    async def work(bus: Bus, store: ObjectStore) -> bool:
        return await store.exists(f"models/{model_digest(good)}.onnx")

    assert not service.behind(work)


def test_export_and_approval_of_what_is_not_there(stub: Any, model: ModelFact) -> None:
    with pytest.raises(NotFound):
        list(stream(stub.ExportModel, pb.ExportModelRequest(name="nobody"), timeout_s=10))
    with pytest.raises(NotFound):
        list(stream(stub.ExportModel, pb.ExportModelRequest(name="main", version=99), timeout_s=10))
    with pytest.raises(NotFound):
        invoke(stub.ApproveModel, pb.ApproveModelRequest(name="nobody", version=1))
