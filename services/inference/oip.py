"""The Open Inference Protocol, version 2, for stock clients: tensors in, raw outputs out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import numpy as np

from exchangeai import __version__
from exchangeai.errors import ContractViolation, ExchangeaiError, InvalidArgument, NotFound
from exchangeai.facts import ModelFact
from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceServicer
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, INTENDED_USE, OUTPUTS, WINDOW_SAMPLES
from exchangeai.signal import PREPROCESSING_VERSION
from services.inference.oip_input import DATATYPE, input_of
from services.inference.oip_verdicts import NOT_ASSESSED, verdicts
from services.inference.predict import Predictor, findings
from services.inference.readiness import Readiness
from services.inference.registry import READY, Registry
from services.inference.routing import Role, Router, version_of
from services.inference.servicer import caller_of, deadline_of
from services.inference.shadow import Shadows
from services.inference.sources import Sources, tensor_digest
from services.inference.streams import in_order

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("model_repository",)
AT_WORK = 8
"""Requests of one stream that are worked on at once."""


class OpenInferenceServicer(GRPCInferenceServiceServicer):
    """Answers `inference.GRPCInferenceService`. Each record of a batch counts as an ECG of its own."""

    def __init__(
        self,
        registry: Registry,
        sources: Sources,
        predictor: Predictor,
        router: Router,
        readiness: Readiness,
        shadows: Shadows,
    ) -> None:
        self._registry = registry
        self._router = router
        self._readiness = readiness
        self._shadows = shadows
        self._sources = sources
        self._predictor = predictor

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        """Whether the server runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        """Whether the champion of every served name answers here."""
        return pb.ServerReadyResponse(ready=not self._readiness.missing())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """Whether a model answers now; an unknown one does not."""
        version, alias = version_of(request.version)
        if alias == Role.CANARY:
            version, _ = self._registry.canary(request.name)
        elif not version:
            version = self._registry.champion(request.name)
        return pb.ModelReadyResponse(ready=version in self._registry.ready_versions(request.name))

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Any
    ) -> pb.ServerMetadataResponse:
        """Name and version of the server."""
        return pb.ServerMetadataResponse(name="exchangeai", version=__version__, extensions=EXTENSIONS)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """Inputs and outputs of a model."""
        model = (await self._router.route(request.name, *version_of(request.version))).model
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

        Outputs come raw, whatever the signal is like; the response's parameters have the verdicts on each
        window. They cost 1 ms a window; the request's parameter `assess_quality = false` leaves them out.
        """
        return await self._answer(request, deadline_of(context), caller_of(context))

    async def ModelStreamInfer(
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answer each request in their order, several at work at once; an error ends its request only."""
        deadline, caller = deadline_of(context), caller_of(context)

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            try:
                answered = await self._answer(request, deadline, caller)
                return pb.ModelStreamInferResponse(infer_response=answered)
            except ExchangeaiError as e:
                failed = pb.ModelInferResponse(id=request.id)
                return pb.ModelStreamInferResponse(error_message=str(e), infer_response=failed)

        async for response in in_order(request_iterator, answer, AT_WORK):
            yield response

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: Any
    ) -> pb.RepositoryIndexResponse:
        """Every version of every model, and why one does not answer."""
        _one_repository(request.repository_name)
        kind = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(
            models=[
                kind(name=fact.name, version=str(fact.version), state=state, reason=reason)
                for fact, state, reason in self._registry.states()
                if state == READY or not request.ready
            ]
        )

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """Load a model here; returns when it answers."""
        _one_repository(request.repository_name)
        await self._registry.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """Let go of a model here, until it is loaded again; other servers keep it."""
        _one_repository(request.repository_name)
        await self._registry.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def _answer(
        self, request: pb.ModelInferRequest, deadline: float, caller: str
    ) -> pb.ModelInferResponse:
        route = await self._router.route(request.model_name, *version_of(request.model_version))
        ecg = input_of(request)
        digest = tensor_digest(ecg)
        route = await self._router.meet(route, digest)
        model = route.model
        wanted = _wanted(request)
        assessing, manifest = _assessing(request), model.manifest
        judged = await self._sources.judge_each(ecg, digest, manifest.scope) if assessing else []
        # The score is made of the embedding, asked for or not.
        scored = assessing and manifest.novelty is not None and "embedding" not in wanted
        asked = (*wanted, "embedding") if scored else wanted
        outputs = await self._predictor.infer(model, ecg, asked, deadline, caller)
        if "probabilities" in outputs:
            self._shadows.offer(
                model,
                ecg,
                lambda: [findings(x.astype(np.float64), manifest) for x in outputs["probabilities"]],
            )
        response = pb.ModelInferResponse(id=request.id)
        response.MergeFrom(_provenance(model.fact, route.role))
        parameters = response.parameters
        parameters["input_digest"].string_param = digest
        told = verdicts(manifest, judged, outputs.get("embedding")) if assessing else NOT_ASSESSED
        for name, text in told.items():
            parameters[name].string_param = text
        for name in wanted:
            response.outputs.add(name=name, datatype=DATATYPE, shape=outputs[name].shape)
            response.raw_output_contents.append(np.ascontiguousarray(outputs[name], "<f4").tobytes())
        return response


@lru_cache(maxsize=256)
def _provenance(fact: ModelFact, role: Role) -> pb.ModelInferResponse:
    """What all answers of a model have in common."""
    parameters = {
        "model_digest": fact.digest,
        "model_role": role.value,
        "code_version": __version__,
        "preprocessing_version": PREPROCESSING_VERSION,
        "notice": INTENDED_USE,
    }
    return pb.ModelInferResponse(
        model_name=fact.name,
        model_version=str(fact.version),
        parameters={k: pb.InferParameter(string_param=v) for k, v in parameters.items()},
    )


def _assessing(request: pb.ModelInferRequest) -> bool:
    if "assess_quality" not in request.parameters:
        return True
    parameter = request.parameters["assess_quality"]
    if parameter.WhichOneof("parameter_choice") != "bool_param":
        raise InvalidArgument("the parameter 'assess_quality' must be true or false")
    return parameter.bool_param


def _wanted(request: pb.ModelInferRequest) -> tuple[str, ...]:
    wanted = tuple(x.name for x in request.outputs) or OUTPUTS
    unknown = [x for x in wanted if x not in OUTPUTS]
    if unknown or len(set(wanted)) != len(wanted):
        raise ContractViolation(
            f"the requested outputs are {[x[:64] for x in wanted[:8]]}; "
            f"each of {list(OUTPUTS)} may be asked for once"
        )
    return wanted


def _one_repository(name: str) -> None:
    if name:
        raise NotFound(f"there is no repository {name[:64]!r}; there is one, without a name")
