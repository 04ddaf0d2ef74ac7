"""The input tensor of a protocol request: float32 in millivolts or int16 in microvolts, raw or typed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ContractViolation
from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.model_file import INPUT
from services.inference import tensors

DATATYPE = "FP32"
MICROVOLTS = "INT16"
"""Half the bytes; a step is one microvolt."""


def input_of(request: pb.ModelInferRequest) -> npt.NDArray[np.float32]:
    """float32 [n, 12, 5000], mV. Raises ContractViolation or TooLarge, which say what was expected."""
    if [x.name for x in request.inputs] != [INPUT]:
        raise ContractViolation(
            f"the inputs are {[x.name[:64] for x in request.inputs[:8]]}; expected exactly one, {INPUT!r}"
        )
    tensor = request.inputs[0]
    if tensor.datatype not in (DATATYPE, MICROVOLTS):
        raise ContractViolation(
            f"the input's datatype is {tensor.datatype[:16]!r}; expected {DATATYPE!r} (millivolts) or "
            f"{MICROVOLTS!r} (microvolts)"
        )
    wide = tensor.datatype == DATATYPE
    raw, typed = request.raw_input_contents, tensor.HasField("contents")
    if len(raw) == 1 and not typed:
        read = tensors.from_bytes if wide else tensors.from_microvolt_bytes
        return read(tensor.shape, raw[0])
    if not raw and typed:
        if wide:
            return tensors.from_values(tensor.shape, tensor.contents.fp32_contents)
        return tensors.from_microvolts(tensor.shape, tensor.contents.int_contents)
    raise ContractViolation(
        f"the input's values came as {len(raw)} raw tensors and {'with' if typed else 'without'} "
        "typed contents; expected either one raw tensor or typed contents"
    )
