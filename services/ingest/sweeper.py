"""Publishes again what was stored without its event: a crash between the two loses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from exchangeai.bus import Bus
from exchangeai.errors import ExchangeaiError
from services.ingest.catalogue import Catalogue
from services.ingest.ingest import Ingest

EVERY_S = 60.0
OLD_S = 30.0
"""A younger recording's event is most likely just being worked on."""
AGAIN_S = 600.0
"""After being published again, a recording is left in peace for so long."""
_MOST_AT_ONCE = 500
_LOOKED_AT = 5000
"""So many of the oldest are looked at in one sweep."""
_BUSY = 1000
"""With more work waiting, a recording without result is most likely in that queue."""
log = logging.getLogger(__name__)


class Sweeper:
    """Looks at start and then every minute. `now` gives seconds since the epoch."""

    def __init__(self, ingest: Ingest, catalogue: Catalogue, bus: Bus, now: Callable[[], float]) -> None:
        self._ingest = ingest
        self._catalogue = catalogue
        self._bus = bus
        self._now = now
        self._published_at: dict[str, float] = {}

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except ExchangeaiError as e:
                log.warning("sweeping failed", extra={"fields": {"reason": type(e).__name__}})
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Publish once more for each old recording without preprocessing; returns for how many."""
        now = self._now()
        waiting = await self._catalogue.waiting(_LOOKED_AT)
        kept = {x.recording_id for x in waiting}
        self._published_at = {k: at for k, at in self._published_at.items() if k in kept}
        due = [
            x
            for x in waiting
            if now - x.ingested_at >= OLD_S
            and now - self._published_at.get(x.recording_id, -AGAIN_S) >= AGAIN_S
        ][:_MOST_AT_ONCE]
        if not due or await self._bus.backlog() > _BUSY:
            return 0
        for fact in due:
            await self._ingest.announce(fact, again=f".{int(now)}")
            self._published_at[fact.recording_id] = now
        log.info("published again", extra={"fields": {"recordings": len(due)}})
        return len(due)
