"""Starts the ranks of a run as child processes of this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping

from services.trainer.launchers import End, Launch, Listener, Tell, end_of, first
from services.trainer.run_log import fold
from services.trainer.torchrun import rank_environment

LINE_BYTES = 1 << 20
HIDDEN = ("EXCHANGEAI_BUS_", "EXCHANGEAI_SITE_KEY")
"""Ranks need the store and nothing else of ours."""


class LocalLauncher:
    """Runs torchrun; one at a time or several."""

    def __init__(self, environment: Mapping[str, str], *, cores: int, grace_s: float) -> None:
        self._environment = {k: v for k, v in environment.items() if not k.startswith(HIDDEN)}
        self._cores = cores
        self._grace_s = grace_s

    @property
    def most_processes(self) -> int:
        """One rank a core."""
        return self._cores

    async def run(self, launch: Launch, tell: Tell, stop: asyncio.Event, leave: asyncio.Event) -> End:
        """Run the attempt to its end.

        The ranks die with this process, so `leave` stops them. After `grace_s` of being asked to stop they
        are killed; when the call is cancelled, at once. None is left behind.
        """
        fold(launch.folder, launch.processes)  # of ranks that died with an earlier process
        listener = Listener(launch, tell)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.trainer.torchrun", "--standalone"),
            *("--nproc-per-node", str(launch.processes), "--max-restarts", "0"),
            *("-m", "services.trainer.train", "--run-dir", str(launch.folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            # Apart from the reports: words of another rank must not come into the middle of one.
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment, **rank_environment(self._cores, launch.processes)},
            limit=LINE_BYTES,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        stopper = asyncio.create_task(self._stop(process, stop, leave))
        keeper = asyncio.create_task(_keep(process.stderr, listener))
        try:
            async for line in process.stdout:
                await listener.hear(line)
            code = await process.wait()
            await keeper
            return end_of(code)
        finally:
            stopper.cancel()
            if process.returncode is None:
                _signal(process, signal.SIGKILL)
                await process.wait()
            keeper.cancel()
            await asyncio.gather(stopper, keeper, return_exceptions=True)

    async def clear(self, launch: Launch) -> None:
        """There is nothing: the ranks end with `run`, and the folder is the worker's."""

    async def _stop(
        self, process: asyncio.subprocess.Process, stop: asyncio.Event, leave: asyncio.Event
    ) -> None:
        await first(stop, leave)
        _signal(process, signal.SIGTERM)
        await asyncio.sleep(self._grace_s)
        _signal(process, signal.SIGKILL)


async def _keep(words: asyncio.StreamReader, listener: Listener) -> None:
    while data := await words.read(LINE_BYTES):
        listener.keep(data)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Ranks are in sessions of their own: torchrun passes SIGTERM on, and they die with it (see orphans.py).
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
