"""Publishing a model: the object, then its fact under the next free version, then the event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exchangeai.bus import Bus
from exchangeai.errors import Conflict, ContractViolation
from exchangeai.events.v1.model_published_pb2 import ModelPublished
from exchangeai.facts import ModelFact, ModelState
from exchangeai.int8 import Int8Form
from exchangeai.model_file import CARD_FILE, card_prefix, model_digest, object_key
from exchangeai.store import ObjectStore
from services.trainer.job import FIGURE_SUFFIX, INT8_FOLDER, MODEL_FILE


class Publisher:
    """Idempotent: the same bytes under the same name are the same version."""

    def __init__(self, bus: Bus, store: ObjectStore, now_s: Callable[[], float]) -> None:
        self._bus = bus
        self._store = store
        self._facts = bus.facts(ModelFact)
        self._now_s = now_s

    async def publish(self, name: str, folder: Path, digest: str) -> int:
        """Publish the model in a folder; returns its version, from 1.

        Raises ContractViolation when the model there is another than that of the digest.
        """
        data = (folder / MODEL_FILE).read_bytes()
        if model_digest(data) != digest:
            raise ContractViolation("the model file was changed after it had been exported")
        await self._store.put(object_key(digest), data)
        for file in (folder / CARD_FILE, *sorted(folder.glob(f"*{FIGURE_SUFFIX}"))):
            await self._store.put(card_prefix(digest) + file.name, file.read_bytes())
        version = await self._version(name, digest)
        await self._bus.publish(
            ModelPublished(name=name, version=version, digest=digest), dedup_id=f"{name}.{version}"
        )
        return version

    async def publish_int8(self, folder: Path, form: Int8Form | None) -> Int8Form | None:
        """Publish the form in eight bits of the run in a folder, if there is one; it gets its version."""
        if form is None or not form.digest:
            return form
        version = await self.publish(form.model_name, folder / INT8_FOLDER, form.digest)
        return replace(form, model_version=version)

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
