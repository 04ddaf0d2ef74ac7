"""Publishing a model: the object, then its fact under the next free version, then the event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exchangeai.bus import Bus
from exchangeai.errors import Conflict, ContractViolation
from exchangeai.events.v1.model_published_pb2 import ModelPublished
from exchangeai.facts import ModelFact, ModelState
from exchangeai.model_file import CARD_FILE, card_prefix, model_digest, object_key
from exchangeai.store import ObjectStore
from services.trainer.job import FIGURE_SUFFIX, MODEL_FILE, Result


class Publisher:
    """Idempotent: the same bytes under the same name are the same version."""

    def __init__(self, bus: Bus, store: ObjectStore, now_s: Callable[[], float]) -> None:
        self._bus = bus
        self._store = store
        self._facts = bus.facts(ModelFact)
        self._now_s = now_s

    async def publish(self, name: str, folder: Path, result: Result) -> int:
        """Publish the model in the run's folder; returns its version, from 1."""
        data = (folder / MODEL_FILE).read_bytes()
        if model_digest(data) != result.digest:
            raise ContractViolation("the model file was changed after it had been exported")
        await self._store.put(object_key(result.digest), data)
        for file in (folder / CARD_FILE, *sorted(folder.glob(f"*{FIGURE_SUFFIX}"))):
            await self._store.put(card_prefix(result.digest) + file.name, file.read_bytes())
        version = await self._version(name, result.digest)
        await self._bus.publish(
            ModelPublished(name=name, version=version, digest=result.digest), dedup_id=f"{name}.{version}"
        )
        return version

    async def _version(self, name: str, digest: str) -> int:
        version = 1
        while True:
            key = f"{name}.{version}"
            fact = ModelFact(
                name=name,
                version=version,
                digest=digest,
                state=ModelState.APPROVED,
                origin="here",
                created_at=self._now_s(),
            )
            try:
                await self._facts.create(key, fact)
                return version
            except Conflict:
                there = await self._facts.get(key)
                if there is not None and there.value.digest == digest:
                    return version
                version += 1
