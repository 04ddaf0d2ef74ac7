"""Wrapped models give what the foreign model gives on a signal that was prepared outside, by other code."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import pytest
import scipy.ndimage
import scipy.signal

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import absent_outputs, parse_model, read_manifest
from exchangeai.signal.resample import resample
from exchangeai.synthetic import synthetic_window
from services.inference.mapping import Mapping, read_mapping
from services.inference.sessions import Session
from services.inference.vetting import vet
from services.inference.wrapping import wrap
from tests.unit.inference.foreign_models import foreign_model

SAME = 2e-5
"""Of logits: the same arithmetic in another order."""
OTHER_FILTER = 0.02
"""Of probabilities: Fourier resampling, as the published platform does it, has no transition band."""
CLASSES = ("CD", "HYP", "MI", "STTC")
PUBLISHED = {"target_keys": "['CD', 'HYP', 'MI', 'STTC']", "sampling_rate": "100", "standardizer": "None"}
Array = npt.NDArray[Any]
ECG = np.stack([synthetic_window(0), synthetic_window(1) * np.float32(1.5), synthetic_window(2)])


def _given(model: onnx.ModelProto, x: Array) -> Array:
    """What the foreign model gives, run as it is."""
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})[0]


def _wrapped(model: onnx.ModelProto, mapping: Mapping | None = None) -> dict[str, Array]:
    data = wrap(model.SerializeToString(), mapping, "theirs")
    return dict(Session(data, threads=1).run(ECG))


def _mapping(**fields: Any) -> Mapping:
    return Mapping(**{"classes": CLASSES, "task": Task.MULTI_LABEL, "rate_hz": 100.0, **fields})


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("rate_hz", "samples"), [(100, 1000), (250, 2500), (500, 5000), (257, 2570), (360, 3600), (1000, 10000)]
)
def test_resampling_in_the_graph_is_that_of_the_platform(rate_hz: float, samples: int) -> None:
    model = foreign_model(samples=samples)
    outputs = _wrapped(model, _mapping(rate_hz=rate_hz))
    expected = _given(model, resample(ECG, 500.0, rate_hz))
    np.testing.assert_allclose(outputs["logits"], expected, atol=SAME)
    np.testing.assert_allclose(outputs["probabilities"], _sigmoid(expected), atol=SAME)


def test_resampling_agrees_with_scipys_polyphase_and_fourier_filters() -> None:
    model = foreign_model()
    probabilities = _wrapped(model, _mapping())["probabilities"]
    filters: Any = scipy.signal
    for prepared in (filters.resample_poly(ECG, 1, 5, axis=2), filters.resample(ECG, 1000, axis=2)):
        np.testing.assert_allclose(probabilities, _sigmoid(_given(model, prepared)), atol=OTHER_FILTER)


def test_the_published_contract_is_read_from_metadata_and_kept() -> None:
    """Moving median over 201 samples as scipy's median_filter, then the scale, then min-max, then softmax."""
    model = foreign_model(metadata={**PUBLISHED, "standardizer": "minMax", "scale": "mikroVolt"})
    outputs = _wrapped(model)
    x = resample(ECG, 500.0, 100.0)
    x = (x - scipy.ndimage.median_filter(x, size=(1, 1, 201), mode="reflect")) * 1000
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    expected = _given(model, 2 * (x - low) / (high - low) - 1)
    np.testing.assert_allclose(outputs["logits"], expected, atol=10 * SAME)
    np.testing.assert_allclose(outputs["probabilities"], _softmax(expected), atol=10 * SAME)
    z = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    model = foreign_model(metadata={**PUBLISHED, "standardizer": "meanStd"}, transposed=True)
    np.testing.assert_allclose(_wrapped(model)["logits"], _given(model, z.transpose(0, 2, 1)), atol=10 * SAME)


def test_a_wrapped_model_says_what_it_is_and_what_it_does_not_give() -> None:
    data = wrap(foreign_model(metadata=PUBLISHED).SerializeToString(), None, "theirs")
    manifest = vet(data)
    assert [x.name for x in manifest.classes] == list(CLASSES)
    assert (manifest.name, manifest.architecture, manifest.task) == ("theirs", "foreign", Task.SINGLE_LABEL)
    assert absent_outputs(manifest) == {"embedding", "saliency"}
    outputs = Session(data, threads=1).run(ECG)
    assert outputs["embedding"].shape == (3, 0)
    assert outputs["saliency"].shape == (3, 4, 0)
    assert b"/home/someone" not in data
    assert wrap(foreign_model(metadata=PUBLISHED).SerializeToString(), None, "theirs") == data


