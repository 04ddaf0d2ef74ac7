"""What an answer says beside its findings, several ECGs a call, and kept results, over real servers."""

from __future__ import annotations

import concurrent.futures
import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pydicom
import pytest

from exchangeai.__main__ import main
from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import InvalidArgument, NotFound
from exchangeai.facts import ModelFact, PreprocessedFact, RecordingFact, ResultFact
from exchangeai.findings import Prediction, Provenance
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.model_file import Conformal, Manifest, Scope, write_manifest
from exchangeai.recording import Patient
from exchangeai.rpc import invoke, stream
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.signal.windows import cut, to_bytes
from exchangeai.store import ObjectStore
from exchangeai.testing.models import (
    FEATURES,
    SALIENCY_STEP_SAMPLES,
    synthetic_window,
    tiny_graph,
    tiny_manifest,
)
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import measurements_pb2, prediction_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from services.inference.results import ResultsLog
from services.trainer.evaluation import novelty
from tests.contract.inference_process import Running, running_inference

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
    fact = _publish(service, "strict", _with_everything)
    invoke(stub.Predict, _request(), timeout_s=20)
    return fact


def _with_everything(manifest: Manifest) -> Manifest:
    random = np.random.default_rng(0)
    made = random.gamma(4, 1, (800, FEATURES))
    return replace(
        manifest,
        scope=Scope(min_age_years=18, max_age_years=80, leads=("I", "II", "V6"), min_duration_s=2.5),
        conformal=Conformal(coverage=0.9, low=(0.0, 0.0, 1.0, 1.0, 0.5), high=(0.0, 1.0, 1.0, 0.0, 0.5)),
        novelty=novelty.fit(made[:400], made[:400] * random.gamma(4, 1, (400, 1)), made[400:]),
        classes=tuple(replace(x, code=f"SCP-ECG:{x.name}") for x in manifest.classes),
    )


def _publish(service: Running, name: str, change: Callable[[Manifest], Manifest]) -> ModelFact:
    graph = tiny_graph(seed=len(name))
    return service.publish(write_manifest(graph, change(tiny_manifest(graph, name=name))), name)


def _tensor(windows: np.ndarray[Any, Any], valid: Sequence[int] = ()) -> pb.EcgTensor:
    values = np.ascontiguousarray(windows, "<f4")
    return pb.EcgTensor(shape=values.shape, values_mv=values.tobytes(), valid_samples=valid)


def _request(**fields: Any) -> pb.PredictRequest:
    ecg = {} if "recording_id" in fields else {"tensor": _tensor(synthetic_window()[None])}
    return pb.PredictRequest(**{"model_name": "strict", **ecg, **fields})


def _ingested(service: Running, key: str, age_years: int | None = None, *, seed: int = 0) -> str:
    """Leave behind what ingest and preprocess leave behind."""
    leads = dict(zip(STANDARD_12, synthetic_window(seed), strict=True))
    quality = Quality(
        verdict=Verdict.LIMITED,
        reasons=("a caution",),
        leads=tuple(LeadQuality(lead=x) for x in STANDARD_12),
        flags=("pacing_spikes",),
    )
    preprocessed = PreprocessedFact(
        recording_id=key, preprocessing_version=PREPROCESSING_VERSION, windows=1, quality=quality
    )

    async def work(bus: Bus, store: ObjectStore) -> None:
        await store.put(f"windows/{key}.npz", to_bytes(cut(leads)))
        known = RecordingFact(recording_id=key, patient=Patient(age_years=age_years))
        await bus.facts(RecordingFact).put(key, known)
        await bus.facts(PreprocessedFact).put(key, preprocessed)

    service.behind(work)
    return key


def _codes(answer: pb.PredictResponse) -> list[str]:
    return [prediction_pb2.RefusalCode.Name(x.code).removeprefix("REFUSAL_CODE_") for x in answer.refusals]


