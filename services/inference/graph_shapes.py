"""Tells the shape of every tensor of a graph for a given batch, without running it.

ONNX's own inference knows no values that are computed, and its propagation of data computes also what is
huge. Here small values (shapes and what is made of them) are computed node by node, each only when its
result is known to be small, and given to the inference as constants until nothing new is found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SMALL = 4096
"""Elements of a tensor whose values may be computed."""
MAX_PASSES = 100
Shape = tuple[int | None, ...]


def shapes_for(model: onnx.ModelProto, batch: int) -> dict[str, Shape]:
    """Shapes by tensor, with None for a size that cannot be told; the model must have no subgraphs.

    Raises what onnx's inference raises when shapes contradict.
    """
    light = _light(model, batch)
    opsets = {x.domain: x.version for x in model.opset_import}
    shapes = _inferred(light)
    for _ in range(MAX_PASSES):
        if not _fold(light.graph, shapes, opsets):
            break
        shapes = _inferred(light)
    return shapes


def _light(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The graph for this batch, with weights replaced by inputs of their shape."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = "light"
    graph.node.extend(model.graph.node)
    weights = {x.name for x in model.graph.initializer}
    for weight in model.graph.initializer:
        if math.prod(weight.dims) <= SMALL:
            graph.initializer.append(weight)
        else:
            graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    for value in model.graph.input:
        if value.name in weights:
            continue
        kept = graph.input.add()
        kept.CopyFrom(value)
        if kept.type.tensor_type.shape.dim:
            kept.type.tensor_type.shape.dim[0].dim_value = batch
    for value in model.graph.output:
        kept = graph.output.add()
        kept.CopyFrom(value)
        # What the file says of its own tensors is no evidence.
        kept.type.tensor_type.ClearField("shape")
    return light


def _inferred(model: onnx.ModelProto) -> dict[str, Shape]:
    known = onnx.shape_inference.infer_shapes(model)
    shapes: dict[str, Shape] = {x: (None,) for node in model.graph.node for x in node.output if x}
    for weight in model.graph.initializer:
        shapes[weight.name] = tuple(weight.dims)
    for value in (*known.graph.input, *known.graph.value_info, *known.graph.output):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            sizes = value.type.tensor_type.shape.dim
            shapes[value.name] = tuple(x.dim_value if x.HasField("dim_value") else None for x in sizes)
    return shapes


def _fold(graph: onnx.GraphProto, shapes: Mapping[str, Shape], opsets: Mapping[str, int]) -> bool:
    """Replace nodes whose result is small and can be computed by constants; whether there was any."""
    values = {x.name: numpy_helper.to_array(x) for x in graph.initializer}
    last = {x.name for x in graph.output}
    kept: list[onnx.NodeProto] = []
    found = False
    for node in graph.node:
        value = None if set(node.output) & last else _value(node, shapes, values, opsets)
        if value is None:
            kept.append(node)
            continue
        values[node.output[0]] = value
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        found = True
    if found:
        nodes = [_copied(x) for x in kept]
        del graph.node[:]
        graph.node.extend(nodes)
    return found


def _value(
    node: onnx.NodeProto,
    shapes: Mapping[str, Shape],
    values: Mapping[str, npt.NDArray[Any]],
    opsets: Mapping[str, int],
) -> npt.NDArray[Any] | None:
    if len(node.output) != 1:
        return None
    if node.op_type in ("Shape", "Size"):
        shape = shapes.get(node.input[0], (None,))
        sizes = [x for x in shape if x is not None]
        if len(sizes) != len(shape):
            return None
        if node.op_type == "Size":
            return np.array(math.prod(sizes), np.int64)
        ends = {x.name: x.i for x in node.attribute}
        return np.array(sizes[ends.get("start", 0) : ends.get("end", len(sizes))], np.int64)
    result = shapes.get(node.output[0], (None,))
    if any(x is None for x in result) or math.prod(x or 0 for x in result) > SMALL:
        return None
    inputs = {x: values[x] for x in node.input if x and x in values}
    if len(inputs) != len({x for x in node.input if x}):
        return None
    told = [helper.make_tensor_value_info(x, _kind(v), v.shape) for x, v in inputs.items()]
    answer = helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)
    one = helper.make_graph([node], "one", told, [answer])
    try:
        evaluator: Any = ReferenceEvaluator(one, opsets=dict(opsets))
        value = evaluator.run(None, inputs)
    except Exception:  # an operator that the reference lacks, or that its inputs do not suit
        return None
    return np.asarray(value[0])


def _kind(value: npt.NDArray[Any]) -> int:
    return helper.np_dtype_to_tensor_dtype(value.dtype)


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
