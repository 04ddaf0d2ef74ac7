"""What the service offers before a run is started: presets for a data set, and how long they would take."""

from __future__ import annotations

from collections.abc import Sequence

from exchangeai.bus import Bus
from exchangeai.errors import NotFound, NotReady
from exchangeai.facts import DatasetFact, DatasetState, PartSummary, TrainingOptions
from services.trainer.architectures import Architecture, Architectures
from services.trainer.estimate import Estimate, Estimates
from services.trainer.presets import Preset, presets


class Offers:
    """Answers for data sets that are ready."""

    def __init__(self, bus: Bus, architectures: Architectures, estimates: Estimates) -> None:
        self._datasets = bus.facts(DatasetFact)
        self._architectures = architectures
        self._estimates = estimates

    async def presets(self, dataset_id: str, architecture: str, from_base: bool) -> Sequence[Preset]:
        """The presets, the least work first. Raises NotFound, NotReady."""
        parts = await self._parts(dataset_id)
        chosen = await self._architecture(architecture)
        return presets(_windows(parts, "train"), chosen.learning_rate, from_base=from_base)

    async def estimate(self, dataset_id: str, architecture: str, options: TrainingOptions) -> Estimate:
        """How long a run would take here. Raises NotFound, NotReady, Unavailable."""
        parts = await self._parts(dataset_id)
        await self._architecture(architecture)
        train, judged = _windows(parts, "train"), _windows(parts, "validation")
        return await self._estimates.of(architecture, options, train, judged)

    async def _parts(self, dataset_id: str) -> Sequence[PartSummary]:
        found = await self._datasets.get(dataset_id)
        if found is None:
            raise NotFound("there is no such data set; build it first")
        if found.value.state is not DatasetState.READY:
            raise NotReady(f"the data set is {found.value.state}; training needs one that is ready")
        return found.value.parts

    async def _architecture(self, name: str) -> Architecture:
        known = {x.name: x for x in await self._architectures.all()}
        if name not in known:
            raise NotFound(f"there is no such architecture; there are {', '.join(known)}")
        return known[name]


def _windows(parts: Sequence[PartSummary], name: str) -> int:
    """Recordings have a window at least; what long ones have more the data set does not tell here."""
    return sum(x.recordings for x in parts if x.part == name)
