"""How a name is served: which version answers an input, and the changes that a person makes to that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from exchangeai.bus import Bus, FactIndex, Facts
from exchangeai.errors import Conflict, InvalidArgument, NotFound, NotReady
from exchangeai.facts import ModelFact, ModelState, ServingFact
from exchangeai.model_file import Manifest
from services.inference.registry import Registry

KEPT_CHAMPIONS = 16
"""Champions that one can go back to."""


class Serving:
    """Changes how names are served; each returns when this process follows it."""

    def __init__(
        self,
        bus: Bus,
        models: FactIndex[ModelFact],
        served: FactIndex[ServingFact],
        registry: Registry,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._facts: Facts[ServingFact] = bus.facts(ServingFact)
        self._model_facts: Facts[ModelFact] = bus.facts(ModelFact)
        self._models = models
        self._served = served
        self._registry = registry
        self._clock = clock

    async def promote(self, name: str, version: int, by: str) -> ServingFact:
        """Make a version the champion, or with 0 whichever is the newest approved.

        Raises NotFound, or NotReady when the version is not approved or does not work here.
        """
        if version:
            await self._working(name, version)
        else:
            self._versions(name)
        answering = self._registry.champion(name)
        return await self._change(name, by, lambda x: promoted(x, version, answering))

    async def set_canary(self, name: str, version: int, share: float, by: str) -> ServingFact:
        """Let a version answer a share (0 to 1) of the inputs; version 0 ends it. Raises as `promote`."""
        if version:
            await self._working(name, version)
        else:
            self._versions(name)
        share = share if version else 0.0
        return await self._change(name, by, lambda x: replace(x, canary=version, canary_share=share))

    async def set_shadow(self, name: str, version: int, by: str) -> ServingFact:
        """Let a version run after the answers; 0 ends it. Raises as `promote`."""
        if version:
            await self._working(name, version)
        else:
            self._versions(name)
        return await self._change(name, by, lambda x: replace(x, shadow=version))

    async def roll_back(self, name: str, by: str) -> ServingFact:
        """Go back to the last champion that is still approved, and end the canary.

        Raises NotFound, or NotReady when there is none.
        """
        approved = {x.version for x in self._versions(name) if x.state is ModelState.APPROVED}
        for version in reversed(self._fact(name).previous):
            if version in approved and version != self._registry.champion(name):
                await self._working(name, version)
                break
        return await self._change(name, by, lambda x: rolled_back(x, approved))

    async def deprecate(self, name: str, version: int, by: str) -> tuple[ModelFact, Manifest]:
        """Withdraw a version, which may not be a champion. Raises NotFound or InvalidArgument."""
        known = [x for x in self._versions(name) if x.version == version]
        if not known:
            raise NotFound(f"the model {name!r} has no version {version}")
        if self._fact(name).champion == version:
            raise InvalidArgument(
                f"version {version} is the champion of {name!r}: promote another first (0 for the newest)"
            )
        await self._change(name, by, lambda x: without(x, version))
        key = f"{name}.{version}"
        fact = await self._model_facts.change(key, lambda x: replace(x, state=ModelState.DEPRECATED))
        await self._models.wait(key, lambda x: x is not None and x.state is ModelState.DEPRECATED)
        await self._registry.refresh()
        manifest = self._registry.manifest(fact.digest)
        if manifest is None:
            raise NotReady(f"version {version} of {name!r} is withdrawn; its file could not be read")
        return fact, manifest

    async def note(self, name: str, by: str) -> None:
        """Keep who made a change to a version of a name that does not change how the name is served."""
        await self._change(name, by, lambda x: x)

    def listed(self) -> list[tuple[ServingFact, int, str]]:
        """(how it is served, version that answers here or 0, what is wrong) for each name."""
        names = sorted({x.name for x in self._models.items.values()})
        return [(self._fact(x), *self._registry.answering(x)) for x in names]

    def _fact(self, name: str) -> ServingFact:
        return self._served.items.get(name) or ServingFact(name=name)

    def _versions(self, name: str) -> list[ModelFact]:
        found = [x for x in self._models.items.values() if x.name == name]
        if not found:
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        return found

    async def _working(self, name: str, version: int) -> None:
        """Nothing is put to serve before it has reproduced its golden record here."""
        await self._registry.choose(name, version)

    async def _change(self, name: str, by: str, edit: Callable[[ServingFact], ServingFact]) -> ServingFact:
        def edited(before: ServingFact) -> ServingFact:
            # Never back in time, whatever the clocks of other replicas say: below it is waited for.
            at = max(self._clock(), before.changed_at + 1e-6)
            return replace(edit(before), changed_by=by, changed_at=at)

        if await self._facts.get(name) is None:
            try:
                fact = edited(ServingFact(name=name))
                await self._facts.create(name, fact)
            except Conflict:
                fact = await self._facts.change(name, edited)
        else:
            fact = await self._facts.change(name, edited)
        # A later change by somebody else will do as well.
        await self._served.wait(name, lambda x: x is not None and x.changed_at >= fact.changed_at)
        await self._registry.refresh()
        return fact


def promoted(before: ServingFact, version: int, answering: int) -> ServingFact:
    """With another champion, and the one that answered until now to go back to.

    A canary that is promoted is no canary any more.
    """
    if version == before.champion:
        return before
    left = before.champion or answering
    previous = before.previous
    if left and left != version:
        previous = (*(x for x in previous if x not in (left, version)), left)[-KEPT_CHAMPIONS:]
    after = replace(before, champion=version, previous=previous)
    return replace(after, canary=0, canary_share=0.0) if version and version == before.canary else after


def rolled_back(before: ServingFact, approved: Iterable[int]) -> ServingFact:
    """With the last approved champion before; the one that is left is not kept. Raises NotReady."""
    able = set(approved)
    for i in range(len(before.previous) - 1, -1, -1):
        version = before.previous[i]
        if version in able and version != before.champion:
            return replace(before, champion=version, previous=before.previous[:i], canary=0, canary_share=0.0)
    raise NotReady(f"the model {before.name!r} has no champion before to go back to; promote a version")


def without(before: ServingFact, version: int) -> ServingFact:
    """With a version neither canary nor shadow nor a champion to go back to."""
    after = replace(before, previous=tuple(x for x in before.previous if x != version))
    if after.canary == version:
        after = replace(after, canary=0, canary_share=0.0)
    return replace(after, shadow=0) if after.shadow == version else after
