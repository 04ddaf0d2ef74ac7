"""Several ECGs a call or a stream, and many callers at once: each gets its own answer, the same bytes."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import InvalidArgument
from exchangeai.facts import ModelFact
from exchangeai.rpc import invoke, stream
from exchangeai.testing.models import (
    synthetic_window,
)
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.contract.inference_process import Running, running_inference
from tests.contract.strict_model import publish, request_for, tensor_of, with_everything

DELIVERED = Path(__file__).parents[2] / "models" / "ptbxl_superdiagnostic" / "model.onnx"


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_inference(bus_config, store_config) as running:
        yield running


@pytest.fixture(scope="module")
def stub(service: Running) -> Any:
    return InferenceServiceStub(service.channel)


@pytest.fixture(scope="module")
def model(service: Running, stub: Any) -> ModelFact:
    """With a contract of use, conformal bounds and a detector; fitted on synthetic ECGs of many heights."""
    fact = publish(service, "strict", with_everything)
    invoke(stub.Predict, request_for(), timeout_s=20)
    return fact


def _varied(count: int) -> list[pb.PredictRequest]:
    """Good ones, an unknown model, a wrong shape, an unset ECG and a refused one, in turn."""
    kinds = [
        lambda i: request_for(tensor=tensor_of(synthetic_window(i)[None])),
        lambda i: request_for(model_name=f"nobody-{i}"),
        lambda i: request_for(tensor=pb.EcgTensor(shape=[1, 12, 10 + i])),
        lambda i: pb.PredictRequest(model_name="strict"),
        lambda i: request_for(age_years=3),
    ]
    return [kinds[i % len(kinds)](i) for i in range(count)]


def _check_outcomes(stub: Any, requests: Sequence[pb.PredictRequest], outcomes: Sequence[pb.Outcome]) -> None:
    assert len(outcomes) == len(requests)
    reasons = [None, "NotFound", "ContractViolation", "InvalidArgument", None]
    for i, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
        wanted = reasons[i % len(reasons)]
        if wanted is not None:
            assert outcome.error.reason == wanted
            assert outcome.error.code in (3, 5)
            assert outcome.error.message
            continue
        alone = invoke(stub.Predict, request)
        alone.provenance.request_id = outcome.response.provenance.request_id
        assert outcome.response == alone


def test_a_batch_answers_or_refuses_each_by_itself(stub: Any, model: ModelFact) -> None:
    requests = _varied(20)
    answer = invoke(stub.PredictBatch, pb.PredictBatchRequest(requests=requests), timeout_s=30)
    _check_outcomes(stub, requests, answer.outcomes)
    for count in (0, 65):
        with pytest.raises(InvalidArgument, match="requests"):
            invoke(stub.PredictBatch, pb.PredictBatchRequest(requests=[pb.PredictRequest()] * count))


def test_a_stream_answers_in_order_and_an_error_ends_its_request_only(stub: Any, model: ModelFact) -> None:
    requests = _varied(25)
    sent = (pb.PredictStreamRequest(id=str(i), request=x) for i, x in enumerate(requests))
    answers = list(stream(stub.PredictStream, sent, timeout_s=30))
    assert [x.id for x in answers] == [str(i) for i in range(len(requests))]
    _check_outcomes(stub, requests, [x.outcome for x in answers])


def test_a_stream_answers_before_its_sender_is_done(stub: Any, model: ModelFact) -> None:
    more = threading.Event()

    def sent() -> Iterator[pb.PredictStreamRequest]:
        yield pb.PredictStreamRequest(id="first", request=request_for())
        assert more.wait(10)
        yield pb.PredictStreamRequest(id="second", request=request_for())

    answers = stream(stub.PredictStream, sent(), timeout_s=30)
    assert next(answers).id == "first"
    more.set()
    assert [x.id for x in answers] == ["second"]


def test_the_same_input_gives_the_same_bytes_whatever_else_is_asked(stub: Any, model: ModelFact) -> None:
    assert len(_answers_under_load(stub, "strict", 50)) == 1


@pytest.mark.endurance
@pytest.mark.timeout(400)
def test_a_delivered_model_gives_the_same_bytes_whatever_else_is_asked(
    bus_config: BusConfig, store_config: StoreConfig
) -> None:
    with running_inference(bus_config, store_config, max_model_bytes=1 << 24) as running:
        running.publish(DELIVERED.read_bytes(), "delivered")
        stub = InferenceServiceStub(running.channel)
        invoke(stub.Predict, request_for(model_name="delivered"), timeout_s=60)
        assert len(_answers_under_load(stub, "delivered", 100)) == 1


def _answers_under_load(stub: Any, name: str, times: int) -> set[bytes]:
    """What is answered on one ECG, but for the request's id, while five others ask for other ECGs."""
    request = request_for(model_name=name, include_embedding=True, include_saliency=True)
    stop = threading.Event()

    def others(seed: int) -> int:
        done = 0
        while not stop.is_set():
            ecgs = np.stack([synthetic_window(seed + done + i) for i in range(1 + done % 3)])
            # With the same outputs as those of the others, so that they join its batches.
            also = {"include_embedding": True, "include_saliency": True} if done % 2 else {}
            invoke(stub.Predict, request_for(model_name=name, tensor=tensor_of(ecgs), **also), timeout_s=60)
            done += 1
        return done

    found = set[bytes]()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        neighbours = [pool.submit(others, 100 * i) for i in range(5)]
        try:
            for _ in range(times):
                answer = invoke(stub.Predict, request, timeout_s=60)
                answer.provenance.request_id = ""
                found.add(answer.SerializeToString(deterministic=True))
        finally:
            stop.set()
        assert all(x.result() for x in neighbours)
    return found
