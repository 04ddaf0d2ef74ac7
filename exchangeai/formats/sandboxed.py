"""Reads ECG files in sandboxed children, de-identified: what services use instead of `read_records`.

Bytes and samples travel beside a small header, several records a message, so that the sandbox costs little
at bulk. Texts of the files are judged in the child (`exchangeai.deidentify`): no service ever sees a name
that was typed into a comment, only the identifiers that it makes keys of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from exchangeai import errors
from exchangeai.archives import Group, Limits, groups_of
from exchangeai.deidentify import deidentified
from exchangeai.errors import ExchangeaiError, ReaderCrashed
from exchangeai.formats import ReadOptions, ReadResult, read_records, readers
from exchangeai.sandbox import Buffer, Payload, Sandbox, Session

_MEMORY_BYTES = 2 << 30
_BATCH_BYTES, _BATCH_RECORDS = 1 << 20, 32
_SLICE_BYTES, _SLICE_GROUPS = 8 << 20, 256
_HEADER_BYTES = 4


class _Failure(msgspec.Struct, frozen=True):
    kind: str
    message: str


class _Read(msgspec.Struct, frozen=True, tag=True):
    """Records to read, whose bytes come in this order."""

    records: list[dict[str, int]]
    """Sizes of files by name."""
    options: ReadOptions


class _Open(msgspec.Struct, frozen=True, tag=True):
    """Files that may be archives, to be expanded by the `_Next` that follow; whose bytes come with it."""

    files: dict[str, int]
    limits: Limits


class _Next(msgspec.Struct, frozen=True, tag=True):
    """The next groups of what was opened."""


class _Group(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    files: dict[str, int]
    failure: _Failure | None


class _Done(msgspec.Struct, frozen=True):
    """One record: what was read of it, with positions in place of samples, or why nothing was."""

    results: list[ReadResult]
    failure: _Failure | None = None


class SandboxedReader:
    """`read_records` in `workers` children; a crash or a hang is a ReaderCrashed, never ours."""

    def __init__(
        self, *, timeout_s: float = 60.0, memory_bytes: int = _MEMORY_BYTES, workers: int = 1
    ) -> None:
        self._workers = workers
        self._sandbox = Sandbox(
            f"{__name__}:serve", timeout_s=timeout_s, memory_bytes=memory_bytes, workers=workers
        )

    async def start(self) -> None:
        """Start the children before the first call."""
        await self._sandbox.start()

    async def read(self, files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
        """Read the recordings of one source from its files. Raises subclasses of UnreadableFile."""
        [outcome] = _answered(await self._sandbox.call(_request([files], options)))
        if isinstance(outcome, ExchangeaiError):
            raise outcome
        return outcome

    async def read_many(
        self, records: Sequence[Mapping[str, bytes]], options: ReadOptions
    ) -> list[list[ReadResult] | ExchangeaiError]:
        """Read several records, each with its results or its error, in order; for bulk.

        A record that kills or stalls the child does so alone: its neighbours are read again without it.
        """
        places = list(_batches(records))
        outcomes: dict[int, list[ReadResult] | ExchangeaiError] = {}
        left = iter(places)
        await asyncio.gather(
            *(self._pipeline(left, records, options, outcomes) for _ in range(self._workers))
        )
        return [outcomes[i] for i in range(len(records))]

    async def _pipeline(
        self,
        batches: Iterator[range],
        records: Sequence[Mapping[str, bytes]],
        options: ReadOptions,
        outcomes: dict[int, list[ReadResult] | ExchangeaiError],
    ) -> None:
        taken: list[range] = []

        def requests() -> Iterator[Payload]:
            for batch in batches:
                taken.append(batch)
                yield _request([records[i] for i in batch], options)

        try:
            async with self._sandbox.session() as session, aclosing(session.pipeline(requests())) as answers:
                async for answer in answers:
                    if isinstance(answer, ExchangeaiError):
                        raise answer
                    outcomes.update(zip(taken[0], _answered(answer), strict=True))
                    del taken[0]
        except ExchangeaiError:
            # Which record it was is found by reading those that were under way again, one by one.
            for i in (i for batch in taken for i in batch):
                try:
                    outcomes[i] = await self.read(records[i], options)
                except ExchangeaiError as e:
                    outcomes[i] = e
            await self._pipeline(batches, records, options, outcomes)

    async def expand(self, files: Mapping[str, bytes], limits: Limits | None = None) -> AsyncGenerator[Group]:
        """The records among files, those in archives too, as `exchangeai.archives.groups_of`.

        They come as they are unpacked; of an archive only a slice is here at a time.
        """
        request = msgspec.msgpack.encode(_Open(_sizes(files), limits or Limits()))
        async with self._sandbox.session() as session:
            try:
                await session.call(_message(request, files.values()))
                while groups := await _next_groups(session):
                    for group in groups:
                        yield group
            except ReaderCrashed as e:
                yield Group(names=tuple(files), files={}, error=e)

    async def close(self) -> None:
        """End the children."""
        await self._sandbox.close()


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


def _serve_read(request: _Read, take: Callable[[int], bytes]) -> Iterator[Buffer]:
    told: list[msgspec.Raw] = []
    offset = 0
    # Record by record, while its samples are still in the processor's cache.
    for record in request.records:
        done = _done({name: take(size) for name, size in record.items()}, request.options)
        arrays = _Arrays(offset)
        told.append(msgspec.Raw(msgspec.msgpack.encode(done, enc_hook=arrays.place)))
        yield from (x.data for x in arrays.taken)
        offset = arrays.end
    yield from _message(msgspec.msgpack.encode(told), ())


class _Arrays:
    """Takes the samples out of what is encoded and leaves (offset, count) in their place."""

    def __init__(self, begin: int) -> None:
        self.end = begin
        self.taken: list[npt.NDArray[np.float32]] = []

    def place(self, samples: npt.NDArray[np.float32]) -> tuple[int, int]:
        begin, self.end = self.end, self.end + samples.nbytes
        self.taken.append(samples)
        return begin, samples.size


def _done(files: Mapping[str, bytes], options: ReadOptions) -> _Done:
    try:
        return _Done([_without_texts(x) for x in read_records(files, options)])
    except ExchangeaiError as e:
        return _Done([], _failure(e))
    except MemoryError:
        return _Done([], _Failure("ReaderCrashed", "reading needs more memory than a reader may use"))


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


def _request(records: Sequence[Mapping[str, bytes]], options: ReadOptions) -> Iterable[Buffer]:
    header = msgspec.msgpack.encode(_Read([_sizes(x) for x in records], options))
    return _message(header, [data for record in records for data in record.values()])


def _answered(answer: bytes) -> list[list[ReadResult] | ExchangeaiError]:
    header, body = _parted(answer)

    def samples(_: type, place: Any) -> Any:
        offset, count = place
        return np.frombuffer(body, np.float32, count, offset)

    done = msgspec.msgpack.decode(header, type=list[_Done], dec_hook=samples)
    return [x.results if x.failure is None else _raised(x.failure) for x in done]


async def _next_groups(session: Session) -> list[Group]:
    header, body = _parted(await session.call(_message(msgspec.msgpack.encode(_Next()), ())))
    take = _cutter(body)
    return [
        Group(
            names=x.names,
            files={name: take(size) for name, size in x.files.items()},
            error=None if x.failure is None else _raised(x.failure),
        )
        for x in msgspec.msgpack.decode(header, type=list[_Group])
    ]


def _batches(records: Sequence[Mapping[str, bytes]]) -> Iterator[range]:
    begin = size = 0
    for i, record in enumerate(records):
        size += sum(len(x) for x in record.values())
        if size >= _BATCH_BYTES or i + 1 - begin == _BATCH_RECORDS:
            yield range(begin, i + 1)
            begin, size = i + 1, 0
    if begin < len(records):
        yield range(begin, len(records))


def _sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    return {name: len(data) for name, data in files.items()}


def _message(header: bytes, pieces: Iterable[Buffer]) -> Iterator[Buffer]:
    """The pieces, the header that tells what they are, its length."""
    yield from pieces
    yield header
    yield len(header).to_bytes(_HEADER_BYTES, "big")


def _parted(message: bytes) -> tuple[memoryview, memoryview]:
    view = memoryview(message)
    end = len(view) - _HEADER_BYTES
    begin = end - int.from_bytes(view[end:], "big")
    return view[begin:end], view[:begin]


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