def test_an_answer_tells_where_it_comes_from_and_how_sure_it_is(stub: Any, model: ModelFact) -> None:
    answer = invoke(stub.Predict, _request())
    origin = answer.provenance
    assert (origin.model_digest, origin.runtime_version) == (model.digest, onnxruntime.__version__)
    for field in origin.DESCRIPTOR.fields:
        assert getattr(origin, field.name), field.name
    said = {
        x.name: prediction_pb2.ConformalVerdict.Name(x.conformal).split("_", 2)[2] for x in answer.findings
    }
    assert said == {
        "NORM": "HOLDS",
        "MI": "UNDECIDED",
        "STTC": "DOES_NOT_HOLD",
        "CD": "UNDECIDED",
        "HYP": "HOLDS" if answer.findings[4].probability > 0.5 else "DOES_NOT_HOLD",
    }
    assert answer.findings[0].code == "SCP-ECG:NORM"
    assert 0 <= answer.ood.percentile <= 100
    assert answer.ood.limit_percentile == 99.5
    assert answer.windows[0].ood == answer.ood
    assert not answer.refusals
    assert answer.notes[0] == "the age is not known; the model was trained on people of 18 to 80 years"
    assert not answer.embedding
    assert not answer.windows[0].HasField("saliency")


def test_saliency_and_embedding_come_when_asked_for(stub: Any, model: ModelFact) -> None:
    windows = np.stack([synthetic_window(1), synthetic_window(2)])
    answer = invoke(
        stub.Predict, _request(tensor=_tensor(windows), include_saliency=True, include_embedding=True)
    )
    for window in answer.windows:
        steps = windows.shape[2] // SALIENCY_STEP_SAMPLES
        assert (window.saliency.classes, window.saliency.steps) == (5, steps)
        assert window.saliency.step_s == pytest.approx(SALIENCY_STEP_SAMPLES / 500)
        assert len(window.saliency.values) == 5 * steps
        assert len(window.embedding) == FEATURES
    mean = np.mean([x.embedding for x in answer.windows], axis=0)
    np.testing.assert_allclose(answer.embedding, mean, rtol=1e-6)
    assert answer.ood.ood_score == pytest.approx(np.mean([x.ood.ood_score for x in answer.windows]))


def test_what_is_unlike_the_training_data_is_told(stub: Any, model: ModelFact) -> None:
    requests = (_request(tensor=_tensor(synthetic_window()[None] * x)) for x in (1, 6))
    usual, tall = (invoke(stub.Predict, x) for x in requests)
    assert tall.findings  # it is told, not refused
    assert tall.ood.outside
    assert tall.ood.percentile == 100
    assert tall.ood.ood_score > usual.ood.ood_score
    assert "unlike those that the model has learned from" in tall.notes[-1]


@pytest.mark.parametrize(("age", "code"), [(17, ["AGE_OUTSIDE"]), (18, []), (80, []), (81, ["AGE_OUTSIDE"])])
def test_an_age_that_the_model_has_not_seen_is_refused(
    stub: Any, model: ModelFact, age: int, code: list[str]
) -> None:
    answer = invoke(stub.Predict, _request(age_years=age))
    assert _codes(answer) == code
    assert bool(answer.findings) == (not code)
    if code:
        assert answer.refusals[0].text == (
            f"the person is {age} years old; the model was trained on people of 18 to 80 years"
        )
        assert not answer.windows
        assert answer.provenance.model_digest == model.digest


def test_the_recordings_own_age_counts_unless_the_caller_says_another(
    service: Running, stub: Any, model: ModelFact
) -> None:
    key = _ingested(service, "a1" * 32, age_years=7)
    assert _codes(invoke(stub.Predict, _request(recording_id=key))) == ["AGE_OUTSIDE"]
    answer = invoke(stub.Predict, _request(recording_id=key, age_years=40))
    assert answer.findings
    assert not answer.notes or "age" not in answer.notes[0]
    assert answer.quality.verdict == measurements_pb2.QUALITY_VERDICT_LIMITED
    assert list(answer.quality.flags) == ["pacing_spikes"]  # limited passes, with its flags


