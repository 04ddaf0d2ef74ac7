"""Runs to their message and back: for the trainer, and for whoever follows it."""

from __future__ import annotations

from collections.abc import Sequence

from exchangeai.facts import Epoch, RateSearch, RunFact, RunState
from exchangeai.int8 import Int8Form
from exchangeai.metrics import Estimate
from exchangeai.rpc.convert import report_from_proto, report_to_proto, timestamp
from exchangeai.rpc.training_options import options_from_proto, options_to_proto
from exchangeai.v1 import metrics_pb2, run_pb2


def run_to_proto(fact: RunFact) -> run_pb2.Run:
    """A training run."""
    message = run_pb2.Run(
        run_id=fact.run_id,
        model_name=fact.model_name,
        dataset_id=fact.dataset_id,
        architecture=fact.architecture,
        state=f"RUN_STATE_{fact.state.name}",
        options=options_to_proto(fact.options),
        epochs=_epochs(fact.epochs),
        progress=fact.progress,
        eta_s=fact.eta_s,
        activity=fact.activity,
        error=fact.error or "",
        model_digest=fact.model_digest or "",
        model_version=fact.model_version,
        created_at=timestamp(fact.created_at),
        updated_at=timestamp(fact.updated_at),
        best_epoch=fact.best_epoch,
        base_model=fact.base_model,
        comparison_id=fact.comparison_id,
        code_version=fact.code_version,
        dataset_digest=fact.dataset_digest,
    )
    if fact.test is not None:
        message.test.CopyFrom(report_to_proto(fact.test))
    if (search := fact.rate_search) is not None:
        message.rate_search.CopyFrom(
            run_pb2.RateSearch(
                rates=search.rates,
                losses=search.losses,
                steepest=search.steepest,
                divergence=search.divergence,
                chosen=search.chosen,
            )
        )
    if fact.int8_form is not None:
        message.int8_form.CopyFrom(_int8_to_proto(fact.int8_form))
    return message


def run_from_proto(r: run_pb2.Run) -> RunFact:
    """A run as it was told."""
    return RunFact(
        run_id=r.run_id,
        model_name=r.model_name,
        dataset_id=r.dataset_id,
        architecture=r.architecture,
        state=RunState[run_pb2.RunState.Name(r.state).removeprefix("RUN_STATE_")],
        options=options_from_proto(r.options),
        base_model=r.base_model,
        epochs=tuple(
            Epoch(
                epoch=e.epoch,
                train_loss=e.train_loss,
                validation_loss=e.validation_loss,
                validation_macro_auroc=(
                    e.validation_macro_auroc if e.HasField("validation_macro_auroc") else None
                ),
                seconds=e.seconds,
                validation_error=e.validation_error if e.HasField("validation_error") else None,
            )
            for e in r.epochs
        ),
        best_epoch=r.best_epoch,
        progress=r.progress,
        eta_s=r.eta_s,
        activity=r.activity,
        error=r.error or None,
        test=report_from_proto(r.test) if r.HasField("test") else None,
        model_digest=r.model_digest or None,
        model_version=r.model_version,
        comparison_id=r.comparison_id,
        code_version=r.code_version,
        dataset_digest=r.dataset_digest,
        rate_search=_search(r.rate_search) if r.HasField("rate_search") else None,
        int8_form=_int8_from_proto(r.int8_form) if r.HasField("int8_form") else None,
        created_at=r.created_at.ToMicroseconds() / 1e6,
        updated_at=r.updated_at.ToMicroseconds() / 1e6,
    )


def _search(s: run_pb2.RateSearch) -> RateSearch:
    return RateSearch(
        rates=tuple(s.rates),
        losses=tuple(s.losses),
        steepest=s.steepest if s.HasField("steepest") else None,
        divergence=s.divergence if s.HasField("divergence") else None,
        chosen=s.chosen,
    )


def _int8_to_proto(form: Int8Form) -> run_pb2.Int8Form:
    return run_pb2.Int8Form(
        model_digest=form.digest,
        model_name=form.model_name,
        model_version=form.model_version,
        loss=metrics_pb2.Estimate(value=form.loss.value, low=form.loss.low, high=form.loss.high),
        inference_ms=form.inference_ms,
        float32_ms=form.float32_ms,
        reason=form.reason,
    )


def _int8_from_proto(f: run_pb2.Int8Form) -> Int8Form:
    lost = f.loss
    return Int8Form(
        digest=f.model_digest,
        model_name=f.model_name,
        model_version=f.model_version,
        loss=Estimate(
            value=lost.value if lost.HasField("value") else None,
            low=lost.low if lost.HasField("low") else None,
            high=lost.high if lost.HasField("high") else None,
        ),
        inference_ms=f.inference_ms,
        float32_ms=f.float32_ms,
        reason=f.reason,
    )


def _epochs(epochs: Sequence[Epoch]) -> list[run_pb2.Epoch]:
    return [
        run_pb2.Epoch(
            epoch=x.epoch,
            train_loss=x.train_loss,
            validation_loss=x.validation_loss,
            validation_macro_auroc=x.validation_macro_auroc,
            seconds=x.seconds,
            validation_error=x.validation_error,
        )
        for x in epochs
    ]
