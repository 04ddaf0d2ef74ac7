"""Reads ECG files in sandboxed children, de-identified: what services use instead of `read_records`.

Bytes and samples travel beside a small header, several records a message, so that the sandbox costs little
at bulk. Texts of the files are judged in the child (`exchangeai.deidentify`): no service ever sees a name
that was typed into a comment, only the identifiers that it makes keys of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from exchangeai import errors
from exchangeai.archives import Group, Limits, groups_of
from exchangeai.deidentify import deidentified
from exchangeai.errors import ExchangeaiError, ReaderCrashed
from exchangeai.formats import ReadOptions, ReadResult, read_records, readers
from exchangeai.sandbox import Buffer, Call, Payload, Sandbox

_MEMORY_BYTES = 2 << 30
_BATCH_BYTES, _BATCH_RECORDS = 4 << 20, 64
_SLICE_BYTES, _SLICE_GROUPS = 8 << 20, 256
_HEADER_BYTES = 4


class _Failure(msgspec.Struct, frozen=True):
    kind: str
    message: str


class _Read(msgspec.Struct, frozen=True, tag=True):
    """Records to read; their bytes follow in this order."""

    records: list[dict[str, int]]
    """Sizes of files by name."""
    options: ReadOptions


class _Open(msgspec.Struct, frozen=True, tag=True):
    """Files that may be archives, to be expanded by the `_Next` that follow; their bytes follow."""

    files: dict[str, int]
    limits: Limits


class _Next(msgspec.Struct, frozen=True, tag=True):
    """The next groups of what was opened."""


class _Group(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    files: dict[str, int]
    failure: _Failure | None


class _Done(msgspec.Struct, frozen=True):
    """One record: what was read of it, or why nothing was. Samples are positions in the bytes that follow."""

    results: list[ReadResult]
    failure: _Failure | None = None


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
        [outcome] = await self._batch([files], options)
        if isinstance(outcome, ExchangeaiError):
            raise outcome
        return outcome

    async def read_many(
        self, records: Sequence[Mapping[str, bytes]], options: ReadOptions
    ) -> list[list[ReadResult] | ExchangeaiError]:
        """Read several records, each with its results or its error, in order; for bulk.

        A record that kills or stalls the child does so alone: its neighbours are read again without it.
        """
        batches = list(_batches(records))
        done = await asyncio.gather(*(self._batch_or_each(x, options) for x in batches))
        return [outcome for batch in done for outcome in batch]

    async def expand(self, files: Mapping[str, bytes], limits: Limits | None = None) -> AsyncGenerator[Group]:
        """The records among files, those in archives too, as `exchangeai.archives.groups_of`.

        They come as they are unpacked; of an archive only a slice is here at a time.
        """
        request = msgspec.msgpack.encode(_Open(_sizes(files), limits or Limits()))
        async with self._sandbox.session() as call:
            try:
                await call(_message(request, files.values()))
                while groups := await _next_groups(call):
                    for group in groups:
                        yield group
            except ReaderCrashed as e:
                yield Group(names=tuple(files), files={}, error=e)

    async def close(self) -> None:
        """End the children."""
        await self._sandbox.close()

    async def _batch_or_each(
        self, records: Sequence[Mapping[str, bytes]], options: ReadOptions
    ) -> list[list[ReadResult] | ExchangeaiError]:
        try:
            return await self._batch(records, options)
        except ReaderCrashed as e:
            if len(records) == 1:
                return [e]
        return [y for x in records for y in await self._batch_or_each([x], options)]

    async def _batch(
        self, records: Sequence[Mapping[str, bytes]], options: ReadOptions
    ) -> list[list[ReadResult] | ExchangeaiError]:
        request = msgspec.msgpack.encode(_Read([_sizes(x) for x in records], options))
        files = [data for record in records for data in record.values()]
        header, body = _parted(await self._sandbox.call(_message(request, files)))

        def samples(_: type, place: Any) -> Any:
            offset, count = place
            return np.frombuffer(body, np.float32, count, offset)

        done = msgspec.msgpack.decode(header, type=list[_Done], dec_hook=samples)
        return [x.results if x.failure is None else _raised(x.failure) for x in done]


def prepare() -> None:
    """In the child, before its limits: import all readers."""
    readers()


_expanding: list[Iterator[Group]] = []
"""In the child: what `_Open` opened last."""


def serve(payload: bytes) -> Payload:
    """In the child: one request to one answer."""
    header, body = _parted(payload)
    request = msgspec.msgpack.decode(header, type=_Read | _Open | _Next)
    if isinstance(request, _Read):
        return _serve_read(request, _cutter(body))
    if isinstance(request, _Open):
        take = _cutter(body)
        _expanding[:] = [groups_of({name: take(n) for name, n in request.files.items()}, request.limits)]
        return b""
    return _serve_groups()


def _serve_read(request: _Read, take: Callable[[int], bytes]) -> Payload:
    done: list[_Done] = []
    for record in request.records:
        files = {name: take(size) for name, size in record.items()}
        try:
            found = read_records(files, request.options)
            done.append(_Done([_without_texts(x) for x in found]))
        except ExchangeaiError as e:
            done.append(_Done([], _failure(e)))
        except MemoryError:
            message = "reading needs more memory than a reader may use"
            done.append(_Done([], _Failure("ReaderCrashed", message)))
    arrays: list[Buffer] = []
    offset = 0

    def place(samples: npt.NDArray[np.float32]) -> tuple[int, int]:
        nonlocal offset
        arrays.append(samples.data)
        begin, offset = offset, offset + samples.nbytes
        return begin, samples.size

    return _message(msgspec.msgpack.encode(done, enc_hook=place), arrays)


def _without_texts(result: ReadResult) -> ReadResult:
    return ReadResult(recording=deidentified(result.recording), identifiers=result.identifiers)


def _serve_groups() -> Payload:
    told: list[_Group] = []
    pieces: list[Buffer] = []
    size = 0
    for group in _expanding[0] if _expanding else ():
        failure = None if group.error is None else _failure(group.error)
        told.append(_Group(group.names, _sizes(group.files), failure))
        pieces += group.files.values()
        size += sum(len(x) for x in group.files.values())
        if size >= _SLICE_BYTES or len(told) >= _SLICE_GROUPS:
            break
    else:
        _expanding.clear()
    return _message(msgspec.msgpack.encode(told), pieces)


async def _next_groups(call: Call) -> list[Group]:
    header, body = _parted(await call(_message(msgspec.msgpack.encode(_Next()), ())))
    take = _cutter(body)
    return [
        Group(
            names=x.names,
            files={name: take(size) for name, size in x.files.items()},
            error=None if x.failure is None else _raised(x.failure),
        )
        for x in msgspec.msgpack.decode(header, type=list[_Group])
    ]


def _batches(records: Sequence[Mapping[str, bytes]]) -> Iterator[list[Mapping[str, bytes]]]:
    batch: list[Mapping[str, bytes]] = []
    size = 0
    for record in records:
        batch.append(record)
        size += sum(len(x) for x in record.values())
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_RECORDS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    return {name: len(data) for name, data in files.items()}


def _message(header: bytes, pieces: Iterable[Buffer]) -> list[Buffer]:
    """Length, header, and the pieces from a multiple of eight on, so that samples lie as numpy likes them."""
    begin = _HEADER_BYTES + len(header)
    return [len(header).to_bytes(_HEADER_BYTES, "big"), header, bytes(-begin % 8), *pieces]


def _parted(message: bytes) -> tuple[memoryview, memoryview]:
    view = memoryview(message)
    end = _HEADER_BYTES + int.from_bytes(view[:_HEADER_BYTES], "big")
    return view[_HEADER_BYTES:end], view[end + -end % 8 :]


def _cutter(body: memoryview) -> Callable[[int], bytes]:
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(body[at - size : at])

    return take


def _failure(error: ExchangeaiError) -> _Failure:
    return _Failure(type(error).__name__, str(error))


def _raised(failure: _Failure) -> ExchangeaiError:
    found = getattr(errors, failure.kind, None)
    if isinstance(found, type) and issubclass(found, ExchangeaiError):
        return found(failure.message)
    return ReaderCrashed("the reader failed on this file")
