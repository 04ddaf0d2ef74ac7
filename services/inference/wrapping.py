"""Makes a foreign ONNX model one of our contract: nodes around its graph, a manifest, a golden record.

What it does not give is not made up: without an embedding that output has no features, and there is no
saliency, so that output has no steps; the manifest names both in `extra["absent_outputs"]`.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper

from exchangeai.errors import ContractViolation, TooLarge
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import (
    ABSENT_KEY,
    INPUT,
    OUTPUTS,
    WINDOW_SAMPLES,
    Golden,
    Manifest,
    ModelClass,
    TrainingData,
    model_digest,
    pack_window,
    parse_model,
    write_manifest,
)
from exchangeai.synthetic import synthetic_window
from services.inference.front_end import UNITS_PER_MV, Builder
from services.inference.graph_safety import refuse_unsafe
from services.inference.mapping import Mapping, published_mapping, read_mapping
from services.inference.sessions import Session
from services.inference.vetting import MAX_BYTES, check_whole, vet

TARGET = "services.inference.wrapping:wrap_bytes"
"""What `exchangeai.sandbox.Sandbox` is to run: the file is as foreign as any."""
MIN_OPSET = 13
_INSIDE = "foreign/"
_NEAR_ZERO = 1e-7
_LEAST_IR = 8


def wrap_bytes(request: bytes) -> bytes:
    """`wrap` for the sandbox: MessagePack of [file, mapping (TOML, empty for the file's metadata), name]."""
    data, mapping, name = msgspec.msgpack.decode(request, type=tuple[bytes, str, str])
    return wrap(data, read_mapping(mapping) if mapping else None, name)


def wrap(data: bytes, mapping: Mapping | None, name: str) -> bytes:
    """A model file of our contract that gives the foreign model's answers; it has passed vetting.

    Without a mapping, the metadata of the published platform say what the model is. Raises TooLarge or
    ContractViolation.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the model has {len(data)} bytes; at most {MAX_BYTES} are accepted")
    foreign = parse_model(data)
    try:
        refuse_unsafe(foreign)
        opset = next(x.version for x in foreign.opset_import if x.domain in ("", "ai.onnx"))
        if opset < MIN_OPSET:
            raise ContractViolation(f"the model is of opset {opset}; export it with {MIN_OPSET} or later")
        mapping = mapping or published_mapping(foreign)
        # Read by now, and twice the same in files that the published platform ships, which is not valid.
        del foreign.metadata_props[:]
        check_whole(foreign)
        mapping = replace(mapping, name=mapping.name or name)
        model = _joined(foreign, mapping, opset)
    except UnicodeError as e:
        raise ContractViolation("the file is not an ONNX model: a name in it is no text") from e
    absent = "saliency" if mapping.embedding else "embedding,saliency"
    manifest = _manifest(mapping, {"wrapped_digest": model_digest(data), ABSENT_KEY: absent})
    wrapped = write_manifest(model, replace(manifest, golden=_golden(model)))
    vet(wrapped)
    return wrapped


def _joined(foreign: onnx.ModelProto, mapping: Mapping, opset: int) -> onnx.ModelProto:
    shape = _taken(foreign, mapping)
    signal = _output(foreign, mapping)
    inner: onnx.ModelProto = onnx.compose.add_prefix(foreign, _INSIDE)
    around = Builder(opset)
    leads = len(mapping.leads)
    x = around.chosen_leads(INPUT, mapping.leads)
    x, samples = around.resampled(x, leads, mapping.rate_hz)
    if mapping.unit != "mV":
        x = around.node("Mul", x, around.number(UNITS_PER_MV[mapping.unit]))
    if mapping.baseline_s:
        width = 2 * round(mapping.baseline_s * mapping.rate_hz / 2) + 1
        x = around.without_baseline(x, leads, samples, width)
    wanted = mapping.samples or shape[1] or samples
    x, windows = around.windows(x, samples, wanted)
    x = _normalised(around, x, mapping, leads, wanted)
    if mapping.layout == "batch-time-lead":
        x = around.node("Transpose", x, perm=[0, 2, 1])
    around.node("Identity", x, name=_INSIDE + shape[0])
    before = len(around.nodes)
    outputs = _answers(around, mapping, _INSIDE + signal, windows)
    if mapping.embedding:
        features = _features(foreign, mapping.embedding)
        value = around.node("Reshape", _INSIDE + mapping.embedding, around.constant([windows, -1, features]))
        around.node("Identity", around.mean(value, [0], windows, keep=False), name="embedding")
        outputs["embedding"] = ["batch", features]
    else:
        none = around.part("logits", 1, 0, 0)
        around.node("Identity", none, name="embedding")
        outputs["embedding"] = ["batch", 0]
    deep = around.node("Unsqueeze", "logits", around.constant([2]))
    around.node("Identity", around.part(deep, 2, 0, 0), name="saliency")
    outputs["saliency"] = ["batch", len(mapping.classes), 0]
    for node in inner.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    graph = helper.make_graph(
        [*around.nodes[:before], *inner.graph.node, *around.nodes[before:]],
        "wrapped",
        [
            helper.make_tensor_value_info(
                INPUT, TensorProto.FLOAT, ["batch", len(STANDARD_12), WINDOW_SAMPLES]
            )
        ],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, outputs[x]) for x in OUTPUTS],
        [*inner.graph.initializer, *around.constants],
    )
    version = max(foreign.ir_version, _LEAST_IR)
    return helper.make_model(
        graph, opset_imports=foreign.opset_import, ir_version=version, producer_name="exchangeai"
    )


def _normalised(around: Builder, x: str, mapping: Mapping, leads: int, samples: int) -> str:
    of_lead, of_record = ([2], samples), ([1, 2], samples * leads)
    match mapping.normalisation:
        case "z-score-lead":
            return around.standardised(x, *of_lead)
        case "z-score-record":
            return around.standardised(x, *of_record)
        case "min-max-lead":
            return around.spanned(x, of_lead[0])
        case "min-max-record":
            return around.spanned(x, of_record[0])
        case "given":
            return around.given(x, mapping.mean, mapping.deviation)
        case "none":
            return x


def _answers(around: Builder, mapping: Mapping, output: str, windows: int) -> dict[str, list[str | int]]:
    """Logits and probabilities: the mean over windows of what the model gives, and the other made of it."""
    count = len(mapping.classes)
    by_window = around.node("Reshape", output, around.constant([windows, -1, count]))
    mean = around.mean(by_window, [0], windows, keep=False)
    single, logits = mapping.task is Task.SINGLE_LABEL, "logits"
    if mapping.task is Task.REGRESSION:
        around.node("Identity", mean, name="logits")
        # An output must not be another's alias.
        around.node("Mul", mean, around.number(1.0), name="probabilities")
    elif mapping.gives == "logits":
        around.node("Identity", mean, name="logits")
        if single:
            around.node("Softmax", mean, name="probabilities", axis=1)
        else:
            around.node("Sigmoid", mean, name="probabilities")
    else:
        around.node("Identity", mean, name="probabilities")
        low, high = around.number(_NEAR_ZERO), around.number(1 - _NEAR_ZERO)
        inner = around.node("Clip", mean, low, high)
        log = around.node("Log", inner, name="logits" if single else "")
        if not single:
            other = around.node("Log", around.node("Sub", around.number(1.0), inner))
            around.node("Sub", log, other, name=logits)
    return {x: ["batch", count] for x in ("logits", "probabilities")}


def _taken(model: onnx.ModelProto, mapping: Mapping) -> tuple[str, int]:
    """(input's name, samples that it takes or 0), checked against the mapping."""
    weights = {x.name for x in model.graph.initializer}
    inputs = {x.name: x for x in model.graph.input if x.name not in weights}
    name = mapping.input or (next(iter(inputs)) if len(inputs) == 1 else "")
    if len(inputs) != 1 or name not in inputs:
        raise ContractViolation(
            f"the model's inputs are {list(inputs)[:8]}; it must have one, the signal, and the mapping may "
            "name no other"
        )
    tensor = inputs[name].type.tensor_type
    sizes = [x.dim_value if x.HasField("dim_value") else 0 for x in tensor.shape.dim]
    if tensor.elem_type != TensorProto.FLOAT or len(sizes) != 3:
        raise ContractViolation(f"the model's input {name!r} must be float32 with three axes")
    samples, leads = (sizes[2], sizes[1]) if mapping.layout == "batch-lead-time" else (sizes[1], sizes[2])
    if leads not in (0, len(mapping.leads)) or (samples and mapping.samples not in (0, samples)):
        raise ContractViolation(
            f"the model's input is {sizes}, which is not {len(mapping.leads)} leads of "
            f"{mapping.samples or 'any number of'} samples laid out as {mapping.layout}"
        )
    return name, samples


def _output(model: onnx.ModelProto, mapping: Mapping) -> str:
    outputs = {x.name: x for x in model.graph.output}
    name = mapping.output or next(iter(outputs), "")
    if name not in outputs:
        raise ContractViolation(f"the model has no output {name!r}; it has {list(outputs)[:8]}")
    tensor = outputs[name].type.tensor_type
    sizes = [x.dim_value if x.HasField("dim_value") else 0 for x in tensor.shape.dim]
    if tensor.elem_type != TensorProto.FLOAT or (sizes and sizes[-1] not in (0, len(mapping.classes))):
        raise ContractViolation(
            f"the model's output {name!r} is {sizes}, not float32 of the {len(mapping.classes)} classes that "
            "the mapping names"
        )
    return name


def _features(model: onnx.ModelProto, name: str) -> int:
    known = onnx.shape_inference.infer_shapes(model)
    for value in (*known.graph.value_info, *known.graph.output):
        sizes = [x.dim_value for x in value.type.tensor_type.shape.dim]
        if value.name == name and len(sizes) == 2 and sizes[1] > 0:
            return sizes[1]
    raise ContractViolation(f"the model has no tensor {name!r} of [batch, features] to take as embedding")


def _golden(model: onnx.ModelProto) -> Golden:
    window = synthetic_window()
    try:
        outputs = Session(model.SerializeToString(), threads=1).run(np.stack([window, window]))
    except ContractViolation as e:
        raise ContractViolation(
            f"the model does not run behind this mapping on two ECGs at once ({e}); check the layout and the "
            "samples, and export it with a free batch size"
        ) from e
    if len(outputs["logits"]) != 2:
        raise ContractViolation("the model does not give one answer for each ECG of a batch")
    return Golden(
        window=pack_window(window),
        logits=tuple(map(float, outputs["logits"][0])),
        probabilities=tuple(map(float, outputs["probabilities"][0])),
    )


def _manifest(mapping: Mapping, extra: dict[str, str]) -> Manifest:
    count = len(mapping.classes)
    thresholds, codes = mapping.thresholds or (0.5,) * count, mapping.codes or ("",) * count
    if mapping.source:
        extra = {**extra, "source": mapping.source}
    return Manifest(
        name=mapping.name,
        architecture="foreign",
        task=mapping.task,
        classes=tuple(
            ModelClass(name=name, threshold=threshold, code=code)
            for name, threshold, code in zip(mapping.classes, thresholds, codes, strict=True)
        ),
        training=TrainingData(dataset_id="", recordings=0, patients=0, positives=(0,) * count),
        licence=mapping.licence,
        extra={**extra, "mapping": msgspec.json.encode(mapping).decode()},
    )