def test_leads_unit_layout_and_given_normalisation() -> None:
    leads = ("V1", "II", "aVR")
    model = foreign_model(leads=3, transposed=True)
    mean, deviation = (5.0, -3.0, 1.0), (150.0, 200.0, 250.0)
    mapping = _mapping(
        leads=leads,
        unit="uV",
        layout="batch-time-lead",
        normalisation="given",
        mean=mean,
        deviation=deviation,
    )
    x = resample(ECG, 500.0, 100.0)[:, [STANDARD_12.index(v) for v in leads]] * 1000
    x = (x - np.reshape(mean, (1, 3, 1))) / np.reshape(deviation, (1, 3, 1))
    np.testing.assert_allclose(
        _wrapped(model, mapping)["logits"], _given(model, x.transpose(0, 2, 1)), atol=10 * SAME
    )


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("normalisation", ["z-score-lead", "min-max-lead"])
def test_normalisation_by_lead_in_every_generation_of_operators(opset: int, normalisation: str) -> None:
    model = foreign_model(opset=opset)
    x = resample(ECG, 500.0, 100.0)
    if normalisation == "z-score-lead":
        x = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)
    else:
        low, high = x.min(2, keepdims=True), x.max(2, keepdims=True)
        x = 2 * (x - low) / (high - low) - 1
    outputs = _wrapped(model, _mapping(normalisation=normalisation))
    np.testing.assert_allclose(outputs["logits"], _given(model, x), atol=10 * SAME)


def test_a_shorter_model_sees_windows_that_cover_the_record_and_a_longer_one_zeros() -> None:
    x = resample(ECG, 500.0, 100.0)
    short = foreign_model(samples=300)
    outputs = _wrapped(short, _mapping())
    parts = [x[:, :, begin : begin + 300] for begin in (0, 233, 467, 700)]
    expected = np.mean([_given(short, part) for part in parts], axis=0)
    np.testing.assert_allclose(outputs["logits"], expected, atol=SAME)
    long = foreign_model(samples=1500)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 500)))
    np.testing.assert_allclose(_wrapped(long, _mapping())["logits"], _given(long, padded), atol=SAME)


@pytest.mark.parametrize(
    ("activation", "task"), [("Sigmoid", Task.MULTI_LABEL), ("Softmax", Task.SINGLE_LABEL)]
)
def test_a_model_that_gives_probabilities_keeps_them(activation: str, task: Task) -> None:
    model = foreign_model(activation=activation)
    outputs = _wrapped(model, _mapping(task=task, gives="probabilities"))
    expected = _given(model, resample(ECG, 500.0, 100.0))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=SAME)
    back = _sigmoid(outputs["logits"]) if task is Task.MULTI_LABEL else _softmax(outputs["logits"])
    np.testing.assert_allclose(back, expected, atol=SAME)


def test_numbers_come_out_as_they_are_and_an_inner_tensor_may_be_the_embedding() -> None:
    model = foreign_model(classes=1)
    mapping = _mapping(classes=("age",), task=Task.REGRESSION, embedding="features")
    outputs = _wrapped(model, mapping)
    expected = _given(model, resample(ECG, 500.0, 100.0))
    np.testing.assert_allclose(outputs["logits"], expected, atol=SAME)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=SAME)
    assert outputs["embedding"].shape == (3, 8)


MAPPING_FILE = """
name = "mine"
classes = ["CD", "HYP", "MI", "STTC"]
task = "single_label"
rate_hz = 100
normalisation = "z-score-record"
thresholds = [0.1, 0.2, 0.3, 0.4]
licence = "MIT"
source = "https://example.org/model"
"""


def test_a_mapping_file_is_read_and_kept() -> None:
    mapping = read_mapping(MAPPING_FILE)
    assert (mapping.task, mapping.rate_hz, mapping.leads) == (Task.SINGLE_LABEL, 100.0, STANDARD_12)
    manifest = read_manifest(parse_model(wrap(foreign_model().SerializeToString(), mapping, "other")))
    assert (manifest.name, manifest.licence) == ("mine", "MIT")
    assert [x.threshold for x in manifest.classes] == [0.1, 0.2, 0.3, 0.4]
    assert manifest.extra["source"] == "https://example.org/model"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("classes = []", "classes"),
        ('classes = ["a", "a"]', "classes"),
        ("rate_hz = 0", "rate_hz"),
        ('leads = ["I", "X"]', "leads"),
        ('unit = "furlong"', "malformed"),
        ('normalisation = "given"', "mean"),
        ('surprise = "yes"', "surprise"),
        ('name = "../../etc"', "name"),
        ("thresholds = [0.5]", "thresholds"),
        ("a = [[[", "malformed"),
    ],
)
def test_a_wrong_mapping_file_is_refused_by_its_field(change: str, says: str) -> None:
    field = change.split(" ", 1)[0]
    kept = [x for x in MAPPING_FILE.splitlines() if not x.startswith(f"{field} ")]
    with pytest.raises(ContractViolation, match=says):
        read_mapping("\n".join([*kept, change]))


