"""The trainer's part of the gateway: runs, comparisons, and what helps to choose their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from exchangeai.comparisons import ComparisonFact, ComparisonProgress
from exchangeai.errors import NotFound
from exchangeai.facts import RunFact, TrainingOptions
from exchangeai.rpc.comparisons import comparison_from_proto
from exchangeai.rpc.runs import run_from_proto
from exchangeai.rpc.training_options import options_from_proto, options_to_proto
from exchangeai.v1 import training_service_pb2 as pb
from exchangeai.v1 import training_service_pb2_grpc
from services.ui.gateway.line import Line
from services.ui.views import ArchitectureView, EstimateView, PresetView

FIRST_ANSWER_S = 30.0
"""The trainer counts the weights of every architecture when it is asked for the first time."""
MEASURE_S = 100.0
"""An estimate is measured when it is asked for the first time."""


class TrainerDoor:
    """Speaks to the trainer; its methods raise as the gateway's do."""

    def __init__(self, line: Line, channel: grpc.Channel) -> None:
        self._line = line
        self._stub: Any = training_service_pb2_grpc.TrainingServiceStub(channel)

    def architectures(self) -> list[ArchitectureView]:
        """What can be trained."""
        request = pb.ListArchitecturesRequest()
        answer = self._line.call(self._stub.ListArchitectures, request, timeout_s=FIRST_ANSWER_S)
        return [
            ArchitectureView(name=a.name, summary=a.summary, parameters=a.parameters, gflops=a.gflops)
            for a in answer.architectures
        ]

    def presets(self, dataset_id: str, architecture: str, *, from_base: bool = False) -> list[PresetView]:
        """Ready-made options, the least work first."""
        request = pb.ListPresetsRequest(dataset_id=dataset_id, architecture=architecture, from_base=from_base)
        answer = self._line.call(self._stub.ListPresets, request, timeout_s=FIRST_ANSWER_S)
        return [
            PresetView(name=x.name, summary=x.summary, options=options_from_proto(x.options))
            for x in answer.presets
        ]

    def estimate(self, dataset_id: str, architecture: str, options: TrainingOptions) -> EstimateView:
        """Time and memory of a run; takes seconds when asked for the first time."""
        request = pb.EstimateRunRequest(
            dataset_id=dataset_id, architecture=architecture, options=options_to_proto(options)
        )
        answer = self._line.call(self._stub.EstimateRun, request, timeout_s=MEASURE_S)
        return EstimateView(
            low_s=answer.low_s,
            high_s=answer.high_s,
            peak_memory_bytes=answer.peak_memory_bytes,
            measured_from=answer.measured_from,
        )

    def runs(self) -> list[RunFact]:
        """All runs, newest first."""
        return [run_from_proto(r) for r in self._line.call(self._stub.ListRuns, pb.ListRunsRequest()).runs]

    def run(self, run_id: str) -> RunFact:
        """One run as it stands now."""
        for answer in self._line.stream(self._stub.WatchRun, pb.WatchRunRequest(run_id=run_id), timeout_s=5):
            return run_from_proto(answer.run)
        raise NotFound("there is no such run; choose one from the table")

    def log(self, run_id: str, size_bytes: int) -> str:
        """The end of what the processes of a run have written."""
        request = pb.GetRunLogRequest(run_id=run_id, size_bytes=size_bytes)
        return str(self._line.call(self._stub.GetRunLog, request).text)

    def start_run(
        self,
        *,
        dataset_id: str,
        architecture: str,
        model_name: str,
        options: TrainingOptions,
        base_model: str,
        request_key: str,
    ) -> RunFact:
        """Queue a run; equal request keys give the same run."""
        request = pb.StartRunRequest(
            dataset_id=dataset_id,
            architecture=architecture,
            model_name=model_name,
            base_model=base_model,
            request_key=request_key,
            options=options_to_proto(options),
        )
        return run_from_proto(self._line.call(self._stub.StartRun, request, timeout_s=FIRST_ANSWER_S).run)

    def cancel_run(self, run_id: str) -> None:
        """Stop a run after its checkpoint is saved."""
        self._line.call(self._stub.CancelRun, pb.CancelRunRequest(run_id=run_id))

    def resume_run(self, run_id: str) -> None:
        """Continue a cancelled or failed run."""
        self._line.call(self._stub.ResumeRun, pb.ResumeRunRequest(run_id=run_id))

    def comparisons(self) -> list[tuple[ComparisonFact, ComparisonProgress]]:
        """All comparisons and how far each has come, newest first."""
        answer = self._line.call(self._stub.ListComparisons, pb.ListComparisonsRequest())
        return [comparison_from_proto(x) for x in answer.comparisons]

    def start_comparison(
        self,
        *,
        dataset_id: str,
        name: str,
        architectures: Sequence[str],
        seeds: Sequence[int],
        label_shares: Sequence[float],
        options: TrainingOptions,
        request_key: str,
    ) -> ComparisonFact:
        """Queue the runs of a comparison; equal request keys give the same one."""
        request = pb.StartComparisonRequest(
            dataset_id=dataset_id,
            name=name,
            architectures=architectures,
            seeds=seeds,
            label_shares=label_shares,
            options=options_to_proto(options),
            request_key=request_key,
        )
        answer = self._line.call(self._stub.StartComparison, request, timeout_s=FIRST_ANSWER_S)
        return comparison_from_proto(answer.comparison)[0]

    def cancel_comparison(self, comparison_id: str) -> None:
        """Stop all runs of a comparison that have not ended."""
        self._line.call(self._stub.CancelComparison, pb.CancelComparisonRequest(comparison_id=comparison_id))
