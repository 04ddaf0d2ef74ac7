"""Bounds the memory of a graph before it runs: how large each tensor gets, and that no signal decides it."""

from __future__ import annotations

import math

import onnx

from exchangeai.errors import ContractViolation
from services.inference.graph_shapes import shapes_for

MAX_ELEMENTS = 1 << 24
"""Of one tensor for one ECG: 64 MiB of float32. The largest of our own architectures needs a quarter."""
MANY = 64
"""ECGs in one batch, for which memory must not grow faster than their number."""
SHAPE_INPUTS: dict[str, tuple[int, ...]] = {
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "ConstantOfShape": (0,),
    "DFT": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1, 2),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    "Col2Im": (1, 2),
    "GridSample": (),
}
"""Inputs whose values decide how large the output is."""
COUNTING = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression", "SplitToSequence"})
"""Operators whose output is as large as the values of their input say."""
_SHAPE_ONLY = frozenset({"Shape", "Size"})


def refuse_unbounded(model: onnx.ModelProto) -> None:
    """Check the size of every tensor; the model must be valid ONNX without subgraphs.

    Raises ContractViolation when a tensor is too large for one ECG or for a batch, when its size cannot be
    told, or when it depends on the signal's values: a graph could then answer its golden record and take
    all memory on another recording.
    """
    _refuse_sizes_by_value(model)
    _refuse_large(model)


def _refuse_sizes_by_value(model: onnx.ModelProto) -> None:
    weights = {x.name for x in model.graph.initializer}
    by_value = {x.name for x in model.graph.input if x.name not in weights}
    for node in model.graph.node:
        depends = [x in by_value for x in node.input]
        shaping = SHAPE_INPUTS.get(node.op_type, ())
        if any(i < len(depends) and depends[i] for i in shaping) or (
            node.op_type in COUNTING and any(depends)
        ):
            raise ContractViolation(
                f"the size of what {node.op_type} gives depends on the values of the signal; sizes must "
                "depend on shapes alone, so that memory is bounded for every recording"
            )
        if any(depends) and node.op_type not in _SHAPE_ONLY:
            by_value.update(node.output)


def _refuse_large(model: onnx.ModelProto) -> None:
    # They are in the file, whose size is bounded.
    weights = {x.name for x in model.graph.initializer}
    for batch in (1, MANY):
        try:
            shapes = shapes_for(model, batch)
        except Exception as e:  # the inference's C++ side raises several unrelated types
            raise ContractViolation(
                f"the shapes of the model's tensors contradict each other ({type(e).__name__})"
            ) from e
        for name, shape in shapes.items():
            if name in weights:
                continue
            sizes = [x for x in shape if x is not None]
            if len(sizes) < len(shape) or min(sizes, default=0) < 0:
                raise ContractViolation(
                    f"the size of the tensor {name[:80]!r} of the model cannot be told from the file, so its "
                    "memory cannot be bounded; export the model with static shapes but for the batch"
                )
            if math.prod(sizes) > MAX_ELEMENTS * batch:
                raise ContractViolation(
                    f"the tensor {name[:80]!r} of the model would have {math.prod(sizes)} elements for "
                    f"{batch} ECG; at most {MAX_ELEMENTS} may be for each"
                )
