"""Which models this process knows: follows the facts, loads what is approved, keeps the old on failure.

What answers under a name is its champion; while that cannot be loaded, the champions before it answer, the
latest first. A name without a chosen champion is answered by its newest approved version that works.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from exchangeai.bus import FactIndex
from exchangeai.errors import ContractViolation, NotFound, NotReady
from exchangeai.facts import ModelFact, ModelState, ServingFact
from exchangeai.model_file import Manifest, object_key
from exchangeai.store import ObjectStore
from services.inference.devices import Device
from services.inference.loading import LoadedModel, open_model
from services.inference.memory import Budget

log = logging.getLogger(__name__)

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
RETRY_S = 5.0
"""Pause before a model that could not be fetched is tried again."""
LOAD_WAIT_S = 20.0
"""How long a request waits for a model that is being loaded."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    fact: ModelFact
    reason: str
    passing: bool


class Registry:
    """The models of this process. Run `follow()` for as long as it lives."""

    def __init__(
        self,
        index: FactIndex[ModelFact],
        served: FactIndex[ServingFact],
        store: ObjectStore,
        *,
        threads: int,
        device: Device = Device.CPU,
        memory_bytes: int = 0,
        retry_s: float = RETRY_S,
    ) -> None:
        self._index = index
        self._served = served
        self._store = store
        self._threads = threads
        self._device = device
        self._retry_s = retry_s
        self._loaded: dict[str, LoadedModel] = {}
        self._manifests: dict[str, Manifest] = {}
        self._failures: dict[str, _Failure] = {}
        self._unloaded: set[str] = set()
        self._budget = Budget(memory_bytes)
        self._resting: set[str] = set()
        """Approved, but let go for others; loaded when asked for."""
        self._named: dict[str, list[tuple[str, ModelFact]]] = {}
        """Facts by name, newest version first, as of a version of the index: each request asks for them."""
        self._named_at = -1
        self._catching_up = asyncio.Lock()
        self._settled = asyncio.Condition()
        self._first_pass = asyncio.Event()

    async def follow(self) -> None:
        """Keep up with the facts until cancelled."""
        sources = (self._index.changes(), self._served.changes())
        # The next changes are awaited before looking, so that none falls between the two.
        upcoming = [asyncio.ensure_future(anext(x)) for x in sources]
        try:
            while True:
                await asyncio.sleep(0)
                for i, source in enumerate(sources):
                    if upcoming[i].done():
                        await upcoming[i]
                        upcoming[i] = asyncio.ensure_future(anext(source))
                        await asyncio.sleep(0)
                await self.refresh()
                self._first_pass.set()
                passing = any(x.passing for x in self._failures.values())
                await asyncio.wait(
                    upcoming,
                    timeout=self._retry_s if passing else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for x in upcoming:
                x.cancel()

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
        """The model that is to answer; version 0 is the champion, or what answers in its place.

        Waits for one that is being loaded. Raises NotFound (no such name or version) or NotReady (in
        quarantine, deprecated, or it could not be loaded).
        """
        facts = self._facts(name)
        if not facts:
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        if version:
            chosen = [key for key, fact in facts if fact.version == version]
            if not chosen:
                raise NotFound(f"the model {name!r} has no version {version}")
        else:
            chosen = self._line(name)
        loaded = next((key for key in chosen if key in self._loaded), None)
        if loaded is not None:
            self._budget.touch(loaded)
            return self._loaded[loaded]
        for key in chosen:
            await self.settled(key)
            if key in self._resting:
                await self._wake(key)
            if key in self._loaded:
                return self._loaded[key]
        failure = next((self._failures[key] for key in chosen if key in self._failures), None)
        if failure is not None:
            raise NotReady(f"the model {name!r} could not be loaded: {failure.reason}")
        if name in self._unloaded:
            raise NotReady(f"the model {name!r} was unloaded here; load it again")
        asked = [x for _, x in facts if x.version == version or not version]
        if asked and all(x.state is ModelState.DEPRECATED for x in asked):
            which = f"version {version} of the model" if version else "the model"
            raise NotReady(
                f"{which} {name!r} is deprecated and answers no more; a person can approve it again"
            )
        raise NotReady(f"the model {name!r} is in quarantine: a person must approve it first")

    def champion(self, name: str) -> int:
        """The version that answers under a name here now; 0 for none."""
        key = next((key for key in self._line(name) if key in self._loaded), None)
        return self._index.items[key].version if key is not None and key in self._index.items else 0

    def answering(self, name: str) -> tuple[int, str]:
        """(version that answers under a name here now or 0, why it is not the champion or "")."""
        line, version = self._line(name), self.champion(name)
        if not line or name in self._unloaded:
            return version, ""
        first = self._index.items[line[0]]
        if first.version == version:
            return version, ""
        place = f"version {version} answers in its place" if version else "nothing answers in its place"
        reason = self._state(line[0], first)[1]
        return (
            version,
            f"the champion, version {first.version} of {name!r}, does not answer: {reason}; {place}",
        )

    def served_names(self) -> list[str]:
        """Names that have an approved version and were not unloaded here."""
        approved = {x.name for x in self._index.items.values() if x.state is ModelState.APPROVED}
        return sorted(approved - self._unloaded)

    def canary(self, name: str) -> tuple[int, float]:
        """(version of the canary or 0, its share)."""
        fact = self._served.items.get(name)
        return (fact.canary, fact.canary_share) if fact is not None else (0, 0.0)

    def shadow(self, name: str) -> LoadedModel | None:
        """The shadow of a name, if it is loaded."""
        fact = self._served.items.get(name)
        key = next((k for k, x in self._facts(name) if fact and x.version == fact.shadow), None)
        return self._loaded.get(key) if key is not None else None

    async def moved(self) -> None:
        """Wait until something was loaded, refused or let go."""
        async with self._settled:
            await self._settled.wait()

    def _line(self, name: str) -> list[str]:
        """Keys of the versions that may answer under a name, the champion first."""
        able = {x.version: key for key, x in self._facts(name) if x.state is ModelState.APPROVED}
        fact = self._served.items.get(name)
        if fact is None or not fact.champion:
            return list(able.values())
        return [able[x] for x in (fact.champion, *reversed(fact.previous)) if x in able]

    def _leading(self, key: str) -> bool:
        fact = self._index.items.get(key)
        return fact is not None and self._line(fact.name)[:1] == [key]

    def _kept(self, key: str) -> bool:
        """A champion, or what answers in the place of one, is never let go for another."""
        fact = self._index.items.get(key)
        return fact is not None and self.champion(fact.name) == fact.version

    async def _wake(self, key: str) -> None:
        """Load a model that rests. Raises NotReady when it does not fit."""
        async with self._catching_up:
            fact = self._index.items.get(key)
            if key in self._resting and fact is not None and self._wanted(key):
                await self._take(key, fact, asked=True)

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
        if fact.state is ModelState.DEPRECATED:
            return UNAVAILABLE, "it is deprecated; a person can approve it again"
        if key in self._resting:
            return UNAVAILABLE, "let go for memory; it is loaded when it is asked for by version"
        if fact.state is not ModelState.APPROVED:
            return UNAVAILABLE, f"it is {fact.state.value}: a person must approve it first"
        failure = self._failures.get(key)
        return (UNAVAILABLE, failure.reason) if failure is not None else (LOADING, "it is being loaded")

    async def load(self, name: str) -> None:
        """Take a model into memory, again if that failed before. Raises as `choose` does."""
        self._unloaded.discard(name)
        for key, _ in self._facts(name):
            self._failures.pop(key, None)
        await self.refresh()
        await self.choose(name)

    async def unload(self, name: str) -> None:
        """Let go of a model in this process until `load`. Raises NotFound."""
        if not self._facts(name):
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        self._unloaded.add(name)
        await self.refresh()

    def known(self) -> list[tuple[ModelFact, Manifest]]:
        """Every model whose file could be read, by name, newest version first."""
        facts = sorted(self._index.items.values(), key=lambda x: (x.name, -x.version))
        return [(x, self._manifests[x.digest]) for x in facts if x.digest in self._manifests]

    def manifest(self, digest: str) -> Manifest | None:
        """The manifest of a model whose file was read."""
        return self._manifests.get(digest)

    def _facts(self, name: str) -> list[tuple[str, ModelFact]]:
        if self._named_at != self._index.version:
            self._named_at, self._named = self._index.version, {}
            for key, fact in sorted(self._index.items.items(), key=lambda x: -x[1].version):
                self._named.setdefault(fact.name, []).append((key, fact))
        return self._named.get(name, [])

    def _pending(self, key: str) -> bool:
        fact = self._index.items.get(key)
        if fact is None or not self._wanted(key):
            return False
        loaded, failure = self._loaded.get(key), self._failures.get(key)
        return key not in self._resting and not (
            (loaded is not None and loaded.fact.digest == fact.digest)
            or (failure is not None and failure.fact == fact)
        )

    async def refresh(self) -> None:
        """Follow what the facts say now."""
        async with self._catching_up:
            await self._follow_facts()

    def _wanted(self, key: str) -> bool:
        fact = self._index.items.get(key)
        return fact is not None and fact.state is ModelState.APPROVED and fact.name not in self._unloaded

    async def _follow_facts(self) -> None:
        facts = dict(self._index.items)
        for key in [k for k in self._loaded if not self._wanted(k)]:
            log.info("model unloaded", extra={"fields": {"model": key}})
            self._let_go(key)
        self._resting = {k for k in self._resting if self._wanted(k)}
        for key in [k for k in self._failures if k not in facts]:
            del self._failures[key]
        # Champions first: what fits beside them is for the others.
        for key, fact in sorted(facts.items(), key=lambda x: (not self._leading(x[0]), -x[1].version)):
            failure = self._failures.get(key)
            if failure is not None and failure.fact == fact and not failure.passing:
                continue
            woken = key in self._resting and self._leading(key)
            if self._pending(key) or fact.digest not in self._manifests or failure is not None or woken:
                await self._take(key, fact, asked=woken)
            async with self._settled:
                self._settled.notify_all()
        alive = {x.digest for x in facts.values()}
        self._manifests = {k: v for k, v in self._manifests.items() if k in alive}

    async def _take(self, key: str, fact: ModelFact, *, asked: bool = False) -> None:
        fields = {"model": key, "digest": fact.digest}
        try:
            await self._load(key, fact, asked=asked)
        except asyncio.CancelledError:
            raise
        except NotReady as e:
            # There is no room, which is no fault of the model.
            self._failures.pop(key, None)
            self._resting.add(key)
            log.warning("no room for a model", extra={"fields": {**fields, "reason": str(e)}})
            if asked and not self._leading(key):
                raise NotReady(f"the model {fact.name!r} cannot be loaded now: {e}") from e
        except Exception as e:
            # One bad model must not keep the others from answering; what was loaded before stays.
            wrong = isinstance(e, ContractViolation)
            reason = str(e) if wrong else f"its file could not be fetched ({type(e).__name__})"
            self._failures[key] = _Failure(fact=fact, reason=reason, passing=not wrong)
            log.error("model refused", extra={"fields": {**fields, "reason": reason}}, exc_info=not wrong)
        else:
            self._failures.pop(key, None)
            log.info("model known", extra={"fields": {**fields, "state": fact.state.value}})

    async def _load(self, key: str, fact: ModelFact, *, asked: bool) -> None:
        twin = next((x for x in self._loaded.values() if x.fact.digest == fact.digest), None)
        data = b"" if twin is not None else await self._store.get(object_key(fact.digest))
        # One session for a batch alone on all cores, one for many on one core each.
        copies = 2 if self._threads > 1 and self._device is Device.CPU else 1
        size = twin.size_bytes if twin is not None else len(data) * copies
        wanted, room = self._wanted(key), True
        if wanted and twin is None:
            room = self._make_room(key, size, asked=asked or self._leading(key))
        if twin is None:
            manifest, session = await asyncio.to_thread(
                open_model, data, fact.digest, wanted and room, self._threads, self._device
            )
        else:
            manifest, session = twin.manifest, twin.session
        self._manifests[fact.digest] = manifest
        if not room:
            self._resting.add(key)
        elif session is not None and self._wanted(key):
            self._budget.hold(key, size)
            self._resting.discard(key)
            self._loaded[key] = LoadedModel(fact=fact, manifest=manifest, session=session, size_bytes=size)

    def _make_room(self, key: str, size: int, *, asked: bool) -> bool:
        """Whether a model fits; others are let go only for one that is asked for. Raises NotReady."""
        try:
            going = self._budget.make_room(key, size, self._kept if asked else lambda _: True)
        except NotReady:
            if asked:
                raise
            return False
        for other in going:
            log.info("model let go for memory", extra={"fields": {"model": other, "for": key}})
            self._let_go(other)
            self._resting.add(other)
        return True

    def _let_go(self, key: str) -> None:
        # Calls that run on it hold it until they are answered.
        self._loaded.pop(key, None)
        self._budget.release(key)
