"""Import, approval and export of model files."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from exchangeai.bus import Bus, FactIndex, Facts
from exchangeai.errors import Conflict, InvalidArgument, NotFound, NotReady, ReaderCrashed, TooLarge
from exchangeai.events.v1.model_published_pb2 import ModelPublished
from exchangeai.facts import ModelFact, ModelState, SignatureVerdict
from exchangeai.model_file import CARD_FILE, Manifest, card_prefix, model_digest, object_key
from exchangeai.model_parcel import check_card
from exchangeai.signatures import Judgement, TrustedKey, judge, read_trusted_keys
from exchangeai.store import ObjectStore
from services.inference.admission import admit
from services.inference.registry import Registry
from services.inference.vetting import read_verdict, refusal

log = logging.getLogger(__name__)

CHUNK = 1024 * 1024
"""Bytes in one message of an export."""
_SHOWN_S, _LOOK_S = 5.0, 0.01
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def model_key(name: str, version: int) -> str:
    """The key of a model's fact."""
    return f"{name}.{version}"


def signature_key(fact: ModelFact) -> str:
    """Where the store keeps the signature that came with a model."""
    return f"models/{fact.digest}.{model_key(fact.name, fact.version)}.sig"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose signatures count."""

    keys: Path | None = None
    """Folder of public keys (PEM); read at each import, so that a key may be added or withdrawn."""
    require_signature: bool = False
    """Refuse imports that no trusted key has signed."""


class Exchange:
    """Takes foreign models in, and gives models out.

    `vet` runs `services.inference.vetting.vet_bytes` in a limited child process: see `Vetter`.
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
        trust: Trust | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._facts: Facts[ModelFact] = bus.facts(ModelFact)
        self._store = store
        self._index = index
        self._registry = registry
        self._vet = vet
        self._max_bytes = max_bytes
        self._trust = trust or Trust()
        self._clock = clock
        # One import at a time: each may hold max_bytes here and again in the child.
        self._importing = asyncio.Lock()

    async def take_in(
        self,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        signature: bytes = b"",
        card: str = "",
        figures: Mapping[str, bytes] | None = None,
    ) -> tuple[ModelFact, Manifest]:
        """Vet a file and store it in quarantine, as the version that is signed or the next one of that name.

        The same bytes under the same name again give the same answer. Raises InvalidArgument (name),
        TooLarge, ContractViolation (what is wrong with the file, its signature or its card).
        """
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                "the first message must carry the model's name: lower-case letters, digits, '.', '_' "
                "and '-', at most 63, a letter or digit first"
            )
        async with self._importing:
            check_card(card, figures or {})
            data = await self._receive(chunks)
            digest = model_digest(data)
            judgement = judge(signature, digest, await self._trusted_keys())
            # Before the vetting, which costs: what will not be let in need not run.
            self._version(name, digest, judgement)
            manifest = await self._vetted(data)
            await self._store.put(object_key(digest), data)
            await self._put_card(digest, card, figures or {})
            fact = await self._quarantine(name, digest, judgement, signature)
            await self._shown(digest)
            return fact, manifest

    async def approve(self, name: str, version: int) -> tuple[ModelFact, Manifest]:
        """Let a model predict; returns when it does, here.

        Raises NotFound, or NotReady when it fails to load; then it stays what it was.
        """
        key = model_key(name, version)
        known = await self._facts.get(key)
        if known is None:
            raise NotFound(f"the model {name!r} has no version {version}")
        fact = await self._facts.change(key, lambda x: replace(x, state=ModelState.APPROVED))
        event = ModelPublished(name=fact.name, version=fact.version, digest=fact.digest)
        await self._bus.publish(event, dedup_id=f"{key}:{fact.digest}")
        await self._index.wait(key, lambda x: x is not None and x.state is ModelState.APPROVED)
        try:
            return fact, (await self._registry.choose(name, version)).manifest
        except NotReady:
            # What does not work here must not become the newest approved version, which may answer.
            before = known.value.state
            await self._facts.change(key, lambda x: replace(x, state=before))
            raise

    async def signed(self, name: str, version: int = 0) -> tuple[ModelFact, bytes]:
        """(model, signature that came with it or none); version 0 is the newest. Raises NotFound."""
        fact = self._fact(name, version)
        key = signature_key(fact)
        has_one = fact.signature is not SignatureVerdict.UNSIGNED
        return fact, await self._store.get(key) if has_one else b""

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

    async def _trusted_keys(self) -> tuple[TrustedKey, ...]:
        try:
            return await asyncio.to_thread(read_trusted_keys, self._trust.keys)
        except (NotFound, InvalidArgument) as e:
            # The reason names files of this server, which are no business of a caller.
            log.error("the trust list cannot be read", extra={"fields": {"reason": str(e)}})
            raise NotReady(
                "the trust list of this site cannot be read, so nothing can be imported; its operator finds "
                "the reason in the log"
            ) from e

    async def _shown(self, digest: str) -> None:
        """Wait until the model is listed: the next import is judged by what is known then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SHOWN_S):
                while self._registry.manifest(digest) is None:
                    await asyncio.sleep(_LOOK_S)

    async def _put_card(self, digest: str, card: str, figures: Mapping[str, bytes]) -> None:
        prefix = card_prefix(digest)
        # What is there is not replaced: it may be the card of a model that was trained here.
        if card and not await self._store.exists(prefix + CARD_FILE):
            for figure, content in figures.items():
                await self._store.put(prefix + figure, content)
            await self._store.put(prefix + CARD_FILE, card.encode())

    def _version(self, name: str, digest: str, judgement: Judgement) -> int:
        ancestors = {
            manifest.parent_digest: fact.version
            for fact, manifest in self._registry.known()
            if fact.name == name and manifest.parent_digest
        }
        facts = self._index.items.values()
        required = self._trust.require_signature
        return admit(name, digest, judgement, facts, ancestors, require_signature=required)

    async def _quarantine(self, name: str, digest: str, judgement: Judgement, signature: bytes) -> ModelFact:
        while True:
            fact = ModelFact(
                name=name,
                version=self._version(name, digest, judgement),
                digest=digest,
                state=ModelState.QUARANTINED,
                origin="import",
                created_at=self._clock(),
                signature=judgement.signature,
                signed_by=judgement.signed_by,
            )
            key = model_key(name, fact.version)
            known = self._index.items.get(key)
            if known is not None and (known.signature is fact.signature or not judgement.signed_by):
                return known
            if signature:
                await self._store.put(signature_key(fact), signature)
            if known is not None:
                return await self._vouched(key, judgement)
            try:
                await self._facts.create(key, fact)
            except Conflict:
                # Someone took this version just now; our copy will show it in a moment.
                await self._index.wait(key, lambda x: x is not None)
                continue
            await self._index.wait(key, lambda x: x is not None)
            return fact

    async def _vouched(self, key: str, judgement: Judgement) -> ModelFact:
        """Note that a file that is here already is now signed by somebody trusted."""
        verdict, signer = judgement.signature, judgement.signed_by
        fact = await self._facts.change(key, lambda x: replace(x, signature=verdict, signed_by=signer))
        await self._index.wait(key, lambda x: x is not None and x.signature is verdict)
        return fact
