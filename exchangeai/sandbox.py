"""Runs one function on untrusted bytes in a child process with limits and without secrets.

The child is started once (`python -m exchangeai.sandbox package.module:function`) and kept. Frames travel
over its pipes: 4 bytes of big-endian length, 1 byte of kind, the payload. It gets no environment but the
path and the language, an empty working folder, no core files, limits of memory and open files, and, where
the system permits, a network namespace without any network. When a call takes too long or the child dies,
the child is killed and replaced; the service lives on.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from exchangeai import errors
from exchangeai.errors import ExchangeaiError, ReaderCrashed
from exchangeai.orphans import die_with_parent

_READY, _RESULT, _FAILURE = b"+", b"=", b"!"
_HEAD_BYTES = 5
_START_TIMEOUT_S = 60.0
_OPEN_FILES = 64
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_STDERR_TAIL_BYTES = 2000
log = logging.getLogger(__name__)


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

    async def call(self, payload: bytes, *, timeout_s: float | None = None) -> bytes:
        """Run the function on the payload.

        Raises the ExchangeaiError that the function raised; ReaderCrashed when it exceeded its limits or
        died. Anything else that the function raises counts as a crash too.
        """
        child = await self._free.get()
        try:
            # Starting is not the file's fault and has its own time.
            await child.start()
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
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
        finally:
            self._free.put_nowait(child)

    async def close(self) -> None:
        """End all children."""
        await asyncio.gather(*(x.kill() for x in self._children))


class _Child:
    def __init__(self, target: str, memory_bytes: int) -> None:
        self._command = [sys.executable, "-P", "-m", "exchangeai.sandbox", target, str(memory_bytes)]
        self._process: asyncio.subprocess.Process | None = None
        self._folder: str | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._tail = b""

    async def start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        await self.kill()
        self._folder = tempfile.mkdtemp(prefix="sandbox-")
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._folder,
            env=_environment(self._folder),
            start_new_session=True,
        )
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

    async def exchange(self, payload: bytes) -> bytes:
        process = self._process
        if process is None or process.stdin is None:
            raise ConnectionResetError("the child is gone")
        process.stdin.write(len(payload).to_bytes(4, "big") + _RESULT)
        process.stdin.write(payload)
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
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        return code

    async def _receive(self) -> tuple[bytes, bytes]:
        stream = None if self._process is None else self._process.stdout
        if stream is None:
            raise ConnectionResetError("the child is gone")
        head = await stream.readexactly(_HEAD_BYTES)
        return head[4:], await stream.readexactly(int.from_bytes(head[:4], "big"))

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
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the frames.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A child in an endless loop never sees that its pipe was closed.
    die_with_parent()
    _leave_the_network()
    module, _, name = target.partition(":")
    function: Callable[[bytes], bytes] = getattr(importlib.import_module(module), name)
    prepare = getattr(importlib.import_module(module), "prepare", None)
    if prepare is not None:
        prepare()
    _limit(memory_bytes)
    _send(answers, _READY, b"")
    while len(head := requests.read(_HEAD_BYTES)) == _HEAD_BYTES:
        payload = requests.read(int.from_bytes(head[:4], "big"))
        try:
            _send(answers, _RESULT, function(payload))
        except ExchangeaiError as e:
            _send(answers, _FAILURE, f"{type(e).__name__}\n{e}".encode())
        except MemoryError:
            _send(answers, _FAILURE, b"ReaderCrashed\nreading needs more memory than a reader may use")
        except Exception as e:
            _send(answers, _FAILURE, f"{type(e).__name__}\n".encode())


def _send(answers: BinaryIO, kind: bytes, payload: bytes) -> None:
    answers.write(len(payload).to_bytes(4, "big") + kind)
    answers.write(payload)
    answers.flush()


def _limit(memory_bytes: int) -> None:
    # After the imports: what libraries map at start is theirs and not the file's.
    mapped = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _leave_the_network() -> None:
    """Move into a network namespace without interfaces; most containers forbid it, which is fine."""
    try:
        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    except (OSError, AttributeError):
        return


if __name__ == "__main__":
    main(sys.argv[1:])
