"""What an answer says beside its findings, and when there are none, over real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from exchangeai.client import connect
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.facts import ModelFact
from exchangeai.model_file import Manifest
from exchangeai.rpc import invoke
from exchangeai.testing.models import (
    FEATURES,
    SALIENCY_STEP_SAMPLES,
    synthetic_window,
)
from exchangeai.v1 import measurements_pb2, prediction_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.contract.inference_process import Running, running_inference
from tests.contract.strict_model import codes, ingested, publish, request_for, tensor_of, with_everything


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


def test_an_answer_tells_where_it_comes_from_and_how_sure_it_is(stub: Any, model: ModelFact) -> None:
    answer = invoke(stub.Predict, request_for())
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
        stub.Predict, request_for(tensor=tensor_of(windows), include_saliency=True, include_embedding=True)
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
    requests = (request_for(tensor=tensor_of(synthetic_window()[None] * x)) for x in (1, 6))
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
    answer = invoke(stub.Predict, request_for(age_years=age))
    assert codes(answer) == code
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
    key = ingested(service, "a1" * 32, age_years=7)
    assert codes(invoke(stub.Predict, request_for(recording_id=key))) == ["AGE_OUTSIDE"]
    answer = invoke(stub.Predict, request_for(recording_id=key, age_years=40))
    assert answer.findings
    assert answer.notes[0] == "the age of 40 years was stated by the caller"
    assert answer.quality.verdict == measurements_pb2.QUALITY_VERDICT_LIMITED
    assert list(answer.quality.flags) == ["pacing_spikes"]  # limited passes, with its flags


def test_missing_leads_and_short_recordings_are_refused_with_all_reasons(stub: Any, model: ModelFact) -> None:
    window = synthetic_window()[None].copy()
    window[:, 3] = 0  # aVR, which the model does not need
    assert "LEAD_MISSING" not in codes(invoke(stub.Predict, request_for(tensor=tensor_of(window))))
    window[:, [0, 11]] = 0
    window[:, :, 1200:] = 0
    answer = invoke(stub.Predict, request_for(tensor=tensor_of(window, [1200]), age_years=5))
    assert {"AGE_OUTSIDE", "LEAD_MISSING", "TOO_SHORT"} <= set(codes(answer))
    texts = " | ".join(x.text for x in answer.refusals)
    assert "missing: I, V6" in texts
    assert "lasts 2.4 s; the model needs 2.5 s" in texts
    assert not answer.findings


def test_what_cannot_be_analysed_is_refused_with_its_reasons(stub: Any, model: ModelFact) -> None:
    answer = invoke(stub.Predict, request_for(tensor=tensor_of(np.zeros((1, 12, 5000)))))
    assert answer.quality.verdict == measurements_pb2.QUALITY_VERDICT_NOT_ANALYSABLE
    assert "NOT_ANALYSABLE" in codes(answer)
    said = [x.text for x in answer.refusals if x.code == prediction_pb2.REFUSAL_CODE_NOT_ANALYSABLE]
    assert said == list(answer.quality.reasons)


def test_raw_outputs_come_with_what_the_gate_and_the_detector_say(service: Running, stub: Any) -> None:
    def lenient(manifest: Manifest) -> Manifest:
        made = with_everything(manifest)
        assert made.novelty
        # Between the scores of the first two windows.
        return replace(made, novelty=replace(made.novelty, limit=3.2))

    publish(service, "nearer", lenient)
    invoke(stub.Predict, request_for(model_name="nearer"), timeout_s=20)
    windows = np.stack([synthetic_window() * x for x in (1, 6, 1, 1, 0)])
    windows[2, [0, 11]] = 0
    windows[3, :, 1200:] = 0
    with connect(service.address) as client:
        raw = client.infer(windows, "nearer", outputs=["probabilities"])
        whole = client.infer(windows, "nearer")
        without = client.infer(windows, "nearer", outputs=["probabilities"], assess_quality=False)
    told = raw.parameters
    assert list(raw.arrays) == ["probabilities"]
    assert told["outside_scope"] == "no,no,lead_missing,too_short,lead_missing+too_short"
    reasons = [x.split(": ", 1) for x in told["outside_scope_reasons"].split(" | ")]
    assert [x for x, _ in reasons] == ["2", "3", "4"]
    # What the typed door says of each window by itself, it says in the same words.
    scores, outside = told["novelty_score"].split(","), told["novelty_outside"].split(",")
    assert outside[:2] == ["no", "yes"]
    for i in range(2):
        ood = invoke(stub.Predict, request_for(model_name="nearer", tensor=tensor_of(windows[i : i + 1]))).ood
        assert (float(scores[i]), outside[i]) == (
            pytest.approx(ood.ood_score, rel=1e-5),
            "yes" if ood.outside else "no",
        )
    for (number, said), valid in zip(reasons, (5000, 1200, 0), strict=True):
        window = windows[int(number)][None]
        typed = invoke(stub.Predict, request_for(model_name="nearer", tensor=tensor_of(window, [valid])))
        assert said == "; ".join(
            x.text for x in typed.refusals if x.code != prediction_pb2.REFUSAL_CODE_NOT_ANALYSABLE
        )
    assert whole.parameters == told
    # Who leaves the assessment out gets the same outputs, and nothing is made of them.
    np.testing.assert_array_equal(without["probabilities"], raw["probabilities"])
    further = {"outside_scope", "outside_scope_reasons", "novelty_score", "novelty_outside"}
    assert set(told) - set(without.parameters) == further
    assert without.parameters["quality"] == "not_assessed"


def test_a_model_without_contract_or_detector_answers_as_before(service: Running, stub: Any) -> None:
    publish(service, "plain", lambda x: x)
    answer = invoke(stub.Predict, request_for(model_name="plain", age_years=3), timeout_s=20)
    assert answer.findings
    assert not answer.HasField("ood")
    assert {x.conformal for x in answer.findings} == {prediction_pb2.CONFORMAL_VERDICT_UNSPECIFIED}
    with connect(service.address) as client:
        told = client.infer(synthetic_window(), "plain").parameters
    assert told["quality"]
    assert not [x for x in told if x.startswith(("outside", "novelty"))]
