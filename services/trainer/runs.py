"""Runs as callers see them: asked for, listed, cancelled, continued."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from exchangeai.bus import Bus, FactIndex
from exchangeai.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, NotReady
from exchangeai.events.v1.run_requested_pb2 import RunRequested
from exchangeai.events.v1.run_state_changed_pb2 import RunStateChanged
from exchangeai.facts import (
    DatasetFact,
    DatasetState,
    Method,
    ModelFact,
    ModelState,
    RunFact,
    RunState,
    TrainingOptions,
)
from exchangeai.int8 import INT8_SUFFIX
from exchangeai.model_file import object_key, parse_model, read_manifest
from exchangeai.store import ObjectStore
from services.trainer.architectures import Architectures


def run_id_of(request_key: str) -> str:
    """The id of the run that was asked for under a key."""
    return hashlib.sha256(f"run:{request_key}".encode()).hexdigest()[:32]


LONGEST_NAME = 63
"""Letters of a model's name that every call takes."""
FORGOTTEN_WITHIN_S = 12 * 3600.0
"""Well within the time for which the server tells repeated events."""


class Runs:
    """The verbs of the training service."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        index: FactIndex[RunFact],
        models: FactIndex[ModelFact],
        architectures: Architectures,
        *,
        most_processes: int,
        now_s: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._most_processes = most_processes
        self._bus = bus
        self._store = store
        self._facts = bus.facts(RunFact)
        self._datasets = bus.facts(DatasetFact)
        self._index = index
        self._models = models
        self._architectures = architectures
        self._now_s = now_s
        self._asked_forgotten = False
        self._new_id = new_id

    async def start(
        self,
        *,
        dataset_id: str,
        architecture: str,
        model_name: str,
        options: TrainingOptions,
        base_model: str = "",
        request_key: str = "",
    ) -> RunFact:
        """Queue a run; equal request keys give the same one.

        Raises NotFound (data set, architecture, base model), NotReady (data set or base model), AlreadyExists
        (the request key was used for another request), InvalidArgument.
        """
        at_s = self._now_s()
        wanted = RunFact(
            run_id=run_id_of(request_key) if request_key else self._new_id(),
            model_name=model_name,
            dataset_id=dataset_id,
            architecture=architecture,
            state=RunState.QUEUED,
            options=options,
            base_model=base_model,
            activity="Waiting for a worker",
            created_at=at_s,
            updated_at=at_s,
        )
        known = await self._facts.get(wanted.run_id)
        if known is not None:
            return self._same(known.value, wanted)
        await self.check(wanted)
        return await self.add(wanted)

    async def add(self, wanted: RunFact) -> RunFact:
        """Add a run that was checked, and request it if it is queued; the one of this id if there is one.

        Raises AlreadyExists when that is for something else.
        """
        try:
            await self._facts.create(wanted.run_id, wanted)
        except Conflict:
            return self._same(await self.get(wanted.run_id), wanted)
        if wanted.state is RunState.QUEUED:
            await self.request(wanted)
        return wanted

    async def get(self, run_id: str) -> RunFact:
        """The run now. Raises NotFound."""
        fact = await self._facts.get(run_id)
        if fact is None:
            raise NotFound("there is no such run; list the runs to see what there is")
        return fact.value

    def list(self) -> list[RunFact]:
        """All runs, newest first."""
        return sorted(self._index.items.values(), key=lambda r: (r.created_at, r.run_id), reverse=True)

    async def dataset(self, dataset_id: str) -> DatasetFact:
        """A data set that can be learned from. Raises NotFound, NotReady."""
        fact = await self._datasets.get(dataset_id)
        if fact is None:
            raise NotFound("there is no such data set; build it first")
        if fact.value.state is not DatasetState.READY:
            raise NotReady(f"the data set is {fact.value.state}; training needs one that is ready")
        return fact.value

    async def cancel(self, run_id: str) -> RunFact:
        """Stop a run: a queued one ends at once, a running one after saving. Raises NotFound."""

        def edit(run: RunFact) -> RunFact:
            if run.state is RunState.QUEUED:
                return replace(run, state=RunState.CANCELLED, activity="", updated_at=self._now_s())
            if run.state.working:
                return replace(
                    run, state=RunState.CANCELLING, activity="Saving the checkpoint", updated_at=self._now_s()
                )
            return run

        await self.get(run_id)
        cancelled = await self._facts.change(run_id, edit)
        await announce(self._bus, cancelled)
        return cancelled

    async def resume(self, run_id: str) -> RunFact:
        """Queue a cancelled or failed run again, from its last checkpoint. Raises NotFound, NotReady."""

        def edit(run: RunFact) -> RunFact:
            if run.state not in (RunState.CANCELLED, RunState.FAILED):
                raise NotReady(f"the run is {run.state}; only a cancelled or failed run can be continued")
            return replace(
                run,
                state=RunState.QUEUED,
                attempt=run.attempt + 1,
                starts=0,
                error=None,
                activity="Waiting for a worker",
                updated_at=self._now_s(),
            )

        await self.get(run_id)
        resumed = await self._facts.change(run_id, edit)
        await self.request(resumed)
        return resumed

    async def request(self, run: RunFact) -> None:
        """Put the run on the work queue; once for each attempt, however often this is called."""
        await self._bus.publish(
            RunRequested(run_id=run.run_id, attempt=run.attempt), dedup_id=f"{run.run_id}:{run.attempt}"
        )
        await announce(self._bus, run)

    async def request_forgotten(self) -> None:
        """Request every queued run again: its event may have been lost in a crash.

        But for the first time, not those that have waited for long: their event is in the queue, and the
        server would no longer know a second one for the same.
        """
        since_s = self._now_s() - FORGOTTEN_WITHIN_S if self._asked_forgotten else 0.0
        self._asked_forgotten = True
        for run in self.list():
            if run.state is RunState.QUEUED and run.updated_at >= since_s:
                await self.request(run)

    def base_fact(self, base_model: str) -> ModelFact:
        """The approved version meant by `name` (the newest) or `name:version`. Raises NotFound, NotReady."""
        name, _, version = base_model.partition(":")
        if version and not version.isdecimal():
            raise InvalidArgument("a base model is given as name or name:version, the version a number")
        versions = [m for m in self._models.items.values() if m.name == name]
        if version:
            versions = [m for m in versions if m.version == int(version)]
        if not versions:
            raise NotFound("there is no such base model; list the models to see what there is")
        approved = [m for m in versions if m.state is ModelState.APPROVED]
        if not approved:
            raise NotReady("the base model is in quarantine; a person must approve it first")
        return max(approved, key=lambda m: m.version)

    async def check(self, run: RunFact) -> None:
        """Whether a run can be queued. Raises what `start` does."""
        if run.options.processes > self._most_processes:
            raise InvalidArgument(
                f"{run.options.processes} processes are more than the {self._most_processes} "
                "that this trainer can start; ask for fewer"
            )
        names = [a.name for a in await self._architectures.all()]
        if run.architecture not in names:
            raise NotFound(f"there is no such architecture; there are {', '.join(names)}")
        if run.options.method is not Method.FULL and not run.base_model:
            raise InvalidArgument(
                "a linear probe or an attention head needs a base model whose features it reads; "
                "choose one, or train every layer"
            )
        longest = LONGEST_NAME - len(INT8_SUFFIX)
        if run.options.int8 and len(run.model_name) > longest:
            raise InvalidArgument(
                f"the form in eight bits is named with {INT8_SUFFIX} at the end, which would be too long; "
                f"choose a name of at most {longest} letters"
            )
        await self.dataset(run.dataset_id)
        if run.base_model:
            digest = self.base_fact(run.base_model).digest
            manifest = read_manifest(parse_model(await self._store.get(object_key(digest))))
            if manifest.architecture != run.architecture:
                raise InvalidArgument(
                    "the base model has another architecture than the run; choose the same for both"
                )

    def _same(self, known: RunFact, wanted: RunFact) -> RunFact:
        def what(run: RunFact) -> tuple[object, ...]:
            return run.dataset_id, run.architecture, run.model_name, run.options, run.base_model

        if what(known) != what(wanted):
            raise AlreadyExists("this request key was used for another run; choose a new one")
        return known


async def announce(bus: Bus, run: RunFact) -> None:
    """Tell that the run went into its present state."""
    await bus.publish(
        RunStateChanged(run_id=run.run_id, state=f"RUN_STATE_{run.state.name}"),
        dedup_id=f"{run.run_id}:{run.attempt}:{run.state}",
    )
