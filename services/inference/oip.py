"""The Open Inference Protocol, version 2, for stock clients: tensors in, raw outputs out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai import __version__
from exchangeai.errors import ContractViolation, InvalidArgument
from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceServicer
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, INTENDED_USE, OUTPUTS, WINDOW_SAMPLES
from exchangeai.signal import PREPROCESSING_VERSION
from services.inference import tensors
from services.inference.predict import Predictor
from services.inference.registry import Registry
from services.inference.servicer import caller_of, deadline_of
from services.inference.sources import Sources, tensor_digest

DATATYPE = "FP32"
PLATFORM = "onnxruntime_onnx"


class OpenInferenceServicer(GRPCInferenceServiceServicer):
    """Answers `inference.GRPCInferenceService`. Each record of a batch counts as an ECG of its own."""

    def __init__(self, registry: Registry, sources: Sources, predictor: Predictor) -> None:
        self._registry = registry
        self._sources = sources
        self._predictor = predictor

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        """Whether the server runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        """Whether the server takes requests: it listens only once its models are loaded."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """Whether a model answers now; an unknown one does not."""
        version = _version(request.version)
        versions = self._registry.ready_versions(request.name)
        return pb.ModelReadyResponse(ready=version in versions if version else bool(versions))

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Any
    ) -> pb.ServerMetadataResponse:
        """Name and version of the server."""
        return pb.ServerMetadataResponse(name="exchangeai", version=__version__)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """Inputs and outputs of a model."""
        model = await self._registry.choose(request.name, _version(request.version))
        kind = pb.ModelMetadataResponse.TensorMetadata
        shape = [-1, len(STANDARD_12), WINDOW_SAMPLES]
        return pb.ModelMetadataResponse(
            name=model.fact.name,
            versions=[str(x) for x in sorted(self._registry.ready_versions(request.name))],
            platform=PLATFORM,
            inputs=[kind(name=INPUT, datatype=DATATYPE, shape=shape)],
            outputs=[
                kind(name=name, datatype=DATATYPE, shape=[-1 if d is None else d for d in dims])
                for name, dims in model.session.shapes.items()
            ],
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """Run a model on a batch of windows.

        Outputs come raw, whatever the signal is like; the response's parameter `quality` has the verdict on
        each window. It costs 2 ms a window; the request's parameter `assess_quality = false` leaves it out.
        """
        deadline = deadline_of(context)
        model = await self._registry.choose(request.model_name, _version(request.model_version))
        ecg = _input(request)
        wanted = _wanted(request)
        quality = await self._sources.judge_each(ecg) if _assessing(request) else []
        outputs = await self._predictor.infer(model, ecg, wanted, deadline, caller_of(context))
        reasons = [f"{i}: {'; '.join(x.reasons)}" for i, x in enumerate(quality) if x.reasons]
        parameters = {
            "model_digest": model.fact.digest,
            "input_digest": tensor_digest(ecg),
            "code_version": __version__,
            "preprocessing_version": PREPROCESSING_VERSION,
            "quality": ",".join(x.verdict.value for x in quality) or "not_assessed",
            "quality_reasons": " | ".join(reasons),
            "notice": INTENDED_USE,
        }
        return pb.ModelInferResponse(
            model_name=model.fact.name,
            model_version=str(model.fact.version),
            id=request.id,
            parameters={k: pb.InferParameter(string_param=v) for k, v in parameters.items()},
            outputs=[
                pb.ModelInferResponse.InferOutputTensor(
                    name=name, datatype=DATATYPE, shape=outputs[name].shape
                )
                for name in wanted
            ],
            raw_output_contents=[np.ascontiguousarray(outputs[name], "<f4").tobytes() for name in wanted],
        )


def _assessing(request: pb.ModelInferRequest) -> bool:
    if "assess_quality" not in request.parameters:
        return True
    parameter = request.parameters["assess_quality"]
    if parameter.WhichOneof("parameter_choice") != "bool_param":
        raise InvalidArgument("the parameter 'assess_quality' must be true or false")
    return parameter.bool_param


def _version(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise InvalidArgument("the model's version must be a whole number from 1, or empty for the newest")
    return int(text)


def _wanted(request: pb.ModelInferRequest) -> tuple[str, ...]:
    wanted = tuple(x.name for x in request.outputs) or OUTPUTS
    unknown = [x for x in wanted if x not in OUTPUTS]
    if unknown or len(set(wanted)) != len(wanted):
        raise ContractViolation(
            f"the requested outputs are {[x[:64] for x in wanted[:8]]}; "
            f"each of {list(OUTPUTS)} may be asked for once"
        )
    return wanted


def _input(request: pb.ModelInferRequest) -> npt.NDArray[np.float32]:
    if [x.name for x in request.inputs] != [INPUT]:
        raise ContractViolation(
            f"the inputs are {[x.name[:64] for x in request.inputs[:8]]}; expected exactly one, {INPUT!r}"
        )
    tensor = request.inputs[0]
    if tensor.datatype != DATATYPE:
        raise ContractViolation(f"the input's datatype is {tensor.datatype[:16]!r}; expected {DATATYPE!r}")
    raw, typed = request.raw_input_contents, tensor.contents.fp32_contents
    if len(raw) == 1 and not tensor.HasField("contents"):
        return tensors.from_bytes(tensor.shape, raw[0])
    if not raw and tensor.HasField("contents"):
        return tensors.from_values(tensor.shape, typed)
    raise ContractViolation(
        f"the input's values came as {len(raw)} raw tensors and {'with' if typed else 'without'} "
        "typed contents; expected either one raw tensor or fp32_contents"
    )
