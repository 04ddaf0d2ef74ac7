"""Comparisons as callers see them: asked for, listed, cancelled, ranked when their last run has ended."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from exchangeai.bus import Bus, FactIndex
from exchangeai.comparisons import ComparisonFact, ComparisonProgress, ComparisonState, PlannedRun
from exchangeai.errors import (
    AlreadyExists,
    Conflict,
    ExchangeaiError,
    InvalidArgument,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)
from exchangeai.facts import DatasetFact, Method, RunFact, RunState, TrainingOptions
from exchangeai.store import ObjectStore
from services.trainer.architectures import Architectures
from services.trainer.comparison_progress import progress_of
from services.trainer.evaluation.intervals import DRAWS
from services.trainer.leaderboard import Entry, leaderboard, score_name
from services.trainer.runs import Runs, run_id_of
from services.trainer.scores import read_scores, scores_key

DEFAULT_SEEDS = (0, 1, 2)
MOST_RUNS = 1000
"""A comparison is one fact, and a message of the bus holds 1 MiB."""
SWEEP_EVERY_S = 60.0
WATCH_EVERY_S = 0.5
"""As often as a run in hand changes."""
log = logging.getLogger(__name__)


class Comparisons:
    """The verbs of comparisons, and what brings them to their end."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        runs: Runs,
        run_index: FactIndex[RunFact],
        index: FactIndex[ComparisonFact],
        architectures: Architectures,
        *,
        now_s: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._facts = bus.facts(ComparisonFact)
        self._datasets = bus.facts(DatasetFact)
        self._store = store
        self._runs = runs
        self._run_index = run_index
        self._index = index
        self._architectures = architectures
        self._now_s = now_s
        self._new_id = new_id
        self._due: asyncio.Queue[str] = asyncio.Queue()

    async def start(
        self,
        *,
        dataset_id: str,
        name: str,
        architectures: Sequence[str],
        seeds: Sequence[int] = (),
        label_shares: Sequence[float] = (),
        options: TrainingOptions,
        request_key: str = "",
    ) -> ComparisonFact:
        """Queue every architecture with every seed and label share; equal request keys give the same one.

        Raises what `Runs.start` raises, before anything is queued.
        """
        keyed = hashlib.sha256(f"comparison:{request_key}".encode()).hexdigest()[:32]
        comparison_id = keyed if request_key else self._new_id()
        shares, at_s = tuple(sorted({*label_shares, 1.0})), self._now_s()
        wanted = ComparisonFact(
            comparison_id=comparison_id,
            name=name,
            dataset_id=dataset_id,
            architectures=tuple(architectures),
            seeds=tuple(seeds) or DEFAULT_SEEDS,
            label_shares=shares,
            options=replace(options, seed=0, label_share=1.0),
            state=ComparisonState.RUNNING,
            # The first seed of all comes first, so that there is something to see early.
            runs=tuple(
                _plan(comparison_id, architecture, seed, share)
                for seed in (seeds or DEFAULT_SEEDS)
                for share in reversed(shares)
                for architecture in architectures
            ),
            created_at=at_s,
            updated_at=at_s,
        )
        known = await self._facts.get(comparison_id)
        if known is not None:
            return _same(known.value, wanted)
        if options.method is not Method.FULL:
            raise InvalidArgument(
                "a comparison trains from scratch; choose the method that trains every layer"
            )
        if len(wanted.runs) > MOST_RUNS:
            raise TooLarge(
                f"{len(wanted.runs)} runs are more than the {MOST_RUNS} of one comparison; "
                "take fewer architectures, seeds or label shares"
            )
        for planned in wanted.runs[: len(architectures)]:
            await self._runs.check(self._run(wanted, planned))
        try:
            await self._facts.create(comparison_id, wanted)
        except Conflict:
            return _same(await self.get(comparison_id), wanted)
        await self._index.wait(comparison_id, lambda x: x is not None)
        self._due.put_nowait(comparison_id)
        return wanted

    async def get(self, comparison_id: str) -> ComparisonFact:
        """The comparison now. Raises NotFound."""
        fact = await self._facts.get(comparison_id)
        if fact is None:
            raise NotFound("there is no such comparison; list the comparisons to see what there is")
        return fact.value

    def list(self) -> list[ComparisonFact]:
        """All comparisons, newest first."""
        return sorted(self._index.items.values(), key=lambda x: (x.created_at, x.comparison_id), reverse=True)

    async def watch(self, comparison_id: str) -> AsyncIterator[tuple[ComparisonFact, ComparisonProgress]]:
        """The comparison now and as it goes on, until it has ended. Raises NotFound."""
        fact, told = await self.get(comparison_id), None
        while True:
            progress = self.progress(fact)
            if (fact, progress.runs) != told:
                yield fact, progress
                told = fact, progress.runs
            if fact.state.ended:
                return
            await asyncio.sleep(WATCH_EVERY_S)
            newer = self._index.items.get(comparison_id, fact)
            # The index may be a moment behind what was read at first.
            fact = newer if newer.updated_at >= fact.updated_at else fact

    def progress(self, fact: ComparisonFact) -> ComparisonProgress:
        """How far its runs have come."""
        return progress_of(fact, self._run_index.items, self._now_s())

    async def cancel(self, comparison_id: str) -> ComparisonFact:
        """Stop all its runs that have not ended. Raises NotFound."""

        def edit(fact: ComparisonFact) -> ComparisonFact:
            if fact.state is not ComparisonState.RUNNING:
                return fact
            return replace(fact, state=ComparisonState.CANCELLING, updated_at=self._now_s())

        await self.get(comparison_id)
        cancelled = await self._facts.change(comparison_id, edit)
        self._due.put_nowait(comparison_id)
        return cancelled

    async def rank(self, comparison_id: str) -> ComparisonFact:
        """Make the leaderboard anew, when the last run has ended. Raises NotFound."""
        await self.get(comparison_id)
        reopened = await self._reopen(comparison_id)
        self._due.put_nowait(comparison_id)
        return reopened

    async def follow(self) -> None:
        """Bring comparisons to their end, for ever: whatever a restart interrupted is taken up again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear_of_runs())
            tasks.create_task(self._sweep())
            while True:
                comparison_id = await self._due.get()
                try:
                    await self._settle(comparison_id)
                except Exception:
                    # The next sweep tries again.
                    log.exception("a comparison could not be brought forward")

    async def _hear_of_runs(self) -> None:
        async for _, run in self._run_index.changes():
            if run is not None and run.comparison_id and run.state.ended:
                self._due.put_nowait(run.comparison_id)

    async def _sweep(self) -> None:
        while True:
            for fact in self.list():
                if not fact.state.ended:
                    self._due.put_nowait(fact.comparison_id)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _settle(self, comparison_id: str) -> None:
        fact = await self.get(comparison_id)
        if fact.state.ended:
            # A failed run that was continued may have succeeded since.
            runs = (self._run_index.items.get(x.run_id) for x in fact.runs)
            if all(x is None or x.updated_at <= fact.updated_at for x in runs):
                return
            fact = await self._reopen(comparison_id)
        cancelling = fact.state is ComparisonState.CANCELLING
        runs = [await self._brought_forward(fact, planned, cancelling) for planned in fact.runs]
        if all(x.state.ended for x in runs):
            await self._end(fact, runs)

    async def _brought_forward(self, fact: ComparisonFact, planned: PlannedRun, cancelling: bool) -> RunFact:
        """The run: added where it is missing (as cancelled if need be, or it might be added later)."""
        run = self._run_index.items.get(planned.run_id)
        if run is None:
            wanted = self._run(fact, planned)
            run = await self._runs.add(replace(wanted, state=RunState.CANCELLED) if cancelling else wanted)
        if cancelling and not run.state.ended:
            run = await self._runs.cancel(run.run_id)
        return run

    async def _end(self, fact: ComparisonFact, runs: Sequence[RunFact]) -> None:
        """Make the leaderboard and store it."""
        state, error, made = ComparisonState.SUCCEEDED, None, fact
        try:
            made = await self._ranked(fact, runs)
        except (Unavailable, Overloaded):
            raise  # the servers are at fault, not the runs
        except ExchangeaiError as e:
            log.exception("a leaderboard could not be made")
            state, error = ComparisonState.FAILED, str(e)
        if error is None and not any(x.rank for x in made.rows):
            state = ComparisonState.FAILED
            error = next((f"no run succeeded: {x.error}" for x in made.rows), "no run succeeded")

        def edit(now: ComparisonFact) -> ComparisonFact:
            if now.state.ended:
                return now
            cancelled = now.state is ComparisonState.CANCELLING
            return replace(
                made,
                state=ComparisonState.CANCELLED if cancelled else state,
                error=None if cancelled else error,
                updated_at=self._now_s(),
            )

        await self._facts.change(fact.comparison_id, edit)

    async def _ranked(self, fact: ComparisonFact, runs: Sequence[RunFact]) -> ComparisonFact:
        dataset = await self._datasets.get(fact.dataset_id)
        if dataset is None:
            raise NotFound("the data set was deleted; the leaderboard cannot be made")
        task = dataset.value.task
        entries = [await self._entry(p, r) for p, r in zip(fact.runs, runs, strict=True)]
        known = {x.name: x for x in await self._architectures.all()}
        rows = await asyncio.to_thread(leaderboard, entries, task, known)
        return replace(fact, rows=rows, score_name=score_name(task), bootstrap_draws=DRAWS)

    async def _entry(self, planned: PlannedRun, run: RunFact) -> Entry:
        if run.state is not RunState.SUCCEEDED:
            return Entry(planned=planned, run=run, scores=None)
        try:
            scores = read_scores(await self._store.get(scores_key(run.run_id)))
        except (NotFound, InvalidArgument) as e:
            return Entry(planned=planned, run=replace(run, error=str(e)), scores=None)
        return Entry(planned=planned, run=run, scores=scores)

    async def _reopen(self, comparison_id: str) -> ComparisonFact:
        def edit(fact: ComparisonFact) -> ComparisonFact:
            if not fact.state.ended:
                return fact
            return replace(fact, state=ComparisonState.RUNNING, error=None, updated_at=self._now_s())

        return await self._facts.change(comparison_id, edit)

    def _run(self, fact: ComparisonFact, planned: PlannedRun) -> RunFact:
        at_s = self._now_s()
        return RunFact(
            run_id=planned.run_id,
            model_name=_model_name(fact, planned),
            dataset_id=fact.dataset_id,
            architecture=planned.architecture,
            state=RunState.QUEUED,
            options=replace(
                fact.options,
                seed=planned.seed,
                label_share=planned.label_share,
                int8=fact.options.int8 and planned.label_share == 1,  # nothing else is published
            ),
            comparison_id=fact.comparison_id,
            activity="Waiting for a worker",
            created_at=at_s,
            updated_at=at_s,
        )


def _plan(comparison_id: str, architecture: str, seed: int, share: float) -> PlannedRun:
    return PlannedRun(
        run_id=run_id_of(f"comparison:{comparison_id}:{architecture}:{seed}:{share!r}"),
        architecture=architecture,
        seed=seed,
        label_share=share,
    )


def _model_name(fact: ComparisonFact, planned: PlannedRun) -> str:
    """Seeds are versions of one model; those of fewer labels, never published, have a name of their own."""
    name = f"{fact.name}-{planned.architecture}"
    return name if planned.label_share == 1 else f"{name}-{100 * planned.label_share:g}pct"


def _same(known: ComparisonFact, wanted: ComparisonFact) -> ComparisonFact:
    def what(x: ComparisonFact) -> tuple[object, ...]:
        return x.dataset_id, x.name, x.options, x.runs

    if what(known) != what(wanted):
        raise AlreadyExists("this request key was used for another comparison; choose a new one")
    return known
