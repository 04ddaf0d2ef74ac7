"""Runs one function on untrusted bytes in a child process with limits and without secrets.

The child is started once (`python -m exchangeai.sandbox package.module:function`) and kept. Frames travel
over its pipes: 8 bytes of big-endian length, 1 byte of kind, 1 byte that says whether the payload follows or
lies in the memory that both share, because pipes would double the cost of reading. The child gets no
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
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from exchangeai import errors
from exchangeai.confinement import confine_files, leave_the_network, python_paths
from exchangeai.errors import ExchangeaiError, ReaderCrashed
from exchangeai.orphans import die_with_parent

_READY, _RESULT, _FAILURE = b"+", b"=", b"!"
_FOLLOWS, _SHARED = b"|", b"#"
_HEAD_BYTES = 10
_SHARED_BYTES = 64 << 20
"""Address space, of which only what is used costs memory; larger payloads take the pipe."""
_START_TIMEOUT_S = 60.0
_OPEN_FILES = 64
_STDERR_TAIL_BYTES = 2000
_MEMORY_FOLDER = Path("/dev/shm")
log = logging.getLogger(__name__)

Buffer = bytes | bytearray | memoryview
Payload = Buffer | Sequence[Buffer]
"""Bytes, or several pieces that are sent as one without being joined first."""
Call = Callable[[Payload], Awaitable[bytes]]


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
        async with self.session(timeout_s=timeout_s) as call:
            return await call(payload)

    @asynccontextmanager
    async def session(self, *, timeout_s: float | None = None) -> AsyncGenerator[Call]:
        """Several calls to one child, which may remember something between them; each as `call`."""
        child = await self._free.get()
        limit_s = self._timeout_s if timeout_s is None else timeout_s

        async def call(payload: Payload) -> bytes:
            # Starting is not the file's fault and has its own time.
            await child.start()
            return await self._limited(child, payload, limit_s)

        try:
            yield call
        finally:
            self._free.put_nowait(child)

    async def _limited(self, child: _Child, payload: Payload, limit_s: float) -> bytes:
        try:
            async with asyncio.timeout(limit_s):
                return await child.exchange(payload)
        except TimeoutError as e:
            await child.kill()
            raise ReaderCrashed("reading took longer than a reader may take; the file may be damaged") from e
        except (asyncio.IncompleteReadError, ConnectionError) as e:
            code = await child.kill()
            log.warning("a sandboxed child died", extra={"fields": {"target": self._target, "exit": code}})
            raise ReaderCrashed("the reader died on this file; the file may be damaged") from e
        except ExchangeaiError:
            raise
        except BaseException:
            # Cancelled in the middle of an exchange: the pipe is out of step.
            await child.kill()
            raise

    async def close(self) -> None:
        """End all children."""
        await asyncio.gather(*(x.kill() for x in self._children))


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

    async def exchange(self, payload: Payload) -> bytes:
        process = self._process
        if process is None or process.stdin is None or self._shared is None:
            raise ConnectionResetError("the child is gone")
        pieces, size = _pieces(payload)
        if size <= _SHARED_BYTES:
            _fill(self._shared, pieces)
            process.stdin.write(_head(size, _RESULT, _SHARED))
        else:
            process.stdin.write(_head(size, _RESULT, _FOLLOWS))
            process.stdin.writelines(pieces)
        await process.stdin.drain()
        kind, answer = await self._receive()
        if kind == _RESULT:
            return answer
        name, _, message = answer.decode("utf-8", "replace").partition("\n")
        found = getattr(errors, name, None)
        if isinstance(found, type) and issubclass(found, ExchangeaiError):
            raise found(message)
        log.error("a sandboxed function failed", extra={"fields": {"error": name, "stderr": self._said()}})
        raise ReaderCrashed(f"the reader failed on this file ({name[:40]})")

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
        return head[8:9], self._shared[: min(size, _SHARED_BYTES)]

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
    _send(answers, shared, _READY, b"")
    while len(head := requests.read(_HEAD_BYTES)) == _HEAD_BYTES:
        size = int.from_bytes(head[:8], "big")
        payload = requests.read(size) if head[9:] == _FOLLOWS else shared[:size]
        try:
            _send(answers, shared, _RESULT, function(payload))
        except ExchangeaiError as e:
            _send(answers, shared, _FAILURE, f"{type(e).__name__}\n{e}".encode())
        except MemoryError:
            text = b"ReaderCrashed\nreading needs more memory than a reader may use"
            _send(answers, shared, _FAILURE, text)
        except Exception as e:
            _send(answers, shared, _FAILURE, f"{type(e).__name__}\n".encode())


def _send(answers: BinaryIO, shared: mmap.mmap, kind: bytes, payload: Payload) -> None:
    pieces, size = _pieces(payload)
    if size <= _SHARED_BYTES:
        _fill(shared, pieces)
        answers.write(_head(size, kind, _SHARED))
    else:
        answers.write(_head(size, kind, _FOLLOWS))
        answers.writelines(pieces)
    answers.flush()


def _shared_memory() -> int:
    made = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    os.ftruncate(made, _SHARED_BYTES)
    return made


def _head(size: int, kind: bytes, place: bytes) -> bytes:
    return size.to_bytes(8, "big") + kind + place


def _pieces(payload: Payload) -> tuple[list[memoryview], int]:
    several = [payload] if isinstance(payload, Buffer) else payload
    pieces = [memoryview(x).cast("B") for x in several if len(x)]
    return pieces, sum(x.nbytes for x in pieces)


def _fill(shared: mmap.mmap, pieces: Iterable[memoryview]) -> None:
    at = 0
    for piece in pieces:
        shared[at : at + piece.nbytes] = piece
        at += piece.nbytes


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
