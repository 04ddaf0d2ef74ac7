"""The trainer's door for commands: asks for runs and comparisons, and follows them wherever it restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from exchangeai.comparisons import ComparisonFact, ComparisonProgress
from exchangeai.errors import Overloaded, Unavailable
from exchangeai.facts import RunFact, TrainingOptions
from exchangeai.rpc.client import invoke, open_channel, stream
from exchangeai.rpc.comparisons import comparison_from_proto
from exchangeai.rpc.runs import run_from_proto
from exchangeai.rpc.training_options import options_from_proto, options_to_proto
from exchangeai.v1 import training_service_pb2 as pb
from exchangeai.v1.training_service_pb2_grpc import TrainingServiceStub

T = TypeVar("T")
_WATCH_S = 3600.0
"""Deadline of one call that follows; another comes after it."""
_PATIENCE_S = 300.0
"""How long a trainer may be away while it is followed."""
_STOOD_S = 60.0
"""A call that lasts so long was answered: a queued run has nothing to tell until its turn comes."""
_PAUSE_S = 1.0


class Training:
    """The verbs of the training service, in values."""

    def __init__(self, stub: TrainingServiceStub) -> None:
        self._stub: Any = stub

    def presets(self, *, dataset_id: str, architecture: str, from_base: bool) -> dict[str, TrainingOptions]:
        """Ready-made options by name, the least work first. Raises what the service raises."""
        request = pb.ListPresetsRequest(dataset_id=dataset_id, architecture=architecture, from_base=from_base)
        found = invoke(self._stub.ListPresets, request, timeout_s=120).presets
        return {x.name: options_from_proto(x.options) for x in found}

    def start_run(
        self,
        *,
        dataset_id: str,
        architecture: str,
        model_name: str,
        options: TrainingOptions,
        base_model: str = "",
        request_key: str = "",
    ) -> RunFact:
        """Queue a run; equal request keys give the same one. Raises what the service raises."""
        request = pb.StartRunRequest(
            dataset_id=dataset_id,
            architecture=architecture,
            model_name=model_name,
            options=options_to_proto(options),
            base_model=base_model,
            request_key=request_key,
        )
        # The service loads every architecture when it is asked for the first time.
        return run_from_proto(invoke(self._stub.StartRun, request, timeout_s=120).run)

    def runs(self) -> list[RunFact]:
        """All runs, newest first."""
        return [run_from_proto(x) for x in invoke(self._stub.ListRuns, pb.ListRunsRequest()).runs]

    def watch_run(self, run_id: str) -> Iterator[RunFact]:
        """The run now and at each change until it has ended; raises Unavailable after 5 minutes without."""
        request = pb.WatchRunRequest(run_id=run_id)
        return _followed(
            lambda: (run_from_proto(x.run) for x in stream(self._stub.WatchRun, request, timeout_s=_WATCH_S)),
            lambda run: run.state.ended,
        )

    def cancel_run(self, run_id: str) -> RunFact:
        """Stop a run after its checkpoint is saved."""
        return run_from_proto(invoke(self._stub.CancelRun, pb.CancelRunRequest(run_id=run_id)).run)

    def resume_run(self, run_id: str) -> RunFact:
        """Continue a cancelled or failed run from its checkpoint."""
        return run_from_proto(invoke(self._stub.ResumeRun, pb.ResumeRunRequest(run_id=run_id)).run)

    def run_log(self, run_id: str) -> str:
        """The end of what the processes of a run have written, at most 64 KiB."""
        return invoke(self._stub.GetRunLog, pb.GetRunLogRequest(run_id=run_id)).text

    def start_comparison(
        self,
        *,
        dataset_id: str,
        name: str,
        architectures: Sequence[str],
        seeds: Sequence[int],
        label_shares: Sequence[float],
        options: TrainingOptions,
        request_key: str = "",
    ) -> ComparisonFact:
        """Queue a comparison; equal request keys give the same one. Raises what the service raises."""
        request = pb.StartComparisonRequest(
            dataset_id=dataset_id,
            name=name,
            architectures=architectures,
            seeds=seeds,
            label_shares=label_shares,
            options=options_to_proto(options),
            request_key=request_key,
        )
        answer = invoke(self._stub.StartComparison, request, timeout_s=120)
        return comparison_from_proto(answer.comparison)[0]

    def comparisons(self) -> list[ComparisonFact]:
        """All comparisons, newest first."""
        answer = invoke(self._stub.ListComparisons, pb.ListComparisonsRequest())
        return [comparison_from_proto(x)[0] for x in answer.comparisons]

    def watch_comparison(self, comparison_id: str) -> Iterator[tuple[ComparisonFact, ComparisonProgress]]:
        """The comparison now and as it goes on until it has ended; like `watch_run`."""
        request = pb.WatchComparisonRequest(comparison_id=comparison_id)
        return _followed(
            lambda: (
                comparison_from_proto(x.comparison)
                for x in stream(self._stub.WatchComparison, request, timeout_s=_WATCH_S)
            ),
            lambda told: told[0].state.ended,
        )

    def cancel_comparison(self, comparison_id: str) -> ComparisonFact:
        """Stop all runs of a comparison that have not ended."""
        request = pb.CancelComparisonRequest(comparison_id=comparison_id)
        return comparison_from_proto(invoke(self._stub.CancelComparison, request).comparison)[0]


@contextmanager
def open_training(address: str) -> Generator[Training]:
    """The trainer at `host:port`; nothing is sent before the first call."""
    with open_channel(address) as channel:
        yield Training(TrainingServiceStub(channel))


def _followed(follow: Callable[[], Iterator[T]], ended: Callable[[T], bool]) -> Iterator[T]:
    """All that following tells, begun anew when the call ends early; a state may come twice."""
    away_since_s: float | None = None
    while True:
        begun_s = time.monotonic()
        try:
            for told in follow():
                away_since_s = None
                yield told
                if ended(told):
                    return
        except (Unavailable, Overloaded):
            now_s = time.monotonic()
            if now_s - begun_s > _STOOD_S:
                away_since_s = None
            elif away_since_s is None:
                away_since_s = begun_s
            elif now_s - away_since_s > _PATIENCE_S:
                raise
        time.sleep(_PAUSE_S)
