"""Starts the ranks of a run as child processes of this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from services.trainer.report import Report, parse

LOG_FILE = "ranks.log"
LINE_BYTES = 1 << 20
HIDDEN = ("EXCHANGEAI_BUS_", "EXCHANGEAI_SITE_KEY")
"""Ranks need the store and nothing else of ours."""


class LocalLauncher:
    """Runs torchrun; one at a time or several."""

    def __init__(self, environment: Mapping[str, str], *, cores: int, grace_s: float) -> None:
        self._environment = {k: v for k, v in environment.items() if not k.startswith(HIDDEN)}
        self._cores = cores
        self._grace_s = grace_s

    async def run(
        self,
        folder: Path,
        processes: int,
        tell: Callable[[Report], Awaitable[None]],
        stop: asyncio.Event,
    ) -> int:
        """Run the job in `folder` to its end and return torchrun's exit code.

        `tell` hears each report of the first rank. `stop` asks the ranks to save and end; after `grace_s`
        they are killed. When cancelled they are killed at once. None is left behind.
        """
        environment = {
            **self._environment,
            "OMP_NUM_THREADS": str(max(1, self._cores // processes)),
            # Threads that spin while they wait for each other make a step ten times as long as soon as
            # anything else wants the cores (measured: 4.2 s against 0.5 s at a load of 8 on 2 cores).
            "OMP_WAIT_POLICY": "PASSIVE",
            # cuBLAS is deterministic only with this (PyTorch, notes on reproducibility)
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        }
        with (folder / LOG_FILE).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "services.trainer.torchrun", "--standalone"),
                *("--nproc-per-node", str(processes), "--max-restarts", "0"),
                *("-m", "services.trainer.train", "--run-dir", str(folder)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                limit=LINE_BYTES,
                start_new_session=True,
            )
        stopper = asyncio.create_task(self._stop(process, stop))
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                report = parse(line)
                if report is not None:
                    await tell(report)
            return await process.wait()
        finally:
            stopper.cancel()
            await asyncio.gather(stopper, return_exceptions=True)
            if process.returncode is None:
                _signal(process, signal.SIGKILL)
                await process.wait()

    async def _stop(self, process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
        await stop.wait()
        _signal(process, signal.SIGTERM)
        await asyncio.sleep(self._grace_s)
        _signal(process, signal.SIGKILL)


def log_tail(folder: Path, size_bytes: int = 4000) -> str:
    """The end of what the ranks wrote to standard error."""
    try:
        with (folder / LOG_FILE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - size_bytes))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Ranks are in sessions of their own: torchrun passes SIGTERM on, and they die with it (see orphans.py).
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
