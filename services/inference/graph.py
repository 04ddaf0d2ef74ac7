"""Checks an ONNX graph without running it: nothing external, nothing custom, no loops, the right names."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message
from onnx import TensorProto

from exchangeai.errors import ContractViolation
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, OUTPUTS, WINDOW_SAMPLES, Manifest, parse_model, read_manifest

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
CONTROL_FLOW = frozenset({"Loop", "Scan", "If", "SequenceMap"})
"""A 244-byte Loop can run for ever; no model of this contract needs one."""
MAX_NODES = 20_000


def inspect(data: bytes) -> tuple[onnx.ModelProto, Manifest]:
    """Parse a model file and check everything that can be seen without running it.

    Raises ContractViolation, which says what is wrong.
    """
    model = parse_model(data)
    try:
        _refuse_external_data(model)
        _refuse_foreign_nodes(model)
        _check_input(model)
        manifest = read_manifest(model)
        _check_outputs(model, len(manifest.classes))
    except UnicodeError as e:
        raise ContractViolation("the file is not an ONNX model: a name in it is no text") from e
    if manifest.golden is None:
        raise ContractViolation(
            "the model's manifest carries no golden record, so its answers cannot be verified"
        )
    return model, manifest


def _messages(root: Message) -> Iterator[Message]:
    """Every message inside `root`: by reflection, so that no place can be forgotten."""
    pending = [root]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending.extend(value if field.is_repeated else (value,))


def _refuse_external_data(model: onnx.ModelProto) -> None:
    for message in _messages(model):
        if isinstance(message, TensorProto) and (
            message.external_data or message.data_location == TensorProto.EXTERNAL
        ):
            raise ContractViolation(
                "the model keeps tensors in external files; a model is one file with its weights inside"
            )


def _refuse_foreign_nodes(model: onnx.ModelProto) -> None:
    if model.training_info:
        raise ContractViolation("the model carries training graphs; export it for inference only")
    if model.functions:
        raise ContractViolation("the model defines functions of its own; inline them before exporting")
    nodes = 0
    for message in _messages(model):
        if not isinstance(message, onnx.NodeProto):
            continue
        nodes += 1
        if nodes > MAX_NODES:
            raise ContractViolation(f"the model has more than {MAX_NODES} nodes")
        if message.domain not in DOMAINS:
            raise ContractViolation(
                f"the model uses the operator domain {message.domain[:80]!r}; only standard ONNX may run"
            )
        if message.op_type in CONTROL_FLOW:
            raise ContractViolation(f"the model uses {message.op_type}; control flow is refused")


def _check_input(model: onnx.ModelProto) -> None:
    weights = {x.name for x in model.graph.initializer} | {
        x.values.name for x in model.graph.sparse_initializer
    }
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
