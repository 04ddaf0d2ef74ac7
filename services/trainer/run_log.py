"""What the ranks of a run write besides reports: bounded, readable while they run, kept when they have ended.

In the run's folder `ranks.log` is what the present start has written and `earlier.log` what came before it: a
launcher that joins ranks hears all of their words again. Their copies in the store, `runs/<run id>/<file>`,
are at most `COPY_EVERY_S` old: they outlive the folder, and other replicas of the trainer answer from them.
Ranks know data sets only, which hold no identifiers; so there are none to be written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from exchangeai.errors import ExchangeaiError, NotFound
from exchangeai.store import ObjectStore

LOG_FILE = "ranks.log"
EARLIER_FILE = "earlier.log"
FILES = (EARLIER_FILE, LOG_FILE)
"""In the order of their words."""
MOST_LOG_BYTES = 1 << 20
"""Of each rank of a run; a log that grows beyond loses its middle."""
MOST_ANSWER_BYTES = 1 << 16
COPY_EVERY_S = 10.0
LEFT_OUT = b"[the middle of this log was too long and is left out]\n"
log = logging.getLogger(__name__)


class RunLog:
    """The file that takes the words of one start of the ranks, however many."""

    def __init__(self, folder: Path, processes: int) -> None:
        self._path = folder / LOG_FILE
        self._most_bytes = MOST_LOG_BYTES * processes
        self._path.write_bytes(b"")

    def write(self, data: bytes) -> None:
        """Keep the bytes. A full disk costs the words and nothing else: the ranks tell of it themselves."""
        with suppress(OSError):
            with self._path.open("ab") as file:
                file.write(data)
                size = file.tell()
            if size > self._most_bytes:
                _replace(self._path, shortened(self._path.read_bytes(), self._most_bytes))


class RunLogs:
    """The logs of all runs, of those that this process follows and of those in the store."""

    def __init__(self, store: ObjectStore, runs_dir: Path) -> None:
        self._store = store
        self._runs_dir = runs_dir
        self._followed: set[str] = set()

    async def read(self, run_id: str) -> bytes:
        """The log as far as it is known; empty when there is none."""
        if run_id in self._followed:
            return await asyncio.to_thread(read, self._runs_dir / run_id)
        return b"".join([await self._stored(run_id, name) for name in FILES])

    @asynccontextmanager
    async def kept(self, run_id: str, processes: int) -> AsyncGenerator[None]:
        """While ranks write: bring what earlier starts have written, copy what comes to the store."""
        folder = self._runs_dir / run_id
        copied = dict[str, bytes]()
        if not (folder / EARLIER_FILE).exists():
            for name in FILES:
                copied[name] = await self._stored(run_id, name)
                await asyncio.to_thread((folder / name).write_bytes, copied[name])
        self._followed.add(run_id)
        copying = asyncio.create_task(self._copy_often(run_id, folder, copied))
        try:
            yield
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            await self._copy(run_id, folder, copied)
            self._followed.discard(run_id)

    async def _stored(self, run_id: str, name: str) -> bytes:
        try:
            return await self._store.get(key_of(run_id, name))
        except NotFound:
            return b""

    async def _copy_often(self, run_id: str, folder: Path, copied: dict[str, bytes]) -> None:
        while True:
            await asyncio.sleep(COPY_EVERY_S)
            await self._copy(run_id, folder, copied)

    async def _copy(self, run_id: str, folder: Path, copied: dict[str, bytes]) -> None:
        """Bring the store up to date, given what it has."""
        for name in FILES:
            data = await asyncio.to_thread(_bytes_of, folder / name)
            if data == copied.get(name):
                continue
            try:
                await self._store.put(key_of(run_id, name), data)
                copied[name] = data
            except ExchangeaiError:
                log.warning("the log of a run could not be copied to the store", exc_info=True)


def key_of(run_id: str, name: str) -> str:
    """Where the store keeps a file of a run's log."""
    return f"runs/{run_id}/{name}"


def read(folder: Path) -> bytes:
    """The whole log of the run in a folder; empty when there is none."""
    return b"".join(_bytes_of(folder / name) for name in FILES)


def fold(folder: Path, processes: int) -> None:
    """Add what the ranks have written to what came earlier: these ranks are not heard again."""
    with suppress(OSError):
        _replace(folder / EARLIER_FILE, shortened(read(folder), MOST_LOG_BYTES * processes))
        (folder / LOG_FILE).unlink(missing_ok=True)


def shortened(data: bytes, most_bytes: int) -> bytes:
    """The first quarter and the last half of what may be kept, in whole lines, when it is more than that."""
    if len(data) <= most_bytes:
        return data
    head, tail = data[: most_bytes // 4], data[-(most_bytes // 2) :]
    return head[: head.rfind(b"\n") + 1] + LEFT_OUT + tail[tail.find(b"\n") + 1 :]


def tail(data: bytes, size_bytes: int, skip_bytes: int = 0) -> str:
    """The last bytes but those to be skipped, as text; at most `MOST_ANSWER_BYTES`, 0 for so many."""
    end = max(0, len(data) - skip_bytes)
    size = min(size_bytes or MOST_ANSWER_BYTES, MOST_ANSWER_BYTES)
    return data[max(0, end - size) : end].decode(errors="replace")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(path)
