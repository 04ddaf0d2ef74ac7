"""The core of predicting: the gate, the windows that count, the mean, and work that comes too late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from exchangeai.errors import ContractViolation, Overloaded, TooLarge
from exchangeai.facts import ModelFact, ModelState, Task
from exchangeai.measurements import Quality, Verdict
from exchangeai.model_file import OUTPUTS, Conformal, ModelClass, model_digest
from exchangeai.testing.models import synthetic_window, tiny_model
from services.inference import tensors
from services.inference.batching import Batcher
from services.inference.devices import Device, placement
from services.inference.gate import Ecg
from services.inference.loading import LoadedModel
from services.inference.predict import Predictor, findings
from services.inference.sessions import Session
from services.inference.sources import assess_tensor
from services.inference.vetting import vet
from tests.unit.signal.recordings import real_ecg


def _loaded(task: Task = Task.MULTI_LABEL) -> LoadedModel:
    data = tiny_model(task=task)
    fact = ModelFact(
        name="tiny", version=1, digest=model_digest(data), state=ModelState.APPROVED, origin="here"
    )
    return LoadedModel(fact=fact, manifest=vet(data), session=Session(data, threads=1))


def _ecg(valid_samples: list[int], verdict: Verdict = Verdict.ANALYSABLE) -> Ecg:
    return Ecg(
        values_mv=np.stack([synthetic_window(seed=i) for i in range(len(valid_samples))]),
        valid_samples=np.array(valid_samples, np.int32),
        quality=Quality(verdict=verdict, reasons=() if verdict is Verdict.ANALYSABLE else ("a reason",)),
        input_digest="0" * 64,
        preprocessing_version="1",
    )


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    with Batcher(2) as batcher:
        yield Predictor(batcher)


async def test_the_recording_is_the_mean_of_its_windows(predictor: Predictor) -> None:
    answer = await predictor.predict(_loaded(), _ecg([5000, 5000, 2500, 2499]))
    assert [x.start_s for x in answer.windows] == [0.0, 10.0, 20.0]
    for i, whole in enumerate(answer.findings):
        mean = np.mean([x.findings[i].probability for x in answer.windows])
        assert whole.probability == pytest.approx(mean)
        assert whole.present == (whole.probability >= whole.threshold)


async def test_a_short_recording_is_answered_with_its_only_window(predictor: Predictor) -> None:
    answer = await predictor.predict(_loaded(), _ecg([1500], Verdict.LIMITED))
    assert len(answer.windows) == 1
    assert answer.quality.reasons


async def test_what_cannot_be_analysed_gets_reasons_and_no_findings(predictor: Predictor) -> None:
    answer = await predictor.predict(_loaded(), _ecg([5000], Verdict.NOT_ANALYSABLE))
    assert answer.findings == answer.windows == ()
    assert answer.quality.reasons == ("a reason",)


def test_single_label_names_the_most_probable_class_only() -> None:
    model = _loaded(Task.SINGLE_LABEL)
    found = findings(np.array([0.1, 0.2, 0.4, 0.2, 0.1]), model.manifest)
    assert [x.present for x in found] == [False, False, True, False, False]


async def test_many_windows_go_in_batches_and_give_what_one_by_one_gives(predictor: Predictor) -> None:
    model = _loaded()
    most = placement(Device.CPU).most_windows
    values = np.stack([synthetic_window(seed=i) for i in range(3 * most + 3)])
    together = await predictor.infer(model, values)
    assert tuple(together) == OUTPUTS
    for i in (0, most, 3 * most + 2):
        alone = await predictor.infer(model, values[i : i + 1], ("probabilities",))
        np.testing.assert_allclose(together["probabilities"][i], alone["probabilities"][0], atol=1e-6)


async def test_work_whose_deadline_has_passed_is_not_begun() -> None:
    with Batcher(1, clock=lambda: 100.0) as batcher:
        predictor = Predictor(batcher)
        with pytest.raises(Overloaded, match="deadline"):
            await predictor.predict(_loaded(), _ecg([5000]), deadline=99.0)
        assert (await predictor.predict(_loaded(), _ecg([5000]), deadline=101.0)).findings


@pytest.mark.parametrize(
    ("shape", "raw", "says"),
    [
        ([12, 5000], bytes(240_000), r"\[12, 5000\]"),
        ([1, 5000, 12], bytes(240_000), r"\[1, 5000, 12\]"),
        ([0, 12, 5000], b"", "n >= 1"),
        ([1, 12, 5000], bytes(239_999), "239999 bytes; expected 240000"),
        ([1, 12, 5000], np.full(60_000, np.nan, "<f4").tobytes(), "NaN"),
        ([1, 12, 5000], np.full(60_000, np.inf, "<f4").tobytes(), "infinite"),
    ],
)
def test_a_tensor_off_the_contract_is_refused(shape: list[int], raw: bytes, says: str) -> None:
    with pytest.raises(ContractViolation, match=says):
        tensors.from_bytes(shape, raw)


def test_a_tensor_over_the_limit_is_refused_before_its_bytes_are_touched() -> None:
    with pytest.raises(TooLarge, match="128"):
        tensors.from_bytes([10**12, 12, 5000], b"")


@pytest.mark.parametrize("valid", [[5001], [-1], [5000, 5000]])
def test_valid_samples_off_the_contract_are_refused(valid: list[int]) -> None:
    with pytest.raises(ContractViolation, match="valid_samples"):
        tensors.check_valid_samples(valid, 1)


def test_tensors_are_judged_like_recordings() -> None:
    full = np.array([5000], np.int32)
    real = np.stack([lead.samples for lead in real_ecg()[0].leads])[None]
    assert assess_tensor(real, full).verdict is Verdict.ANALYSABLE
    # Its chest leads are no heart's, which is no reason to refuse it.
    assert assess_tensor(synthetic_window()[None], full).verdict is Verdict.LIMITED
    assert assess_tensor(np.zeros((1, 12, 5000), np.float32), full).verdict is Verdict.NOT_ANALYSABLE
    assert assess_tensor(synthetic_window()[None] * 1000, full).verdict is Verdict.NOT_ANALYSABLE
    assert assess_tensor(synthetic_window()[None], full * 0).verdict is Verdict.NOT_ANALYSABLE


def test_numbers_come_with_the_bounds_of_the_manifest_and_without_probabilities() -> None:
    manifest = replace(
        _loaded().manifest,
        task=Task.REGRESSION,
        classes=(ModelClass(name="QTc", threshold=0.0), ModelClass(name="age", threshold=0.0)),
        conformal=Conformal(coverage=0.9, low=(-20.0, -8.0), high=(25.0, 9.0)),
    )
    qtc, age = findings(np.array([420.0, 60.0]), manifest)
    assert (qtc.value, qtc.low, qtc.high) == (420.0, 400.0, 445.0)
    assert (age.value, age.low, age.high) == (60.0, 52.0, 69.0)
    assert (qtc.probability, qtc.present) == (0.0, False)
    bare = findings(np.array([420.0, 60.0]), replace(manifest, conformal=None))[0]
    assert (bare.value, bare.low, bare.high) == (420.0, None, None)
