"""TrainingService over gRPC: messages to values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from exchangeai.bus import FactIndex
from exchangeai.comparisons import ComparisonFact
from exchangeai.errors import NotFound
from exchangeai.facts import RunFact
from exchangeai.rpc.comparisons import comparison_to_proto
from exchangeai.rpc.runs import run_to_proto
from exchangeai.rpc.training_options import options_from_proto, options_to_proto
from exchangeai.v1 import comparison_pb2
from exchangeai.v1 import training_service_pb2 as pb
from exchangeai.v1.training_service_pb2_grpc import TrainingServiceServicer
from services.trainer.architectures import Architecture, Architectures
from services.trainer.comparisons import Comparisons
from services.trainer.estimate import Estimator
from services.trainer.presets import presets
from services.trainer.run_log import RunLogs, tail
from services.trainer.runs import Runs

Context = grpc.aio.ServicerContext[Any, Any]


class TrainingServicer(TrainingServiceServicer):
    """See training_service.proto."""

    def __init__(
        self,
        runs: Runs,
        index: FactIndex[RunFact],
        architectures: Architectures,
        comparisons: Comparisons,
        logs: RunLogs,
        estimator: Estimator,
    ) -> None:
        self._estimator = estimator
        self._logs = logs
        self._comparisons = comparisons
        self._runs = runs
        self._index = index
        self._architectures = architectures

    async def StartRun(self, request: pb.StartRunRequest, context: Context) -> pb.StartRunResponse:
        """Queue a run."""
        run = await self._runs.start(
            dataset_id=request.dataset_id,
            architecture=request.architecture,
            model_name=request.model_name,
            options=options_from_proto(request.options),
            base_model=request.base_model,
            request_key=request.request_key,
        )
        return pb.StartRunResponse(run=run_to_proto(run))

    async def WatchRun(
        self, request: pb.WatchRunRequest, context: Context
    ) -> AsyncIterator[pb.WatchRunResponse]:
        """Stream the run until it has ended."""
        run = await self._runs.get(request.run_id)
        # The index may be a moment behind what the caller was told already.
        await self._index.wait(request.run_id, lambda r: r is not None and r.updated_at >= run.updated_at)
        async for _, now in self._index.changes(request.run_id):
            if now is None:
                return
            yield pb.WatchRunResponse(run=run_to_proto(now))
            if now.state.ended:
                return

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        """List the runs."""
        return pb.ListRunsResponse(runs=[run_to_proto(r) for r in self._runs.list()])

    async def CancelRun(self, request: pb.CancelRunRequest, context: Context) -> pb.CancelRunResponse:
        """Stop a run."""
        return pb.CancelRunResponse(run=run_to_proto(await self._runs.cancel(request.run_id)))

    async def ResumeRun(self, request: pb.ResumeRunRequest, context: Context) -> pb.ResumeRunResponse:
        """Continue a run."""
        return pb.ResumeRunResponse(run=run_to_proto(await self._runs.resume(request.run_id)))

    async def GetRunLog(self, request: pb.GetRunLogRequest, context: Context) -> pb.GetRunLogResponse:
        """Tell the end of a run's log."""
        whole = await self._logs.read((await self._runs.get(request.run_id)).run_id)
        text = tail(whole, request.size_bytes, request.skip_bytes)
        return pb.GetRunLogResponse(text=text, total_bytes=len(whole))

    async def ListArchitectures(
        self, request: pb.ListArchitecturesRequest, context: Context
    ) -> pb.ListArchitecturesResponse:
        """List the architectures."""
        return pb.ListArchitecturesResponse(
            architectures=[
                pb.Architecture(name=a.name, summary=a.summary, parameters=a.parameters, gflops=a.gflops)
                for a in await self._architectures.all()
            ]
        )

    async def ListPresets(self, request: pb.ListPresetsRequest, context: Context) -> pb.ListPresetsResponse:
        """List ready-made options."""
        dataset = await self._runs.dataset(request.dataset_id)
        architecture = await self._architecture(request.architecture)
        recordings = next((p.recordings for p in dataset.parts if p.part == "train"), 0)
        made = presets(architecture.learning_rate, recordings, from_base=request.from_base)
        return pb.ListPresetsResponse(
            presets=[
                pb.Preset(name=x.name, summary=x.summary, options=options_to_proto(x.options)) for x in made
            ]
        )

    async def EstimateRun(self, request: pb.EstimateRunRequest, context: Context) -> pb.EstimateRunResponse:
        """Estimate time and memory of a run."""
        dataset = await self._runs.dataset(request.dataset_id)
        architecture = await self._architecture(request.architecture)
        options = options_from_proto(request.options)
        found = await self._estimator.estimate(architecture.name, dataset, options)
        return pb.EstimateRunResponse(
            low_s=found.low_s,
            high_s=found.high_s,
            peak_memory_bytes=found.peak_bytes,
            measured_from=found.measured_from,
        )

    async def _architecture(self, name: str) -> Architecture:
        known = {a.name: a for a in await self._architectures.all()}
        if name not in known:
            raise NotFound(f"there is no architecture {name!r}; there are {', '.join(known)}")
        return known[name]

    async def StartComparison(
        self, request: pb.StartComparisonRequest, context: Context
    ) -> pb.StartComparisonResponse:
        """Queue the runs of a comparison."""
        comparison = await self._comparisons.start(
            dataset_id=request.dataset_id,
            name=request.name,
            architectures=request.architectures,
            seeds=request.seeds,
            label_shares=request.label_shares,
            options=options_from_proto(request.options),
            request_key=request.request_key,
        )
        return pb.StartComparisonResponse(comparison=self._told(comparison))

    async def GetComparison(
        self, request: pb.GetComparisonRequest, context: Context
    ) -> pb.GetComparisonResponse:
        """Tell of a comparison."""
        return pb.GetComparisonResponse(
            comparison=self._told(await self._comparisons.get(request.comparison_id))
        )

    async def WatchComparison(
        self, request: pb.WatchComparisonRequest, context: Context
    ) -> AsyncIterator[pb.WatchComparisonResponse]:
        """Stream the comparison until it has ended."""
        async for fact, progress in self._comparisons.watch(request.comparison_id):
            yield pb.WatchComparisonResponse(comparison=comparison_to_proto(fact, progress))

    async def ListComparisons(
        self, request: pb.ListComparisonsRequest, context: Context
    ) -> pb.ListComparisonsResponse:
        """List the comparisons."""
        return pb.ListComparisonsResponse(comparisons=[self._told(x) for x in self._comparisons.list()])

    async def CancelComparison(
        self, request: pb.CancelComparisonRequest, context: Context
    ) -> pb.CancelComparisonResponse:
        """Stop the runs of a comparison."""
        return pb.CancelComparisonResponse(
            comparison=self._told(await self._comparisons.cancel(request.comparison_id))
        )

    async def RankComparison(
        self, request: pb.RankComparisonRequest, context: Context
    ) -> pb.RankComparisonResponse:
        """Make the leaderboard anew."""
        return pb.RankComparisonResponse(
            comparison=self._told(await self._comparisons.rank(request.comparison_id))
        )

    def _told(self, fact: ComparisonFact) -> comparison_pb2.Comparison:
        return comparison_to_proto(fact, self._comparisons.progress(fact))
