"""How far a comparison has come, by the facts of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from exchangeai.comparisons import ComparedRun, ComparisonFact, ComparisonProgress, PlannedRun
from exchangeai.facts import Epoch, RunFact, RunState


def progress_of(fact: ComparisonFact, runs: Mapping[str, RunFact], now_s: float) -> ComparisonProgress:
    """Of a comparison, with the facts of runs by id; a run without one has not been queued yet."""
    compared = tuple(_compared(x, runs.get(x.run_id)) for x in fact.runs)
    if fact.state.ended:
        return ComparisonProgress(runs=compared, share=1.0)
    # A run takes so much of the time that one with all labels takes; see `batches.Order`.
    weights = [math.sqrt(x.label_share) for x in compared]
    shares = [1.0 if x.state.ended else x.progress for x in compared]
    done = sum(w * x for w, x in zip(weights, shares, strict=True)) / sum(weights)
    ended = sum(x.state.ended for x in compared)
    return ComparisonProgress(
        runs=compared,
        share=done,
        eta_s=(now_s - fact.created_at) * (1 - done) / done if done > 0 else 0.0,
        activity="Making the leaderboard"
        if ended == len(compared)
        else f"{ended} of {len(compared)} runs have ended",
    )


def _compared(planned: PlannedRun, run: RunFact | None) -> ComparedRun:
    told = ComparedRun(
        run_id=planned.run_id,
        architecture=planned.architecture,
        seed=planned.seed,
        label_share=planned.label_share,
    )
    if run is None:
        return told
    return replace(
        told,
        state=run.state,
        progress=1.0 if run.state is RunState.SUCCEEDED else run.progress,
        eta_s=run.eta_s,
        error=run.error or "",
        validation_score=_score(run.epochs, run.best_epoch),
        model_digest=run.model_digest or "",
    )


def _score(epochs: Sequence[Epoch], best: int) -> float | None:
    kept = next((x for x in epochs if x.epoch == best), None)
    if kept is None:
        return None
    return kept.validation_macro_auroc if kept.validation_error is None else kept.validation_error
