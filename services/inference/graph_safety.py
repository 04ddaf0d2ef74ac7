"""Refuses what no model needs and an attacker does: external data, foreign operators, loops, chance."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto, numpy_helper

from exchangeai.errors import ContractViolation

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
CONTROL_FLOW = frozenset({"Loop", "Scan", "If", "SequenceMap"})
"""A 244-byte Loop can run for ever; no model of this contract needs one."""
RANDOM = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"),
        "Bernoulli",
    }
)
"""Equal input must give equal answers."""
OTHER_DATA = frozenset({"ImageDecoder", "StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch"})
"""Decoders and texts: nothing in an ECG is one, and such code has had holes."""
MAX_NODES = 20_000
MIN_OPSET, MAX_OPSET = 11, 26
"""Versions of the standard operators that the runtime here is tested with."""
MAX_METADATA_BYTES = 16 * 1024 * 1024


def refuse_unsafe(model: onnx.ModelProto) -> None:
    """Check every message of the file, wherever it is nested.

    Raises ContractViolation, which says what is wrong.
    """
    if model.training_info:
        # External data may hide there as well: say the graver thing.
        _refuse_external_data(model)
        raise ContractViolation("the model carries training graphs; export it for inference only")
    _refuse_external_data(model)
    if model.functions:
        raise ContractViolation("the model defines functions of its own; inline them before exporting")
    _check_versions(model)
    if sum(len(x.key) + len(x.value) for x in model.metadata_props) > MAX_METADATA_BYTES:
        raise ContractViolation(f"the model's metadata has more than {MAX_METADATA_BYTES} bytes")
    _refuse_nodes(model)


def messages(root: Message) -> Iterator[Message]:
    """Every message inside `root`: by reflection, so that no place can be forgotten."""
    pending = [root]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending.extend(value if field.is_repeated else (value,))


def _refuse_external_data(model: onnx.ModelProto) -> None:
    sparse = False
    for message in messages(model):
        sparse = sparse or isinstance(message, onnx.SparseTensorProto)
        if _has_broken_text(message):
            raise ContractViolation("the file is not an ONNX model: a name in it is no text")
        if isinstance(message, TensorProto) and (
            message.external_data or message.data_location == TensorProto.EXTERNAL
        ):
            raise ContractViolation(
                "the model keeps tensors in external files; a model is one file with its weights inside"
            )
    if sparse:
        # ONNX infers no shapes with them, and a small file would unfold to any size.
        raise ContractViolation("the model has sparse weights; store them dense")


def _has_broken_text(message: Message) -> bool:
    """Whether a text is not UTF-8: protobuf then gives bytes, which nothing here reckons with."""
    return any(
        isinstance(x, bytes)
        for field, value in message.ListFields()
        if field.type == FieldDescriptor.TYPE_STRING
        for x in (value if field.is_repeated else (value,))
    )


def _check_versions(model: onnx.ModelProto) -> None:
    standard = [x.version for x in model.opset_import if x.domain in ("", "ai.onnx")]
    if len(standard) != 1 or not MIN_OPSET <= standard[0] <= MAX_OPSET:
        raise ContractViolation(
            f"the model uses the versions {standard[:4]} of the standard operators (opset); it must be one "
            f"from {MIN_OPSET} to {MAX_OPSET}"
        )


def _refuse_nodes(model: onnx.ModelProto) -> None:
    constants = {x.name: x for x in model.graph.initializer}
    nodes = 0
    for message in messages(model):
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
        if message.op_type in OTHER_DATA:
            raise ContractViolation(
                f"the model uses {message.op_type}; no model of ECGs reads pictures or text"
            )
        if message.op_type in RANDOM or _trains(message, constants):
            raise ContractViolation(
                f"the model uses {message.op_type} in a way that is left to chance or to the batch; equal "
                "input must give equal answers: export it for inference"
            )


def _trains(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> bool:
    if node.op_type == "BatchNormalization":
        return any(x.name == "training_mode" and x.i for x in node.attribute)
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    mode = constants.get(node.input[2])
    return mode is None or bool(numpy_helper.to_array(mode).any())
