"""Checks a model file against the contract without running it: safe, the right names, a whole manifest."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, OUTPUTS, WINDOW_SAMPLES, Manifest, parse_model, read_manifest
from services.inference.graph_safety import refuse_unsafe

MAX_CLASSES = 10_000
MAX_CLASS_NAME = 200


def inspect(data: bytes) -> tuple[onnx.ModelProto, Manifest]:
    """Parse a model file and check everything that can be seen without running it.

    Raises ContractViolation, which says what is wrong.
    """
    model = parse_model(data)
    try:
        refuse_unsafe(model)
        _check_input(model)
        manifest = read_manifest(model)
        _check_classes(manifest)
        _check_outputs(model, len(manifest.classes))
    except UnicodeError as e:
        raise ContractViolation("the file is not an ONNX model: a name in it is no text") from e
    if manifest.golden is None:
        raise ContractViolation(
            "the model's manifest carries no golden record, so its answers cannot be verified"
        )
    return model, manifest


def _check_classes(manifest: Manifest) -> None:
    names = [x.name for x in manifest.classes]
    if len(names) > MAX_CLASSES or len(set(names)) != len(names):
        raise ContractViolation(
            f"the model's manifest names {len(names)} classes, some twice or more than {MAX_CLASSES}"
        )
    for name in names:
        if not name or len(name) > MAX_CLASS_NAME or not name.isprintable():
            raise ContractViolation(
                f"the model's manifest has the class name {name[:40]!r}; names are of 1 to {MAX_CLASS_NAME} "
                "printable characters"
            )
    if any(not 0 <= x.threshold <= 1 for x in manifest.classes) and manifest.task is not Task.REGRESSION:
        raise ContractViolation("the model's manifest has a threshold that is no probability")


def _check_input(model: onnx.ModelProto) -> None:
    weights = {x.name for x in model.graph.initializer}
    inputs = [x for x in model.graph.input if x.name not in weights]
    names = [x.name for x in inputs]
    if names != [INPUT]:
        raise ContractViolation(f"the model's inputs are {names[:8]}; there must be exactly one, {INPUT!r}")
    kind, shape = _kind_and_shape(inputs[0])
    if kind != TensorProto.FLOAT or shape != [None, len(STANDARD_12), WINDOW_SAMPLES]:
        raise ContractViolation(
            f"the model's input {INPUT!r} is {_words(kind, shape)}; it must be float32 "
            f"[batch, {len(STANDARD_12)}, {WINDOW_SAMPLES}] with a free batch size"
        )


def _check_outputs(model: onnx.ModelProto, classes: int) -> None:
    outputs = {x.name: x for x in model.graph.output}
    if sorted(outputs) != sorted(OUTPUTS) or len(model.graph.output) != len(OUTPUTS):
        raise ContractViolation(
            f"the model's outputs are {sorted(outputs)[:8]}; they must be {list(OUTPUTS)}"
        )
    ranks = {"logits": 2, "probabilities": 2, "embedding": 2, "saliency": 3}
    for name, output in outputs.items():
        kind, shape = _kind_and_shape(output)
        per_class = name != "embedding"
        if (
            kind != TensorProto.FLOAT
            or len(shape) != ranks[name]
            or shape[0] is not None
            or (per_class and shape[1] not in (None, classes))
        ):
            raise ContractViolation(
                f"the model's output {name!r} is {_words(kind, shape)}; it must be float32 "
                f"with {ranks[name]} axes, a free batch size{f' and {classes} classes' if per_class else ''}"
            )


def _kind_and_shape(value: onnx.ValueInfoProto) -> tuple[int, list[int | None]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]


def _words(kind: int, shape: list[int | None]) -> str:
    name = (
        TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else f"type {kind}"
    )
    return f"{name} {['batch' if d is None else d for d in shape]}"
