"""Whether this replica takes requests: the champion of every served name answers here.

A champion that cannot be loaded while one before it answers leaves the replica ready, and says so. A broken
version that is no champion means nothing. A name that has never answered here counts only from the start:
one bad model that is published later must not take replicas away from all others.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from services.inference.registry import Registry

log = logging.getLogger(__name__)


class Readiness:
    """Judges the registry; `follow` tells the server for as long as it lives."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._counted: set[str] | None = None
        self._told: dict[str, str] = {}

    def missing(self) -> list[str]:
        """Why this replica is not ready; empty when it is."""
        served = set(self._registry.served_names())
        answering = {name: self._registry.answering(name) for name in served}
        working = {name for name, (version, _) in answering.items() if version}
        known = served if self._counted is None else self._counted
        self._counted = (known | working) & served
        self._tell({name: why for name, (_, why) in answering.items() if why})
        return [answering[name][1] for name in sorted(self._counted - working)]

    async def follow(self, set_ready: Callable[[bool, str], Awaitable[None]]) -> None:
        """Tell the server what `missing` says, now and whenever it changes."""
        told: list[str] | None = None
        while True:
            missing = self.missing()
            if missing != told:
                await set_ready(not missing, "; ".join(missing))
                told = missing
            await self._registry.moved()

    def _tell(self, problems: dict[str, str]) -> None:
        for name, why in problems.items():
            if self._told.get(name) != why:
                log.error("champion does not answer", extra={"fields": {"model": name, "reason": why}})
        self._told = problems
