"""Foreign models as others make them: a small convolutional network with seeded weights, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper


def foreign_model(
    *,
    samples: int = 1000,
    leads: int = 12,
    classes: int = 4,
    transposed: bool = False,
    activation: str = "",
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
    seed: int = 3,
) -> onnx.ModelProto:
    """Input `arg0` [batch, leads, samples], or time before leads; output `self_1_1` [batch, classes]."""
    rng = np.random.default_rng(seed)
    weights: dict[str, npt.NDArray[Any]] = {
        "stem.weight": rng.normal(0, 0.3, (8, leads, 15)).astype(np.float32),
        "stem.bias": rng.normal(0, 0.1, 8).astype(np.float32),
        "head.weight": rng.normal(0, 2.0, (classes, 8)).astype(np.float32),
        "head.bias": rng.normal(0, 0.3, classes).astype(np.float32),
    }
    first = "arg0"
    nodes: list[onnx.NodeProto] = []
    if transposed:
        nodes.append(helper.make_node("Transpose", [first], ["turned"], perm=[0, 2, 1]))
        first = "turned"
    last = "scores" if activation else "self_1_1"
    nodes += [
        helper.make_node("Conv", [first, "stem.weight", "stem.bias"], ["stem"], strides=[3]),
        helper.make_node("Relu", ["stem"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "head.weight", "head.bias"], [last], transB=1),
    ]
    if activation:
        nodes.append(helper.make_node(activation, [last], ["self_1_1"]))
    shape = ["batch", samples, leads] if transposed else ["batch", leads, samples]
    graph = helper.make_graph(
        nodes,
        "torch-jit-export",
        [helper.make_tensor_value_info("arg0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("self_1_1", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
        doc_string="/home/someone/models/secret.py",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model
