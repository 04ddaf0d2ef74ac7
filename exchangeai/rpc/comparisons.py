"""Comparisons to their message and back: for the trainer, and for whoever follows it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from google.protobuf import json_format

from exchangeai.comparisons import (
    ComparedRun,
    ComparisonFact,
    ComparisonProgress,
    ComparisonRow,
    ComparisonState,
    PlannedRun,
)
from exchangeai.facts import RunState
from exchangeai.rpc.convert import timestamp
from exchangeai.rpc.training_options import options_from_proto, options_to_proto
from exchangeai.v1 import comparison_pb2, run_pb2


def comparison_to_proto(fact: ComparisonFact, progress: ComparisonProgress) -> comparison_pb2.Comparison:
    """A comparison as it is now; rows have the fields of the dataclass under the same names."""
    return comparison_pb2.Comparison(
        comparison_id=fact.comparison_id,
        name=fact.name,
        dataset_id=fact.dataset_id,
        architectures=fact.architectures,
        seeds=fact.seeds,
        label_shares=fact.label_shares,
        options=options_to_proto(fact.options),
        state=f"COMPARISON_STATE_{fact.state.name}",
        progress=progress.share,
        eta_s=progress.eta_s,
        activity=progress.activity,
        error=fact.error or "",
        runs=[_run_to_proto(x) for x in progress.runs],
        rows=[
            json_format.ParseDict(msgspec.to_builtins(x), comparison_pb2.ComparisonRow()) for x in fact.rows
        ],
        score_name=fact.score_name,
        bootstrap_draws=fact.bootstrap_draws,
        created_at=timestamp(fact.created_at),
        updated_at=timestamp(fact.updated_at),
    )


def comparison_from_proto(message: comparison_pb2.Comparison) -> tuple[ComparisonFact, ComparisonProgress]:
    """A comparison as it was told."""
    runs = tuple(_run_from_proto(x) for x in message.runs)
    fact = ComparisonFact(
        comparison_id=message.comparison_id,
        name=message.name,
        dataset_id=message.dataset_id,
        architectures=tuple(message.architectures),
        seeds=tuple(message.seeds),
        label_shares=tuple(message.label_shares),
        options=options_from_proto(message.options),
        state=ComparisonState[
            comparison_pb2.ComparisonState.Name(message.state).removeprefix("COMPARISON_STATE_")
        ],
        runs=tuple(
            PlannedRun(run_id=x.run_id, architecture=x.architecture, seed=x.seed, label_share=x.label_share)
            for x in runs
        ),
        rows=tuple(_row_from_proto(x) for x in message.rows),
        score_name=message.score_name,
        bootstrap_draws=message.bootstrap_draws,
        error=message.error or None,
        created_at=message.created_at.ToMicroseconds() / 1e6,
        updated_at=message.updated_at.ToMicroseconds() / 1e6,
    )
    progress = ComparisonProgress(
        runs=runs, share=message.progress, eta_s=message.eta_s, activity=message.activity
    )
    return fact, progress


def _run_to_proto(run: ComparedRun) -> comparison_pb2.ComparisonRun:
    return comparison_pb2.ComparisonRun(
        run_id=run.run_id,
        architecture=run.architecture,
        seed=run.seed,
        label_share=run.label_share,
        state=f"RUN_STATE_{run.state.name}",
        progress=run.progress,
        eta_s=run.eta_s,
        error=run.error,
        validation_score=run.validation_score,
        model_digest=run.model_digest,
    )


def _run_from_proto(message: comparison_pb2.ComparisonRun) -> ComparedRun:
    told = ComparedRun(
        run_id=message.run_id,
        architecture=message.architecture,
        seed=message.seed,
        label_share=message.label_share,
        state=RunState[run_pb2.RunState.Name(message.state).removeprefix("RUN_STATE_")],
        progress=message.progress,
        eta_s=message.eta_s,
        error=message.error,
        model_digest=message.model_digest,
    )
    return (
        replace(told, validation_score=message.validation_score)
        if message.HasField("validation_score")
        else told
    )


def _row_from_proto(message: comparison_pb2.ComparisonRow) -> ComparisonRow:
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    # Absent scores are absent messages; JSON has 64-bit integers as texts.
    return msgspec.convert(fields, ComparisonRow, strict=False)
