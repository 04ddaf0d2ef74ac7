"""Reads ECG files in a sandboxed child: what services use instead of calling `read_records` themselves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchangeai.formats import ReadOptions, ReadResult, read_records, readers
from exchangeai.recording import Identifiers, from_bytes, to_bytes
from exchangeai.sandbox import Sandbox

_MEMORY_BYTES = 2 << 30


class _Request(msgspec.Struct, frozen=True):
    files: dict[str, bytes]
    options: ReadOptions


class _Read(msgspec.Struct, frozen=True):
    recording: bytes
    identifiers: Identifiers


class SandboxedReader:
    """`read_records` in `workers` children; a crash or a hang is a ReaderCrashed, never ours."""

    def __init__(
        self, *, timeout_s: float = 60.0, memory_bytes: int = _MEMORY_BYTES, workers: int = 1
    ) -> None:
        self._sandbox = Sandbox(
            f"{__name__}:serve", timeout_s=timeout_s, memory_bytes=memory_bytes, workers=workers
        )

    async def start(self) -> None:
        """Start the children before the first call."""
        await self._sandbox.start()

    async def read(self, files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
        """Read the recordings of one source from its files. Raises subclasses of UnreadableFile."""
        request = msgspec.msgpack.encode(_Request(files=dict(files), options=options))
        answer = msgspec.msgpack.decode(await self._sandbox.call(request), type=list[_Read])
        return [ReadResult(recording=from_bytes(x.recording), identifiers=x.identifiers) for x in answer]

    async def close(self) -> None:
        """End the children."""
        await self._sandbox.close()


def prepare() -> None:
    """In the child, before its limits: import all readers."""
    readers()


def serve(payload: bytes) -> bytes:
    """In the child: one request to one answer."""
    request = msgspec.msgpack.decode(payload, type=_Request)
    results = read_records(request.files, request.options)
    return msgspec.msgpack.encode([_Read(to_bytes(x.recording), x.identifiers) for x in results])
