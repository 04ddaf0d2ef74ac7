"""Which version meets a request: the one that it names, the champion, or the canary by the input's digest."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound
from services.inference.canary import falls_to_canary
from services.inference.loading import LoadedModel
from services.inference.registry import Registry

log = logging.getLogger(__name__)


class Role(StrEnum):
    """Why a version answers."""

    CHAMPION = "champion"
    CANARY = "canary"
    VERSION = "version"
    """The request named it."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """What answers a request."""

    model: LoadedModel
    role: Role
    pinned: bool
    """The request said which; else the input decides between champion and canary."""


class Router:
    """Chooses for each request; holds nothing of its own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def route(self, name: str, version: int = 0, alias: str = "") -> Route:
        """What answers as far as the name tells. Raises as `Registry.choose`, InvalidArgument for both."""
        if version and alias:
            raise InvalidArgument("a request names either a version or an alias, not both")
        if version:
            return Route(model=await self._registry.choose(name, version), role=Role.VERSION, pinned=True)
        if alias == Role.CANARY:
            canary, _ = self._registry.canary(name)
            if not canary:
                await self._registry.choose(name)  # an unknown name is told as such
                raise NotFound(f"the model {name!r} has no canary")
            return Route(model=await self._registry.choose(name, canary), role=Role.CANARY, pinned=True)
        if alias not in ("", Role.CHAMPION):
            raise InvalidArgument("the alias must be 'champion' or 'canary'")
        return Route(model=await self._registry.choose(name), role=Role.CHAMPION, pinned=bool(alias))

    async def meet(self, route: Route, input_digest: str) -> Route:
        """What answers this input: the canary for its share, unless the request said which.

        A canary that cannot answer never fails a call: the champion answers.
        """
        name = route.model.fact.name
        version, share = self._registry.canary(name)
        if route.pinned or not version or version == route.model.fact.version:
            return route
        if not falls_to_canary(name, input_digest, share):
            return route
        try:
            return Route(model=await self._registry.choose(name, version), role=Role.CANARY, pinned=True)
        except ExchangeaiError as e:
            log.warning("canary does not answer", extra={"fields": {"model": name, "reason": str(e)}})
            return route


def version_of(text: str) -> tuple[int, str]:
    """(version or 0, alias or "") of a version string of the Open Inference Protocol.

    Raises InvalidArgument.
    """
    if text in ("", Role.CHAMPION, Role.CANARY):
        return 0, text
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise InvalidArgument(
            "the model's version must be a whole number from 1, 'champion', 'canary', or empty for what the "
            "name is served by"
        )
    return int(text), ""