@pytest.mark.parametrize(
    "keys",
    [
        "__import__('os').system('touch planted')",
        "[__import__('os').system('touch planted')]",
        "(lambda: open('planted', 'w'))()",
        "[x for x in ().__class__.__base__.__subclasses__()]",
        "f\"{open('planted', 'w')}\"",
        "[" * 100_000,
        "'" + "A" * 300_000,
        "{'a': 1}",
        "[]",
        "[[1], [2]]",
        "numpy.array(['a'])",
    ],
)
def test_metadata_are_data(keys: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = foreign_model(metadata={**PUBLISHED, "target_keys": keys})
    with pytest.raises(ContractViolation, match="target_keys"):
        wrap(model.SerializeToString(), None, "theirs")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "target_keys"),
        ({**PUBLISHED, "sampling_rate": "fast"}, "sampling_rate"),
        ({**PUBLISHED, "sampling_rate": "nan"}, "rate_hz"),
        ({**PUBLISHED, "standardizer": "exec"}, "standardizer"),
        ({**PUBLISHED, "target_keys": "['a', 'b']"}, "classes"),
    ],
)
def test_metadata_that_do_not_say_enough(metadata: dict[str, str], says: str) -> None:
    with pytest.raises(ContractViolation, match=says):
        wrap(foreign_model(metadata=metadata).SerializeToString(), None, "theirs")


def test_metadata_said_twice_count_once_and_contradictions_are_refused() -> None:
    """The pretrained model that the published platform ships has an entry twice."""
    model = foreign_model(metadata=PUBLISHED)
    model.metadata_props.add(key="target_keys", value=PUBLISHED["target_keys"])
    assert wrap(model.SerializeToString(), None, "theirs")
    model.metadata_props.add(key="target_keys", value="['NORM', 'HYP', 'MI', 'STTC']")
    with pytest.raises(ContractViolation, match="two things of 'target_keys'"):
        wrap(model.SerializeToString(), None, "theirs")


def test_what_cannot_be_wrapped_says_why() -> None:
    def refused(model: onnx.ModelProto, says: str, **fields: Any) -> None:
        with pytest.raises(ContractViolation, match=says):
            wrap(model.SerializeToString(), _mapping(**fields), "theirs")

    refused(foreign_model(opset=12), "opset 12")
    refused(foreign_model(leads=8), "12 leads")
    refused(foreign_model(samples=1000), "samples", samples=900)
    refused(foreign_model(), "input", input="x")
    refused(foreign_model(), "no output", output="x")
    refused(foreign_model(), "embedding", embedding="stem")
    refused(foreign_model(samples=5000), "moving median", rate_hz=500, baseline_s=2.0)
    external = foreign_model()
    external.graph.initializer[0].external_data.add(key="location", value="w.bin")
    refused(external, "external files")
    with pytest.raises(ContractViolation, match="not an ONNX model"):
        wrap(b"\x80\x04.", _mapping(), "theirs")


def test_a_fixed_batch_of_one_is_widened_where_the_graph_allows() -> None:
    model = foreign_model()
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    outputs = _wrapped(model, _mapping())
    expected = _given(foreign_model(), resample(ECG, 500.0, 100.0))
    np.testing.assert_allclose(outputs["logits"], expected, atol=SAME)


def test_torn_files_and_flipped_bytes_never_fail_in_another_way() -> None:
    rng, data = np.random.default_rng(5), foreign_model(metadata=PUBLISHED).SerializeToString()
    for keep in (0.0, 0.01, 0.3, 0.7, 0.999):
        with pytest.raises(ContractViolation):
            wrap(data[: int(len(data) * keep)], None, "theirs")
    for _ in range(20):
        spoilt = bytearray(data)
        # Structure is at both ends, weights between.
        for at in (*rng.integers(0, 1000, 2), *rng.integers(len(data) - 600, len(data), 2)):
            spoilt[at] = int(rng.integers(0, 256))
        with contextlib.suppress(ContractViolation):
            wrap(bytes(spoilt), _mapping(), "theirs")
