"""Answers that are kept: once, listed in pages, exported, and gone with their recording."""

from __future__ import annotations

import concurrent.futures
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest

from exchangeai.__main__ import main
from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import InvalidArgument, NotFound
from exchangeai.facts import ModelFact, ResultFact
from exchangeai.findings import Prediction, Provenance
from exchangeai.measurements import Quality, Verdict
from exchangeai.rpc import invoke, stream
from exchangeai.store import ObjectStore
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from services.inference.results import ResultsLog
from tests.contract.inference_process import Running, running_inference
from tests.contract.strict_model import ingested, publish, request_for, with_everything


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


def test_results_are_kept_once_listed_in_pages_and_exported(
    service: Running, stub: Any, model: ModelFact, tmp_path: Path
) -> None:
    keys = [ingested(service, f"{i:064x}", age_years=50, seed=i) for i in range(1, 6)]
    publish(service, "other", lambda x: x)
    other = request_for(model_name="other", recording_id=keys[0], record_result=True)
    answers = {k: invoke(stub.Predict, request_for(recording_id=k, record_result=True)) for k in keys}
    invoke(stub.Predict, other, timeout_s=20)
    again = invoke(stub.Predict, request_for(recording_id=keys[0], record_result=True))
    assert again.provenance.request_id != answers[keys[0]].provenance.request_id

    def listed(**fields: Any) -> list[pb.Result]:
        found: list[pb.Result] = []
        token = ""
        while True:
            page = invoke(
                stub.ListResults,
                pb.ListResultsRequest(filter=pb.ResultFilter(**fields), page_size=2, page_token=token),
            )
            assert len(page.results) <= 2
            found.extend(page.results)
            token = page.next_page_token
            if not token:
                return found

    of_model = listed(model_name="strict")
    assert [x.recording_id for x in of_model] == keys
    for kept in of_model:
        given = answers[kept.recording_id]
        del given.windows[:]
        assert kept.answer == given
        assert kept.recorded_at.seconds > 0
    assert [x.answer.provenance.model_name for x in listed(recording_id=keys[0])] == ["strict", "other"]
    assert len(listed(recording_id=keys[0], model_name="other", model_version=1)) == 1
    assert not listed(model_name="other", model_version=2)
    assert not listed(recording_id="0" * 64)
    assert len(listed()) == 6

    files = _exported(stub, pb.RESULT_FORMAT_PARQUET, model_name="strict")
    table = pq.read_table(io.BytesIO(files["results.parquet"])).to_pylist()
    assert len(table) == 25
    assert {x["model_digest"] for x in table} == {model.digest}
    assert _exported(stub, pb.RESULT_FORMAT_CSV)["results.csv"].count(b"\n") == 31
    bundles = _exported(stub, pb.RESULT_FORMAT_FHIR, model_name="strict")
    assert len(bundles) == 5
    assert all(json.loads(x)["resourceType"] == "Bundle" for x in bundles.values())
    assert main(["results", "export", "--from", service.address, "--to", "csv", "--out", str(tmp_path)]) == 0
    assert [x.name for x in tmp_path.iterdir()] == ["results.csv"]
    assert (tmp_path / "results.csv").read_bytes() == _exported(stub, pb.RESULT_FORMAT_CSV)["results.csv"]
    chosen = ["--to", "dicom-sr", "--recording", keys[1], "--model", "strict:1"]
    assert main(["results", "export", "--from", service.address, "--out", str(tmp_path), *chosen]) == 0
    assert len(list(tmp_path.glob("*.dcm"))) == 1
    documents = _exported(stub, pb.RESULT_FORMAT_DICOM_SR, recording_id=keys[0])
    assert [pydicom.dcmread(io.BytesIO(x)).PatientID for x in documents.values()] == [keys[0]] * 2


def _exported(stub: Any, chosen: pb.ResultFormat, **fields: Any) -> dict[str, bytes]:
    request = pb.ExportResultsRequest(filter=pb.ResultFilter(**fields), format=chosen)
    files: dict[str, bytes] = defaultdict(bytes)
    file = ""
    for part in stream(stub.ExportResults, request, timeout_s=30):
        file = part.file_name or file
        files[file] += part.chunk
    return dict(files)


def test_a_service_may_keep_every_answer_and_many_at_once_keep_one(
    service: Running, model: ModelFact, bus_config: BusConfig, store_config: StoreConfig
) -> None:
    key = ingested(service, "cc" * 32, age_years=50)
    with running_inference(bus_config, store_config, results_log=True) as keeping:
        stub = InferenceServiceStub(keeping.channel)
        request = request_for(recording_id=key)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: invoke(stub.Predict, request, timeout_s=30), range(12)))
        invoke(stub.Predict, request_for())  # of no recording
        page = invoke(
            stub.ListResults, pb.ListResultsRequest(filter=pb.ResultFilter(recording_id=key)), timeout_s=10
        )
    [kept] = page.results
    assert kept.answer.provenance.request_id in {x.provenance.request_id for x in answers}


def test_only_stored_recordings_have_results(stub: Any, model: ModelFact) -> None:
    with pytest.raises(InvalidArgument, match="recording_id"):
        invoke(stub.Predict, request_for(record_result=True))
    with pytest.raises(InvalidArgument, match="token"):
        invoke(stub.ListResults, pb.ListResultsRequest(filter=pb.ResultFilter(), page_token="no"))
    with pytest.raises(InvalidArgument, match="format"):
        list(stream(stub.ExportResults, pb.ExportResultsRequest(filter=pb.ResultFilter()), timeout_s=5))


def test_a_result_of_a_recording_erased_meanwhile_is_not_left_behind(
    service: Running, stub: Any, model: ModelFact
) -> None:
    key = "ee" * 32
    prediction = Prediction(findings=(), quality=Quality(verdict=Verdict.ANALYSABLE))
    provenance = Provenance(
        model_name="strict",
        model_version=1,
        model_digest=model.digest,
        input_digest=key,
        code_version="t",
        preprocessing_version="1",
        runtime_version="t",
        request_id="r",
        notice="n",
    )

    async def work(bus: Bus, store: ObjectStore) -> tuple[list[str], list[str]]:
        with pytest.raises(NotFound, match="erased"):
            await ResultsLog(bus, store, lambda: 1.0).record(key, prediction, provenance)
        facts = await bus.facts(ResultFact).matching([f"{key}.*.*"], most=10)
        return [x.key for x in facts], await store.list(f"results/{key}/")

    assert service.behind(work) == ([], [])
