"""How a name is served, over a real bus and a real object store: champion, canary, shadow, and back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound, NotReady
from exchangeai.facts import ModelFact, ServingFact
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.model_file import object_key
from exchangeai.rpc import invoke
from exchangeai.store import ObjectStore
from exchangeai.testing.models import synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import model_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from services.inference.canary import falls_to_canary
from services.inference.readiness import Readiness
from tests.contract.inference_process import Running, running_inference


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_inference(bus_config, store_config) as running:
        yield running


@pytest.fixture(scope="module")
def stub(service: Running) -> Any:
    return InferenceServiceStub(service.channel)


def _request(name: str, seed: int = 0, **more: Any) -> pb.PredictRequest:
    window = np.ascontiguousarray(synthetic_window(seed)[None], "<f4")
    tensor = pb.EcgTensor(shape=window.shape, values_mv=window.tobytes())
    return pb.PredictRequest(model_name=name, tensor=tensor, **more)


def _published(service: Running, stub: Any, name: str, versions: int) -> None:
    """Publish, and wait until each version answers."""
    for version in range(1, versions + 1):
        service.publish(tiny_model(name=name, seed=version), name, version)
        _until(lambda v=version: invoke(stub.Predict, _request(name, model_version=v)))


def _until(work: Callable[[], Any], within_s: float = 10) -> Any:
    end = time.monotonic() + within_s
    while True:
        try:
            answer = work()
            if answer:
                return answer
        except ExchangeaiError:
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def _serving(stub: Any, name: str) -> pb.Serving:
    found = invoke(stub.ListServing, pb.ListServingRequest()).serving
    return next(x for x in found if x.name == name)


def _answered(stub: Any, name: str, seed: int = 0, **more: Any) -> tuple[int, str]:
    origin = invoke(stub.Predict, _request(name, seed, **more)).provenance
    return origin.model_version, origin.model_role


def test_the_newest_answers_until_a_champion_is_named_and_there_is_a_way_back(
    service: Running, stub: Any
) -> None:
    _published(service, stub, "way", 3)
    assert _answered(stub, "way") == (3, "champion")
    assert _answered(stub, "way", model_version=2) == (2, "version")
    promoted = invoke(
        stub.SetChampion, pb.SetChampionRequest(name="way", version=1, by="an engineer")
    ).serving
    assert (promoted.champion, promoted.answering, list(promoted.previous)) == (1, 1, [3])
    assert promoted.changed_by == "an engineer"
    assert promoted.changed_at.seconds > 0
    assert _answered(stub, "way") == (1, "champion")
    assert _answered(stub, "way", alias="champion") == (1, "champion")
    invoke(stub.SetChampion, pb.SetChampionRequest(name="way", version=2))
    assert invoke(stub.RollBack, pb.RollBackRequest(name="way")).serving.champion == 1
    assert invoke(stub.RollBack, pb.RollBackRequest(name="way")).serving.champion == 3
    with pytest.raises(NotReady, match="no champion before"):
        invoke(stub.RollBack, pb.RollBackRequest(name="way"))
    with pytest.raises(NotFound):
        invoke(stub.SetChampion, pb.SetChampionRequest(name="way", version=9))
    with pytest.raises(NotFound):
        invoke(stub.SetChampion, pb.SetChampionRequest(name="nobody", version=1))
    service.publish(tiny_model(name="way", seed=4), "way", 4)
    _until(lambda: invoke(stub.Predict, _request("way", model_version=4)))
    assert _answered(stub, "way") == (3, "champion"), "a named champion stays when another is published"
    assert invoke(stub.SetChampion, pb.SetChampionRequest(name="way", version=0)).serving.answering == 4


def test_the_same_ecg_always_meets_the_same_version(service: Running, stub: Any) -> None:
    _published(service, stub, "share", 2)
    invoke(stub.SetChampion, pb.SetChampionRequest(name="share", version=1))
    with pytest.raises(NotFound, match="no canary"):
        _answered(stub, "share", alias="canary")
    invoke(stub.SetCanary, pb.SetCanaryRequest(name="share", version=2, share=0.5))
    met: set[tuple[int, str]] = set()
    for seed in range(12):
        answer = invoke(stub.Predict, _request("share", seed)).provenance
        wanted = falls_to_canary("share", answer.input_digest, 0.5)
        assert (answer.model_version, answer.model_role) == ((2, "canary") if wanted else (1, "champion"))
        assert _answered(stub, "share", seed) == (answer.model_version, answer.model_role)
        met.add((answer.model_version, answer.model_role))
    assert len(met) == 2
    assert _answered(stub, "share", alias="canary") == (2, "canary")
    assert _answered(stub, "share", 3, alias="champion") == (1, "champion")
    with pytest.raises(InvalidArgument, match="not both"):
        _answered(stub, "share", alias="canary", model_version=1)
    ended = invoke(stub.SetCanary, pb.SetCanaryRequest(name="share", version=0)).serving
    assert (ended.canary, ended.canary_share) == (0, 0.0)


def test_stock_clients_name_champion_and_canary_as_versions(service: Running, stub: Any) -> None:
    _published(service, stub, "stock", 2)
    invoke(stub.SetChampion, pb.SetChampionRequest(name="stock", version=1))
    invoke(stub.SetCanary, pb.SetCanaryRequest(name="stock", version=2, share=0.0))
    other = GRPCInferenceServiceStub(service.channel)
    window = np.ascontiguousarray(synthetic_window(0)[None], "<f4")
    for text, version, role in (
        ("", "1", "champion"),
        ("champion", "1", "champion"),
        ("canary", "2", "canary"),
        ("2", "2", "version"),
    ):
        request = oip.ModelInferRequest(model_name="stock", model_version=text)
        request.inputs.add(name="ecg", datatype="FP32", shape=window.shape)
        request.raw_input_contents.append(window.tobytes())
        answer = invoke(other.ModelInfer, request)
        assert (answer.model_version, answer.parameters["model_role"].string_param) == (version, role)
        assert invoke(other.ModelReady, oip.ModelReadyRequest(name="stock", version=text)).ready
    with pytest.raises(InvalidArgument, match="champion"):
        invoke(other.ModelReady, oip.ModelReadyRequest(name="stock", version="best"))


def test_a_shadow_is_compared_and_changes_no_answer(service: Running, stub: Any) -> None:
    _published(service, stub, "dark", 2)
    invoke(stub.SetChampion, pb.SetChampionRequest(name="dark", version=1))
    invoke(stub.SetShadow, pb.SetShadowRequest(name="dark", version=2))

    def compared() -> bool:
        assert _answered(stub, "dark") == (1, "champion")
        return _serving(stub, "dark").agreement.compared >= 3

    _until(compared)
    agreement = _serving(stub, "dark").agreement
    one, two = (
        [x.probability for x in invoke(stub.Predict, _request("dark", model_version=v)).findings]
        for v in (1, 2)
    )
    expected = max(abs(a - b) for a, b in zip(one, two, strict=True))
    assert agreement.max_difference == pytest.approx(expected, abs=1e-6)
    assert agreement.failed == 0


def test_a_deprecated_version_answers_nobody_until_it_is_approved_again(service: Running, stub: Any) -> None:
    _published(service, stub, "old", 2)
    invoke(stub.SetChampion, pb.SetChampionRequest(name="old", version=1))
    invoke(stub.SetCanary, pb.SetCanaryRequest(name="old", version=2, share=1.0))
    with pytest.raises(InvalidArgument, match="promote another"):
        invoke(stub.DeprecateModel, pb.DeprecateModelRequest(name="old", version=1))
    gone = invoke(stub.DeprecateModel, pb.DeprecateModelRequest(name="old", version=2)).model
    assert gone.state == model_pb2.MODEL_STATE_DEPRECATED
    assert _serving(stub, "old").canary == 0
    assert _answered(stub, "old") == (1, "champion")
    with pytest.raises(NotReady, match="deprecated"):
        _answered(stub, "old", model_version=2)
    with pytest.raises(NotReady, match="deprecated"):
        invoke(stub.SetChampion, pb.SetChampionRequest(name="old", version=2))
    invoke(stub.ApproveModel, pb.ApproveModelRequest(name="old", version=2, by="a second person"))
    assert _serving(stub, "old").changed_by == "a second person"
    assert _answered(stub, "old", model_version=2) == (2, "version")


def test_changes_under_load_fail_no_call(service: Running, stub: Any) -> None:
    _published(service, stub, "swap", 2)
    stop, met, failures = threading.Event(), set[int](), list[Exception]()

    def call() -> None:
        while not stop.is_set():
            try:
                met.add(_answered(stub, "swap")[0])
            except Exception as e:
                failures.append(e)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for turn in range(12):
            invoke(stub.SetChampion, pb.SetChampionRequest(name="swap", version=1 + turn % 2))
            if turn % 3 == 2:
                service.publish(tiny_model(name="swap", seed=50 + turn), "swap", 3 + turn // 3)
        for _ in range(12):
            invoke(stub.SetChampion, pb.SetChampionRequest(name="swap", version=1))
            invoke(stub.SetChampion, pb.SetChampionRequest(name="swap", version=2))
            invoke(stub.RollBack, pb.RollBackRequest(name="swap"))
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert not failures
    assert met == {1, 2}


def test_ready_needs_every_champion_but_one_that_works_stands_in_for_a_broken_one(
    bus_config: BusConfig, store_config: StoreConfig, service: Running, stub: Any
) -> None:
    _published(service, stub, "stand", 2)
    invoke(stub.SetChampion, pb.SetChampionRequest(name="stand", version=1))
    invoke(stub.SetChampion, pb.SetChampionRequest(name="stand", version=2))
    fact = next(
        x
        for x in invoke(stub.ListModels, pb.ListModelsRequest()).models
        if (x.name, x.version) == ("stand", 2)
    )

    async def lose(bus: Bus, store: ObjectStore) -> bytes:
        data = await store.get(object_key(fact.digest))
        await store.put(object_key(fact.digest), b"rotten")
        return data

    async def lose_all(bus: Bus, store: ObjectStore) -> None:
        await bus.facts(ServingFact).change(
            "stand", lambda x: ServingFact(name=x.name, champion=2, changed_at=x.changed_at)
        )

    async def mend(bus: Bus, store: ObjectStore) -> None:
        await store.put(object_key(fact.digest), data)

    data = service.behind(lose)
    try:
        with running_inference(bus_config, store_config) as fresh:
            again: Any = InferenceServiceStub(fresh.channel)
            assert _ready(fresh)
            assert _answered(again, "stand") == (1, "champion")
            told = _serving(again, "stand")
            assert (told.champion, told.answering) == (2, 1)
            assert "digest differs" in told.problem
        assert _answered(stub, "stand") == (2, "champion"), "who has it in memory goes on with it"
        service.behind(lose_all)
        with running_inference(bus_config, store_config) as fresh:
            assert not _ready(fresh)
            other = GRPCInferenceServiceStub(fresh.channel)
            assert not invoke(other.ServerReady, oip.ServerReadyRequest()).ready
            assert not invoke(other.ModelReady, oip.ModelReadyRequest(name="stand")).ready
            _answered(InferenceServiceStub(fresh.channel), "way")  # the others do not fail with it
    finally:
        service.behind(mend)
    assert _ready(service)


def test_health_says_not_ready_until_the_champions_were_looked_at(
    bus_config: BusConfig, store_config: StoreConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_look, look = threading.Event(), Readiness.follow

    async def late(self: Readiness, set_ready: Callable[[bool, str], Awaitable[None]]) -> None:
        await asyncio.to_thread(may_look.wait, 20)
        await look(self, set_ready)

    monkeypatch.setattr(Readiness, "follow", late)
    with running_inference(bus_config, store_config) as fresh:
        try:
            assert not _ready(fresh)
        finally:
            may_look.set()
        _until(lambda: _ready(fresh))


def test_a_model_that_does_not_fit_is_let_go_and_comes_back(
    bus_config: BusConfig, store_config: StoreConfig, service: Running, stub: Any
) -> None:
    _published(service, stub, "big", 3)
    size = len(tiny_model(name="big", seed=1))
    names = {x.name for x in invoke(stub.ListModels, pb.ListModelsRequest()).models}
    room = (len(names) + 1) * (size + 2000)
    with running_inference(bus_config, store_config, model_memory_bytes=room) as small:
        again: Any = InferenceServiceStub(small.channel)
        for version in (1, 2, 3, 2, 1):
            assert _answered(again, "big", model_version=version) == (version, "version")
        index = invoke(
            GRPCInferenceServiceStub(small.channel).RepositoryIndex, oip.RepositoryIndexRequest()
        ).models
        assert any("let go for memory" in x.reason for x in index)
    with running_inference(bus_config, store_config, model_memory_bytes=size // 2) as tiny:
        with pytest.raises(NotReady, match="memory"):
            _answered(InferenceServiceStub(tiny.channel), "big")
        assert not _ready(tiny)


def _ready(running: Running) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(running.channel)
    status = invoke(stub.Check, health_pb2.HealthCheckRequest(service="ready")).status
    return status == health_pb2.HealthCheckResponse.SERVING


def test_old_facts_of_models_still_decode(service: Running) -> None:
    async def work(bus: Bus, store: ObjectStore) -> tuple[ModelFact, ServingFact]:
        old = b'{"name":"m","version":1,"digest":"d","state":"approved","origin":"here"}'
        return bus.facts(ModelFact).decode(old), bus.facts(ServingFact).decode(b'{"name":"m"}')

    model, serving = service.behind(work)
    assert (model.version, serving.champion, serving.canary) == (1, 0, 0)
