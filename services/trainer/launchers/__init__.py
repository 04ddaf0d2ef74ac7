"""How ranks are started: one launcher a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from services.trainer.report import Report


class Launcher(Protocol):
    """What the worker needs of a launcher; see `LocalLauncher.run` for the promise."""

    async def run(
        self,
        folder: Path,
        processes: int,
        tell: Callable[[Report], Awaitable[None]],
        stop: asyncio.Event,
    ) -> int:
        """Run the job in `folder` to its end."""
        ...