def test_missing_leads_and_short_recordings_are_refused_with_all_reasons(stub: Any, model: ModelFact) -> None:
    window = synthetic_window()[None].copy()
    window[:, 3] = 0  # aVR, which the model does not need
    assert "LEAD_MISSING" not in _codes(invoke(stub.Predict, _request(tensor=_tensor(window))))
    window[:, [0, 11]] = 0
    window[:, :, 1200:] = 0
    answer = invoke(stub.Predict, _request(tensor=_tensor(window, [1200]), age_years=5))
    assert {"AGE_OUTSIDE", "LEAD_MISSING", "TOO_SHORT"} <= set(_codes(answer))
    texts = " | ".join(x.text for x in answer.refusals)
    assert "missing: I, V6" in texts
    assert "lasts 2.4 s; the model needs 2.5 s" in texts
    assert not answer.findings


def test_what_cannot_be_analysed_is_refused_with_its_reasons(stub: Any, model: ModelFact) -> None:
    answer = invoke(stub.Predict, _request(tensor=_tensor(np.zeros((1, 12, 5000)))))
    assert answer.quality.verdict == measurements_pb2.QUALITY_VERDICT_NOT_ANALYSABLE
    assert "NOT_ANALYSABLE" in _codes(answer)
    said = [x.text for x in answer.refusals if x.code == prediction_pb2.REFUSAL_CODE_NOT_ANALYSABLE]
    assert said == list(answer.quality.reasons)


def test_a_model_without_contract_or_detector_answers_as_before(service: Running, stub: Any) -> None:
    _publish(service, "plain", lambda x: x)
    answer = invoke(stub.Predict, _request(model_name="plain", age_years=3), timeout_s=20)
    assert answer.findings
    assert not answer.HasField("ood")
    assert {x.conformal for x in answer.findings} == {prediction_pb2.CONFORMAL_VERDICT_UNSPECIFIED}


def _varied(count: int) -> list[pb.PredictRequest]:
    """Good ones, an unknown model, a wrong shape, an unset ECG and a refused one, in turn."""
    kinds = [
        lambda i: _request(tensor=_tensor(synthetic_window(i)[None])),
        lambda i: _request(model_name=f"nobody-{i}"),
        lambda i: _request(tensor=pb.EcgTensor(shape=[1, 12, 10 + i])),
        lambda i: pb.PredictRequest(model_name="strict"),
        lambda i: _request(age_years=3),
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
        yield pb.PredictStreamRequest(id="first", request=_request())
        assert more.wait(10)
        yield pb.PredictStreamRequest(id="second", request=_request())

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
        invoke(stub.Predict, _request(model_name="delivered"), timeout_s=60)
        assert len(_answers_under_load(stub, "delivered", 100)) == 1


def _answers_under_load(stub: Any, name: str, times: int) -> set[bytes]:
    """What is answered on one ECG, but for the request's id, while five others ask for other ECGs."""
    request = _request(model_name=name, include_embedding=True, include_saliency=True)
    stop = threading.Event()

    def others(seed: int) -> int:
        done = 0
        while not stop.is_set():
            ecgs = np.stack([synthetic_window(seed + done + i) for i in range(1 + done % 3)])
            # With the same outputs as those of the others, so that they join its batches.
            also = {"include_embedding": True, "include_saliency": True} if done % 2 else {}
            invoke(stub.Predict, _request(model_name=name, tensor=_tensor(ecgs), **also), timeout_s=60)
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


def test_results_are_kept_once_listed_in_pages_and_exported(
    service: Running, stub: Any, model: ModelFact, tmp_path: Path
) -> None:
    keys = [_ingested(service, f"{i:064x}", age_years=50, seed=i) for i in range(1, 6)]
    _publish(service, "other", lambda x: x)
    other = _request(model_name="other", recording_id=keys[0], record_result=True)
    answers = {k: invoke(stub.Predict, _request(recording_id=k, record_result=True)) for k in keys}
    invoke(stub.Predict, other, timeout_s=20)
    again = invoke(stub.Predict, _request(recording_id=keys[0], record_result=True))
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


def test_only_stored_recordings_have_results(stub: Any, model: ModelFact) -> None:
    with pytest.raises(InvalidArgument, match="recording_id"):
        invoke(stub.Predict, _request(record_result=True))
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
