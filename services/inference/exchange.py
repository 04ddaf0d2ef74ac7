"""Import, approval and export of model files."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from exchangeai.bus import Bus, FactIndex, Facts
from exchangeai.errors import Conflict, InvalidArgument, NotFound, ReaderCrashed, TooLarge
from exchangeai.events.v1.model_published_pb2 import ModelPublished
from exchangeai.facts import ModelFact, ModelState
from exchangeai.model_file import CARD_FILE, Manifest, card_prefix, model_digest, object_key
from exchangeai.store import ObjectStore
from services.inference.registry import Registry
from services.inference.vetting import read_verdict, refusal

CHUNK = 1024 * 1024
"""Bytes in one message of an export."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def model_key(name: str, version: int) -> str:
    """The key of a model's fact."""
    return f"{name}.{version}"


class Exchange:
    """Takes foreign models in, and gives models out.

    `vet` runs `services.inference.vetting.vet_bytes` in a limited child process.
    """

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        index: FactIndex[ModelFact],
        registry: Registry,
        vet: Callable[[bytes], Awaitable[bytes]],
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._facts: Facts[ModelFact] = bus.facts(ModelFact)
        self._store = store
        self._index = index
        self._registry = registry
        self._vet = vet
        self._max_bytes = max_bytes
        self._clock = clock
        # One import at a time: each may hold max_bytes here and again in the child.
        self._importing = asyncio.Lock()

    async def take_in(self, name: str, chunks: AsyncIterator[bytes]) -> tuple[ModelFact, Manifest]:
        """Vet a file and store it in quarantine as the next version of that name.

        The same bytes under the same name again give the same answer. Raises InvalidArgument (name),
        TooLarge, ContractViolation (what is wrong with the file).
        """
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                "the first message must carry the model's name: lower-case letters, digits, '.', '_' "
                "and '-', at most 63, a letter or digit first"
            )
        async with self._importing:
            data = await self._receive(chunks)
            manifest = await self._vetted(data)
            digest = model_digest(data)
            await self._store.put(object_key(digest), data)
            return await self._quarantine(name, digest), manifest

    async def approve(self, name: str, version: int) -> tuple[ModelFact, Manifest]:
        """Let a model predict; returns when it does, here.

        Raises NotFound, or NotReady when it fails to load.
        """
        key = model_key(name, version)
        if await self._facts.get(key) is None:
            raise NotFound(f"the model {name!r} has no version {version}")
        fact = await self._facts.change(key, lambda x: replace(x, state=ModelState.APPROVED))
        event = ModelPublished(name=fact.name, version=fact.version, digest=fact.digest)
        await self._bus.publish(event, dedup_id=f"{key}:{fact.digest}")
        await self._index.wait(key, lambda x: x is not None and x.state is ModelState.APPROVED)
        return fact, (await self._registry.choose(name, version)).manifest

    async def export(self, name: str, version: int = 0) -> AsyncIterator[bytes]:
        """The file's bytes in chunks of at most 1 MiB; version 0 is the newest. Raises NotFound."""
        fact = self._fact(name, version)
        data = await self._store.get(object_key(fact.digest))
        for begin in range(0, len(data), CHUNK):
            yield data[begin : begin + CHUNK]

    async def card(self, name: str, version: int = 0) -> tuple[str, dict[str, bytes]]:
        """(Markdown, figures by the names that it links to); version 0 is the newest. Raises NotFound."""
        fact = self._fact(name, version)
        prefix = card_prefix(fact.digest)
        files = {
            key.removeprefix(prefix): await self._store.get(key) for key in await self._store.list(prefix)
        }
        text = files.pop(CARD_FILE, None)
        if text is None:
            raise NotFound(f"the model {name!r} came without a card; its manifest says what is known of it")
        return text.decode(), files

    def _fact(self, name: str, version: int) -> ModelFact:
        versions = sorted(x.version for x in self._index.items.values() if x.name == name)
        if not versions:
            raise NotFound(f"there is no model named {name!r}; ListModels says which there are")
        fact = self._index.items.get(model_key(name, version or versions[-1]))
        if fact is None:
            raise NotFound(f"the model {name!r} has no version {version}")
        return fact

    async def _vetted(self, data: bytes) -> Manifest:
        try:
            return read_verdict(await self._vet(data))
        except ReaderCrashed as e:
            raise refusal(e) from e

    async def _receive(self, chunks: AsyncIterator[bytes]) -> bytes:
        data = bytearray()
        async for chunk in chunks:
            if len(data) + len(chunk) > self._max_bytes:
                raise TooLarge(f"the model is larger than {self._max_bytes} bytes, the limit of this server")
            data += chunk
        if not data:
            raise InvalidArgument("no bytes came: send the .onnx file in chunks of at most 1 MiB")
        return bytes(data)

    async def _quarantine(self, name: str, digest: str) -> ModelFact:
        version = 1
        while True:
            for known in sorted(self._index.items.values(), key=lambda x: x.version):
                if known.name == name and known.digest == digest:
                    return known
                if known.name == name:
                    version = max(version, known.version + 1)
            fact = ModelFact(
                name=name,
                version=version,
                digest=digest,
                state=ModelState.QUARANTINED,
                origin="import",
                created_at=self._clock(),
            )
            key = model_key(name, version)
            try:
                await self._facts.create(key, fact)
            except Conflict:
                # Someone took this version just now; our copy will show it in a moment.
                await self._index.wait(key, lambda x: x is not None)
                continue
            await self._index.wait(key, lambda x: x is not None)
            return fact
