"""Which models this process knows: follows the facts, loads what is approved, keeps the old on failure."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from exchangeai.bus import FactIndex
from exchangeai.errors import ContractViolation, NotFound, NotReady
from exchangeai.facts import ModelFact, ModelState
from exchangeai.model_file import Manifest, model_digest, object_key
from exchangeai.store import ObjectStore
from services.inference.graph import inspect
from services.inference.sessions import Session, reproduce_golden

log = logging.getLogger(__name__)

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
RETRY_S = 5.0
"""Pause before a model that could not be fetched is tried again."""
LOAD_WAIT_S = 20.0
"""How long a request waits for a model that is being loaded."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model that may answer: it has reproduced its golden record in this process."""

    fact: ModelFact
    manifest: Manifest
    session: Session


@dataclass(frozen=True, kw_only=True)
class _Failure:
    fact: ModelFact
    reason: str
    passing: bool


class Registry:
    """The models of this process. Run `follow()` for as long as it lives."""

    def __init__(
        self, index: FactIndex[ModelFact], store: ObjectStore, *, threads: int, retry_s: float = RETRY_S
    ) -> None:
        self._index = index
        self._store = store
        self._threads = threads
        self._retry_s = retry_s
        self._loaded: dict[str, LoadedModel] = {}
        self._manifests: dict[str, Manifest] = {}
        self._failures: dict[str, _Failure] = {}
        self._unloaded: set[str] = set()
        self._catching_up = asyncio.Lock()
        self._settled = asyncio.Condition()
        self._first_pass = asyncio.Event()

    async def follow(self) -> None:
        """Keep up with the facts until cancelled."""
        changes = self._index.changes()
        while True:
            # The next change is awaited before looking, so that none falls between the two.
            upcoming = asyncio.ensure_future(anext(changes))
            try:
                await asyncio.sleep(0)
                await self._catch_up()
                self._first_pass.set()
                while not upcoming.done():
                    passing = any(x.passing for x in self._failures.values())
                    await asyncio.wait({upcoming}, timeout=self._retry_s if passing else None)
                    if not upcoming.done():
                        await self._catch_up()
            finally:
                if not upcoming.done():
                    upcoming.cancel()
            await upcoming

    async def caught_up(self) -> None:
        """Wait until every model known at the start is loaded or refused."""
        await self._first_pass.wait()

    async def settled(self, key: str) -> None:
        """Wait (at most LOAD_WAIT_S) until the model of this key is loaded or refused."""
        try:
            async with asyncio.timeout(LOAD_WAIT_S), self._settled:
                await self._settled.wait_for(lambda: not self._pending(key))
        except TimeoutError:
            raise NotReady("the model is still being loaded; ask again in a moment") from None

    async def choose(self, name: str, version: int = 0) -> LoadedModel:
        """The model that is to answer; version 0 is the newest approved one that works.

        Waits for one that is being loaded. Raises NotFound (no such name or version) or NotReady (in
        quarantine, or it could not be loaded).
        """
        facts = self._facts(name)
        if not facts:
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        if version:
            chosen = [key for key, fact in facts if fact.version == version]
            if not chosen:
                raise NotFound(f"the model {name!r} has no version {version}")
        else:
            chosen = [key for key, fact in facts if fact.state is ModelState.APPROVED]
            loaded = next((self._loaded[key] for key in chosen if key in self._loaded), None)
            if loaded is not None:
                return loaded
        for key in chosen:
            await self.settled(key)
            if key in self._loaded:
                return self._loaded[key]
        failure = next((self._failures[key] for key in chosen if key in self._failures), None)
        if failure is not None:
            raise NotReady(f"the model {name!r} could not be loaded: {failure.reason}")
        if name in self._unloaded:
            raise NotReady(f"the model {name!r} was unloaded here; load it again")
        raise NotReady(f"the model {name!r} is in quarantine: a person must approve it first")

    def ready_versions(self, name: str) -> list[int]:
        """Versions that answer now, newest first."""
        return [fact.version for key, fact in self._facts(name) if key in self._loaded]

    def states(self) -> list[tuple[ModelFact, str, str]]:
        """(model, READY, LOADING or UNAVAILABLE, why not READY) by name, newest version first."""
        facts = sorted(self._index.items.items(), key=lambda x: (x[1].name, -x[1].version))
        return [(fact, *self._state(key, fact)) for key, fact in facts]

    def _state(self, key: str, fact: ModelFact) -> tuple[str, str]:
        if key in self._loaded:
            return READY, ""
        if fact.name in self._unloaded:
            return UNAVAILABLE, "unloaded on request; load it again"
        if fact.state is not ModelState.APPROVED:
            return UNAVAILABLE, f"it is {fact.state.value}: a person must approve it first"
        failure = self._failures.get(key)
        return (UNAVAILABLE, failure.reason) if failure is not None else (LOADING, "it is being loaded")

    async def load(self, name: str) -> None:
        """Take a model into memory, again if that failed before. Raises as `choose` does."""
        self._unloaded.discard(name)
        for key, _ in self._facts(name):
            self._failures.pop(key, None)
        await self._catch_up()
        await self.choose(name)

    async def unload(self, name: str) -> None:
        """Let go of a model in this process until `load`. Raises NotFound."""
        if not self._facts(name):
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        self._unloaded.add(name)
        await self._catch_up()

    def known(self) -> list[tuple[ModelFact, Manifest]]:
        """Every model whose file could be read, by name, newest version first."""
        facts = sorted(self._index.items.values(), key=lambda x: (x.name, -x.version))
        return [(x, self._manifests[x.digest]) for x in facts if x.digest in self._manifests]

    def manifest(self, digest: str) -> Manifest | None:
        """The manifest of a model whose file was read."""
        return self._manifests.get(digest)

    def _facts(self, name: str) -> list[tuple[str, ModelFact]]:
        found = [(key, fact) for key, fact in self._index.items.items() if fact.name == name]
        return sorted(found, key=lambda x: -x[1].version)

    def _pending(self, key: str) -> bool:
        fact = self._index.items.get(key)
        if fact is None or not self._wanted(key):
            return False
        loaded, failure = self._loaded.get(key), self._failures.get(key)
        return not (
            (loaded is not None and loaded.fact.digest == fact.digest)
            or (failure is not None and failure.fact == fact)
        )

    async def _catch_up(self) -> None:
        async with self._catching_up:
            await self._follow_facts()

    def _wanted(self, key: str) -> bool:
        fact = self._index.items.get(key)
        return fact is not None and fact.state is ModelState.APPROVED and fact.name not in self._unloaded

    async def _follow_facts(self) -> None:
        facts = dict(self._index.items)
        for key in [k for k in self._loaded if not self._wanted(k)]:
            log.info("model unloaded", extra={"fields": {"model": key}})
            del self._loaded[key]
        for key in [k for k in self._failures if k not in facts]:
            del self._failures[key]
        for key, fact in sorted(facts.items(), key=lambda x: -x[1].version):
            failure = self._failures.get(key)
            if failure is not None and failure.fact == fact and not failure.passing:
                continue
            if self._pending(key) or fact.digest not in self._manifests or failure is not None:
                await self._take(key, fact)
            async with self._settled:
                self._settled.notify_all()
        alive = {x.digest for x in facts.values()}
        self._manifests = {k: v for k, v in self._manifests.items() if k in alive}

    async def _take(self, key: str, fact: ModelFact) -> None:
        fields = {"model": key, "digest": fact.digest}
        try:
            await self._load(key, fact)
        except asyncio.CancelledError:
            raise
        except Exception as e:
            # One bad model must not keep the others from answering; what was loaded before stays.
            wrong = isinstance(e, ContractViolation)
            reason = str(e) if wrong else f"its file could not be fetched ({type(e).__name__})"
            self._failures[key] = _Failure(fact=fact, reason=reason, passing=not wrong)
            log.error("model refused", extra={"fields": {**fields, "reason": reason}}, exc_info=not wrong)
        else:
            self._failures.pop(key, None)
            log.info("model known", extra={"fields": {**fields, "state": fact.state.value}})

    async def _load(self, key: str, fact: ModelFact) -> None:
        twin = next((x for x in self._loaded.values() if x.fact.digest == fact.digest), None)
        if twin is None:
            data = await self._store.get(object_key(fact.digest))
            wanted = self._wanted(key)
            manifest, session = await asyncio.to_thread(_open, data, fact.digest, wanted, self._threads)
        else:
            manifest, session = twin.manifest, twin.session
        self._manifests[fact.digest] = manifest
        if session is not None and self._wanted(key):
            self._loaded[key] = LoadedModel(fact=fact, manifest=manifest, session=session)


def _open(data: bytes, digest: str, wanted: bool, threads: int) -> tuple[Manifest, Session | None]:
    if model_digest(data) != digest:
        raise ContractViolation("the stored file is not the one that was published: its digest differs")
    _, manifest = inspect(data)
    if not wanted:
        return manifest, None
    session = Session(data, threads=threads)
    reproduce_golden(session, manifest)
    session.settle_width()
    return manifest, session
