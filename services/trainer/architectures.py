"""Which architectures there are; told without loading torch into the service."""

from __future__ import annotations

import asyncio
import pkgutil
import sys

import msgspec

from exchangeai.errors import Unavailable
from services.trainer import models

CLASSES = 5
"""Weights are counted for so many classes."""


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """An architecture that can be trained."""

    name: str
    summary: str
    parameters: int


def names() -> tuple[str, ...]:
    """Their keys, sorted."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(models.__path__) if not m.name.startswith("_")))


class Architectures:
    """Asks a child process once and remembers."""

    def __init__(self) -> None:
        self._asking: asyncio.Task[list[Architecture]] | None = None

    async def all(self) -> list[Architecture]:
        """The one to begin with first. Raises Unavailable when the child fails."""
        if self._asking is None or (self._asking.done() and self._asking.exception()):
            self._asking = asyncio.create_task(_ask())
        # A caller whose deadline ends must not take the answer from those who come after.
        return await asyncio.shield(self._asking)


async def _ask() -> list[Architecture]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.trainer.architectures"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    if child.returncode:
        raise Unavailable("the architectures could not be loaded; the trainer's log has the reason")
    return msgspec.json.decode(out, type=list[Architecture])


def describe() -> list[Architecture]:
    """Build each and count its weights; loads torch."""
    from exchangeai.plugins import modules_in

    ranked = sorted(modules_in(models.__name__).items(), key=lambda item: (item[1].RANK, item[0]))
    return [
        Architecture(
            name=name,
            summary=module.SUMMARY,
            parameters=sum(p.numel() for p in module.build(CLASSES).parameters()),
        )
        for name, module in ranked
    ]


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(describe()).decode())
