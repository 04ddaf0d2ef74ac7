"""Runs one function on untrusted bytes in a child process with limits and without secrets.

The child is started once (`python -m exchangeai.sandbox package.module:function`) and kept. Frames travel
over its pipes: 8 bytes of big-endian length, 1 byte of kind, 1 byte that says whether the payload follows or
in which half of the memory that both share it lies: pipes would double the cost of reading, and with two
halves the next request is there before the last answer has been taken. The child gets no
environment but the path and the language, an empty working folder, no core files, limits of memory and open
files, and, where the system permits, no network and no file but that folder and Python's own libraries. When
a call takes too long or the child dies, the child is killed and replaced; the service lives on.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import mmap
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from exchangeai import errors
from exchangeai.confinement import confine_files, leave_the_network, python_paths
from exchangeai.errors import ExchangeaiError, ReaderCrashed
from exchangeai.orphans import die_with_parent

_READY, _RESULT, _FAILURE = b"+", b"=", b"!"
_HEAD_BYTES = 10
_HALVES = (b"0", b"1")
_FOLLOWS = b"|"
_ROOM_BYTES = 32 << 20
"""For each request and each answer in a half. Only what is used costs memory; more takes the pipe."""
_SHARED_BYTES = len(_HALVES) * 2 * _ROOM_BYTES
_START_TIMEOUT_S = 60.0
_OPEN_FILES = 64
_STDERR_TAIL_BYTES = 2000
_MEMORY_FOLDER = Path("/dev/shm")
log = logging.getLogger(__name__)

Buffer = bytes | bytearray | memoryview
Payload = Buffer | Iterable[Buffer]
"""Bytes, or pieces that are sent as one without being joined first; an answer may be made as it goes."""


class Sandbox:
    """A pool of children that run `target`, a function from bytes to bytes.

    Children start with the first call or with `start()`; a call waits for a free one.
    """

    def __init__(self, target: str, *, timeout_s: float, memory_bytes: int, workers: int = 1) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._children = [_Child(target, memory_bytes) for _ in range(workers)]
        self._free: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        for child in self._children:
            self._free.put_nowait(child)

    async def start(self) -> None:
        """Start all children now, so that the first call need not wait for imports."""
        await asyncio.gather(*(x.start() for x in self._children))

    async def call(self, payload: Payload, *, timeout_s: float | None = None) -> bytes:
        """Run the function on the payload.

        Raises the ExchangeaiError that the function raised; ReaderCrashed when it exceeded its limits or
        died. Anything else that the function raises counts as a crash too.
        """
        async with self.session(timeout_s=timeout_s) as session:
            return await session.call(payload)

    @asynccontextmanager
    async def session(self, *, timeout_s: float | None = None) -> AsyncGenerator[Session]:
        """One child for several calls, between which it may remember something."""
        child = await self._free.get()
        try:
            yield Session(child, self._target, self._timeout_s if timeout_s is None else timeout_s)
        finally:
            self._free.put_nowait(child)

    async def close(self) -> None:
        """End all children."""
        await asyncio.gather(*(x.kill() for x in self._children))


class Session:
    """Calls to one child; errors as of `Sandbox.call`."""

    def __init__(self, child: _Child, target: str, timeout_s: float) -> None:
        self._child = child
        self._target = target
        self._timeout_s = timeout_s

    async def call(self, payload: Payload) -> bytes:
        """One call."""
        async with self._limited():
            await self._child.start()
            async with asyncio.timeout(self._timeout_s):
                await self._child.post(payload, 0)
                answer = await self._child.collect()
        if isinstance(answer, ExchangeaiError):
            raise answer
        return answer

    async def pipeline(self, payloads: Iterable[Payload]) -> AsyncGenerator[bytes | ExchangeaiError]:
        """Answers, or what the function raised, in order, with the next request sent ahead.

        Raises ReaderCrashed when the child exceeded its limits or died; what was not answered is lost then.
        """
        half, waiting = 0, False
        async with self._limited():
            await self._child.start()
            for payload in payloads:
                post = self._child.post(payload, half)
                half = 1 - half
                async with asyncio.timeout(self._timeout_s):
                    if not waiting:
                        await post
                        waiting = True
                        continue
                    # Together, because neither side may wait for the other to empty its pipe.
                    answer, _ = await asyncio.gather(self._child.collect(), post)
                yield answer
            if waiting:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._child.collect()
                yield answer

    @asynccontextmanager
    async def _limited(self) -> AsyncGenerator[None]:
        """Whatever goes wrong leaves no child behind whose pipe is out of step."""
        try:
            yield
        except TimeoutError as e:
            await self._child.kill()
            raise ReaderCrashed("reading took longer than a reader may take; the file may be damaged") from e
        except (asyncio.IncompleteReadError, ConnectionError) as e:
            code = await self._child.kill()
            log.warning("a sandboxed child died", extra={"fields": {"target": self._target, "exit": code}})
            raise ReaderCrashed("the reader died on this file; the file may be damaged") from e
        except BaseException:
            # Cancelled or abandoned in the middle of an exchange.
            await self._child.kill()
            raise


class _Child:
    def __init__(self, target: str, memory_bytes: int) -> None:
        self._command = [sys.executable, "-P", "-m", "exchangeai.sandbox", target, str(memory_bytes)]
        self._process: asyncio.subprocess.Process | None = None
        self._shared: mmap.mmap | None = None
        self._folder: str | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._tail = b""

    async def start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        await self.kill()
        self._folder = tempfile.mkdtemp(prefix="sandbox-")
        shared = _shared_memory()
        self._shared = mmap.mmap(shared, _SHARED_BYTES)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            str(shared),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._folder,
            env=_environment(self._folder),
            start_new_session=True,
            pass_fds=(shared,),
        )
        os.close(shared)
        if self._process.stderr is not None:
            self._stderr = asyncio.create_task(self._follow_stderr(self._process.stderr))
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                kind, _ = await self._receive()
        except (TimeoutError, asyncio.IncompleteReadError) as e:
            await self.kill()
            log.error("a sandboxed child does not start", extra={"fields": {"stderr": self._said()}})
            raise RuntimeError("the sandboxed child does not start; its log line says why") from e
        if kind != _READY:
            raise RuntimeError("the sandboxed child speaks another protocol")

    async def post(self, payload: Payload, half: int) -> None:
        process, shared = self._process, self._shared
        if process is None or process.stdin is None or shared is None:
            raise ConnectionResetError("the child is gone")
        process.stdin.writelines(_framed(payload, _RESULT, _rooms(shared)[half][0], _HALVES[half]))
        await process.stdin.drain()

    async def collect(self) -> bytes | ExchangeaiError:
        kind, answer = await self._receive()
        if kind == _RESULT:
            return answer
        name, _, message = answer.decode("utf-8", "replace").partition("\n")
        found = getattr(errors, name, None)
        if isinstance(found, type) and issubclass(found, ExchangeaiError):
            return found(message)
        # Not what it wrote: libraries print pieces of the file, and names with them.
        log.error("a sandboxed function failed", extra={"fields": {"error": name[:40]}})
        return ReaderCrashed(f"the reader failed on this file ({name[:40]})")

    async def kill(self) -> int | None:
        process, self._process = self._process, None
        code = None
        if process is not None:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    # Its own session: whatever it started goes with it.
                    os.killpg(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
            code = await process.wait()
        if self._stderr is not None:
            self._stderr.cancel()
            self._stderr = None
        self._shared = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        return code

    async def _receive(self) -> tuple[bytes, bytes]:
        stream = None if self._process is None else self._process.stdout
        if stream is None or self._shared is None:
            raise ConnectionResetError("the child is gone")
        head = await stream.readexactly(_HEAD_BYTES)
        size = int.from_bytes(head[:8], "big")
        if head[9:] == _FOLLOWS:
            return head[8:9], await stream.readexactly(size)
        # Copied before it is looked at: the child can still write there.
        return head[8:9], bytes(_rooms(self._shared)[_HALVES.index(head[9:])][1][:size])

    async def _follow_stderr(self, stream: asyncio.StreamReader) -> None:
        # Read on, so that a talkative library never blocks on a full pipe; keep only the end.
        while chunk := await stream.read(4096):
            self._tail = (self._tail + chunk)[-_STDERR_TAIL_BYTES:]

    def _said(self) -> str:
        return self._tail.decode("utf-8", "replace")


def _environment(folder: str) -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONPATH": root,
        "PYTHONDONTWRITEBYTECODE": "1",
        # Thread pools would reserve address space by the core and count against the limit.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        # Memory given back between files and taken again costs more than reading them.
        "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
        "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    }


def main(arguments: list[str]) -> None:
    """The child: serve frames on the original stdin and stdout until stdin ends."""
    target, memory_bytes = arguments[0], int(arguments[1])
    shared = mmap.mmap(int(arguments[2]), _SHARED_BYTES)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the frames.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A child in an endless loop never sees that its pipe was closed.
    die_with_parent()
    leave_the_network()
    module, _, name = target.partition(":")
    function: Callable[[bytes], Payload] = getattr(importlib.import_module(module), name)
    prepare = getattr(importlib.import_module(module), "prepare", None)
    if prepare is not None:
        prepare()
    confine_files(readable=[*python_paths(), *_packages(module)], writable=[Path.cwd(), _MEMORY_FOLDER])
    _limit(memory_bytes)
    rooms = _rooms(shared)
    answers.writelines(_framed(b"", _READY, rooms[0][1], _HALVES[0]))
    answers.flush()
    while len(head := requests.read(_HEAD_BYTES)) == _HEAD_BYTES:
        size, where = int.from_bytes(head[:8], "big"), head[9:]
        half = 0 if where == _FOLLOWS else _HALVES.index(where)
        payload = requests.read(size) if where == _FOLLOWS else bytes(rooms[half][0][:size])
        answers.writelines(_outcome(function, payload, rooms[half][1], _HALVES[half]))
        answers.flush()


def _outcome(
    function: Callable[[bytes], Payload], payload: bytes, room: memoryview, half: bytes
) -> list[Buffer]:
    try:
        return _framed(function(payload), _RESULT, room, half)
    except ExchangeaiError as e:
        failure = f"{type(e).__name__}\n{e}".encode()
    except MemoryError:
        failure = b"ReaderCrashed\nreading needs more memory than a reader may use"
    except Exception as e:
        failure = f"{type(e).__name__}\n".encode()
    return _framed(failure, _FAILURE, room, half)


def _framed(payload: Payload, kind: bytes, room: memoryview, half: bytes) -> list[Buffer]:
    """Put the payload into the room, piece by piece as it comes; what to write to the pipe."""
    if isinstance(payload, Buffer):
        payload = cast(Iterable[Buffer], [payload])
    pieces = iter(payload)
    size = 0
    for piece in pieces:
        view = memoryview(piece).cast("B") if len(piece) else memoryview(b"")
        if size + view.nbytes > len(room):
            overflow: list[Buffer] = [bytes(room[:size]), bytes(view)]
            overflow.extend(pieces)
            total = sum(memoryview(x).nbytes for x in overflow)
            return [total.to_bytes(8, "big") + kind + _FOLLOWS, *overflow]
        room[size : size + view.nbytes] = view
        size += view.nbytes
    return [size.to_bytes(8, "big") + kind + half]


def _rooms(shared: mmap.mmap) -> list[tuple[memoryview, memoryview]]:
    """Of each half the room for a request and that for its answer."""
    view = memoryview(shared)
    parts = [view[i * _ROOM_BYTES : (i + 1) * _ROOM_BYTES] for i in range(2 * len(_HALVES))]
    return [(parts[2 * i], parts[2 * i + 1]) for i in range(len(_HALVES))]


def _shared_memory() -> int:
    made = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    os.ftruncate(made, _SHARED_BYTES)
    return made


def _packages(module: str) -> list[Path]:
    """The folder of the target's own package, whose modules may load others later."""
    package = sys.modules[module.partition(".")[0]]
    return [Path(x).resolve() for x in getattr(package, "__path__", [])]


def _limit(memory_bytes: int) -> None:
    # After the imports: what libraries map at start is theirs and not the file's.
    mapped = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
