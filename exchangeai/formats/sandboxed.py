"""Reads ECG files in a sandboxed child: what services use instead of calling `read_ecg` themselves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchangeai.formats import ReadOptions, ReadResult, read_ecg, readers
from exchangeai.recording import Identifiers, from_bytes, to_bytes
from exchangeai.sandbox import Sandbox

_MEMORY_BYTES = 2 << 30


class _Request(msgspec.Struct, frozen=True):
    files: dict[str, bytes]
    options: ReadOptions


class _Answer(msgspec.Struct, frozen=True):
    recording: bytes
    identifiers: Identifiers


class SandboxedReader:
    """`read_ecg` in `workers` children; a crash or a hang is a ReaderCrashed, never ours."""

    def __init__(
        self, *, timeout_s: float = 60.0, memory_bytes: int = _MEMORY_BYTES, workers: int = 1
    ) -> None:
        self._sandbox = Sandbox(
            f"{__name__}:serve", timeout_s=timeout_s, memory_bytes=memory_bytes, workers=workers
        )

    async def start(self) -> None:
        """Start the children before the first call."""
        await self._sandbox.start()

    async def read(self, files: Mapping[str, bytes], options: ReadOptions) -> ReadResult:
        """Read one record from its files. Raises subclasses of UnreadableFile."""
        request = msgspec.msgpack.encode(_Request(files=dict(files), options=options))
        answer = msgspec.msgpack.decode(await self._sandbox.call(request), type=_Answer)
        return ReadResult(recording=from_bytes(answer.recording), identifiers=answer.identifiers)

    async def close(self) -> None:
        """End the children."""
        await self._sandbox.close()


def prepare() -> None:
    """In the child, before its limits: import all readers."""
    readers()


def serve(payload: bytes) -> bytes:
    """In the child: one request to one answer."""
    request = msgspec.msgpack.decode(payload, type=_Request)
    result = read_ecg(request.files, request.options)
    return msgspec.msgpack.encode(_Answer(to_bytes(result.recording), result.identifiers))
