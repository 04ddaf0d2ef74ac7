"""The typed inference API: protobuf messages to plain values and back."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

from exchangeai import __version__
from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import ServingFact
from exchangeai.findings import Provenance
from exchangeai.model_file import INTENDED_USE
from exchangeai.rpc.convert import model_to_proto, read_options_from_proto
from exchangeai.rpc.guard import check
from exchangeai.rpc.names import serving_to_proto
from exchangeai.rpc.serving import (
    defect_to_proto,
    error_to_proto,
    format_from_proto,
    prediction_to_proto,
    result_to_proto,
)
from exchangeai.telemetry import request_id
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceServicer
from services.inference import tensors
from services.inference.exchange import Exchange
from services.inference.gate import Ecg
from services.inference.predict import NO_DEADLINE, Predictor, used_windows
from services.inference.registry import Registry
from services.inference.results import ResultsLog, Wanted
from services.inference.routing import Route, Router
from services.inference.serving import Serving
from services.inference.sessions import RUNTIME_VERSION
from services.inference.shadow import Shadows
from services.inference.sources import Sources
from services.inference.streams import in_order

log = logging.getLogger(__name__)

AT_WORK = 8
"""Requests of one batch or stream that are worked on at once."""


class InferenceServicer(InferenceServiceServicer):
    """Answers `exchangeai.v1.InferenceService`."""

    def __init__(
        self,
        registry: Registry,
        sources: Sources,
        predictor: Predictor,
        exchange: Exchange,
        results: ResultsLog,
        router: Router,
        serving: Serving,
        shadows: Shadows,
        *,
        record_all: bool = False,
    ) -> None:
        self._registry = registry
        self._sources = sources
        self._predictor = predictor
        self._exchange = exchange
        self._results = results
        self._router = router
        self._serving = serving
        self._shadows = shadows
        self._record_all = record_all

    async def Predict(self, request: pb.PredictRequest, context: Any) -> pb.PredictResponse:
        """Predict one ECG."""
        return await self._answer(request, deadline_of(context), caller_of(context))

    async def PredictBatch(self, request: pb.PredictBatchRequest, context: Any) -> pb.PredictBatchResponse:
        """Predict several ECGs, each answered or refused by itself."""
        deadline, caller = deadline_of(context), caller_of(context)

        async def requests() -> AsyncIterator[pb.PredictRequest]:
            for one in request.requests:
                yield one

        outcomes = in_order(requests(), lambda x: self._outcome(x, deadline, caller), AT_WORK)
        return pb.PredictBatchResponse(outcomes=[x async for x in outcomes])

    async def PredictStream(
        self, request_iterator: AsyncIterator[pb.PredictStreamRequest], context: Any
    ) -> AsyncIterator[pb.PredictStreamResponse]:
        """Predict ECG after ECG; answers come in the order of the requests."""
        deadline, caller = deadline_of(context), caller_of(context)

        async def answer(one: pb.PredictStreamRequest) -> pb.PredictStreamResponse:
            outcome = await self._outcome(one.request, deadline, caller)
            return pb.PredictStreamResponse(id=one.id, outcome=outcome)

        async for response in in_order(request_iterator, answer, AT_WORK):
            yield response

    async def ListResults(self, request: pb.ListResultsRequest, context: Any) -> pb.ListResultsResponse:
        """List recorded results."""
        page = await self._results.page(_wanted(request.filter), request.page_size, request.page_token)
        return pb.ListResultsResponse(
            results=[result_to_proto(x) for x in page.results], next_page_token=page.next_token
        )

    async def ExportResults(
        self, request: pb.ExportResultsRequest, context: Any
    ) -> AsyncIterator[pb.ExportResultsResponse]:
        """Stream recorded results as files."""
        file = ""
        async for chunk in self._results.export(_wanted(request.filter), format_from_proto(request.format)):
            begins = chunk.file if chunk.file != file else ""
            file = chunk.file
            yield pb.ExportResultsResponse(file_name=begins, chunk=chunk.data)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """List the models whose files could be read."""
        return pb.ListModelsResponse(models=[model_to_proto(*x) for x in self._registry.known()])

    async def ImportModel(
        self, request_iterator: AsyncIterator[pb.ImportModelRequest], context: Any
    ) -> pb.ImportModelResponse:
        """Vet a foreign file and put it in quarantine."""
        first = await anext(request_iterator, None)
        if first is None:
            raise InvalidArgument("no bytes came: send the model's name and its .onnx file in chunks")

        async def chunks() -> AsyncIterator[bytes]:
            yield first.chunk
            async for request in request_iterator:
                yield request.chunk

        taken = await self._exchange.take_in(
            first.name,
            chunks(),
            signature=first.signature,
            card=first.card,
            figures=dict(first.figures),
        )
        return pb.ImportModelResponse(model=model_to_proto(*taken))

    async def ApproveModel(self, request: pb.ApproveModelRequest, context: Any) -> pb.ApproveModelResponse:
        """Let an imported model predict."""
        model = await self._exchange.approve(request.name, request.version)
        if request.by:
            await self._serving.note(request.name, request.by)
        return pb.ApproveModelResponse(model=model_to_proto(*model))

    async def ExportModel(
        self, request: pb.ExportModelRequest, context: Any
    ) -> AsyncIterator[pb.ExportModelResponse]:
        """Stream a model's file."""
        fact, signature = await self._exchange.signed(request.name, request.version)
        yield pb.ExportModelResponse(signature=signature, version=fact.version)
        async for chunk in self._exchange.export(fact.name, fact.version):
            yield pb.ExportModelResponse(chunk=chunk)

    async def GetModelCard(self, request: pb.GetModelCardRequest, context: Any) -> pb.GetModelCardResponse:
        """Tell what a person must know of a model."""
        text, figures = await self._exchange.card(request.name, request.version)
        return pb.GetModelCardResponse(markdown=text, figures=figures)

    async def ListServing(self, request: pb.ListServingRequest, context: Any) -> pb.ListServingResponse:
        """Tell which versions answer under each name."""
        return pb.ListServingResponse(serving=[self._served(*x) for x in self._serving.listed()])

    async def SetChampion(self, request: pb.SetChampionRequest, context: Any) -> pb.SetChampionResponse:
        """Promote a version."""
        await self._serving.promote(request.name, request.version, request.by)
        return pb.SetChampionResponse(serving=self._serving_of(request.name))

    async def SetCanary(self, request: pb.SetCanaryRequest, context: Any) -> pb.SetCanaryResponse:
        """Let a version answer a share of the inputs."""
        await self._serving.set_canary(request.name, request.version, request.share, request.by)
        return pb.SetCanaryResponse(serving=self._serving_of(request.name))

    async def SetShadow(self, request: pb.SetShadowRequest, context: Any) -> pb.SetShadowResponse:
        """Let a version run after the answers."""
        await self._serving.set_shadow(request.name, request.version, request.by)
        return pb.SetShadowResponse(serving=self._serving_of(request.name))

    async def RollBack(self, request: pb.RollBackRequest, context: Any) -> pb.RollBackResponse:
        """Go back to the champion before."""
        await self._serving.roll_back(request.name, request.by)
        return pb.RollBackResponse(serving=self._serving_of(request.name))

    async def DeprecateModel(
        self, request: pb.DeprecateModelRequest, context: Any
    ) -> pb.DeprecateModelResponse:
        """Withdraw a version."""
        model = await self._serving.deprecate(request.name, request.version, request.by)
        return pb.DeprecateModelResponse(model=model_to_proto(*model))

    def _serving_of(self, name: str) -> pb.Serving:
        return self._served(*next(x for x in self._serving.listed() if x[0].name == name))

    def _served(self, fact: ServingFact, answering: int, problem: str) -> pb.Serving:
        told = self._shadows.agreement(fact.name)
        agreement = None if told is None else pb.ShadowAgreement(**asdict(told))
        return serving_to_proto(fact, answering, problem, agreement)

    async def _outcome(self, request: pb.PredictRequest, deadline: float, caller: str) -> pb.Outcome:
        try:
            check(request)
            return pb.Outcome(response=await self._answer(request, deadline, caller))
        except ExchangeaiError as e:
            return pb.Outcome(error=error_to_proto(e))
        except Exception:
            # As the guard does for a call of its own; the other requests are not at fault.
            log.exception("one request of several failed")
            return pb.Outcome(error=defect_to_proto())

    async def _answer(self, request: pb.PredictRequest, deadline: float, caller: str) -> pb.PredictResponse:
        stored = request.WhichOneof("ecg") == "recording_id"
        if request.record_result and not stored:
            raise InvalidArgument(
                "only answers on stored recordings are recorded: upload the ECG and send its recording_id"
            )
        route = await self._router.route(request.model_name, request.model_version, request.alias)
        ecg = await self._ecg(request)
        route = await self._router.meet(route, ecg.input_digest)
        if request.HasField("age_years"):
            ecg = replace(ecg, age_years=request.age_years, age_stated=True)
        prediction = await self._predictor.predict(
            route.model,
            ecg,
            deadline,
            caller,
            saliency=request.include_saliency,
            embedding=request.include_embedding,
        )
        provenance = _provenance(route, ecg)
        if prediction.findings:
            self._shadows.offer(route.model, used_windows(ecg), lambda: [prediction.findings])
        if stored and (request.record_result or self._record_all):
            await self._results.record(request.recording_id, prediction, provenance)
        return prediction_to_proto(prediction, provenance)

    async def _ecg(self, request: pb.PredictRequest) -> Ecg:
        match request.WhichOneof("ecg"):
            case "recording_id":
                return await self._sources.recording(request.recording_id)
            case "files":
                files = {x.name: x.content for x in request.files.files}
                if len(files) != len(request.files.files):
                    raise InvalidArgument("two of the files have the same name; each needs its own")
                return await self._sources.files(files, read_options_from_proto(request.files.options))
            case _:
                values = tensors.from_bytes(request.tensor.shape, request.tensor.values_mv)
                valid = tensors.check_valid_samples(request.tensor.valid_samples, len(values))
                return await self._sources.tensor(values, valid)


def deadline_of(context: Any) -> float:
    """When the caller stops waiting, as a reading of `time.monotonic()`."""
    remaining: float | None = context.time_remaining()
    return NO_DEADLINE if remaining is None else time.monotonic() + remaining


def caller_of(context: Any) -> str:
    """Who calls, without the port: callers take turns."""
    peer: str = context.peer() or ""
    return peer.rpartition(":")[0] if peer.startswith("ipv") else peer


def _wanted(message: pb.ResultFilter) -> Wanted:
    return Wanted(
        recording_id=message.recording_id,
        model_name=message.model_name,
        model_version=message.model_version,
    )


def _provenance(route: Route, ecg: Ecg) -> Provenance:
    model = route.model
    return Provenance(
        model_name=model.fact.name,
        model_version=model.fact.version,
        model_digest=model.fact.digest,
        model_role=route.role.value,
        input_digest=ecg.input_digest,
        code_version=__version__,
        preprocessing_version=ecg.preprocessing_version,
        request_id=request_id.get(),
        notice=INTENDED_USE,
        runtime_version=RUNTIME_VERSION,
    )
