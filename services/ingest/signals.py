"""Which recordings show the same signal, whatever file each came in."""

from __future__ import annotations

import dataclasses

from exchangeai.bus import Bus
from exchangeai.errors import Conflict, NotFound
from exchangeai.facts import RecordingFact, SignalFact
from exchangeai.recording import Recording, signal_digest


class Signals:
    """The facts of signals: who showed each first, and who later."""

    def __init__(self, bus: Bus) -> None:
        self._signals = bus.facts(SignalFact)
        self._recordings = bus.facts(RecordingFact)

    async def first_of(self, recording: Recording, recording_id: str) -> str | None:
        """The earlier recording of the same signal; None when this one is the first."""
        digest = signal_digest(recording)
        if not digest:
            return None
        while True:
            try:
                await self._signals.create(digest, SignalFact(recording_id=recording_id))
            except Conflict:
                try:
                    kept = await self._signals.change(digest, lambda x: _with(x, recording_id))
                except NotFound:
                    continue  # erased in between
                return kept.recording_id if kept.recording_id != recording_id else None
            return None

    async def forget(self, recording: Recording, recording_id: str) -> None:
        """Before a recording is erased: name it nowhere, and let the next that shows its signal be first."""
        digest = signal_digest(recording)
        known = await self._signals.get(digest) if digest else None
        if known is None:
            return
        kept = await self._signals.change(digest, lambda x: _without(x, recording_id))
        if kept.recording_id == recording_id:
            await self._signals.delete(digest)
            return
        await self._rename(kept.recording_id, None)
        for later in kept.later:
            await self._rename(later, kept.recording_id)

    async def _rename(self, recording_id: str, first: str | None) -> None:
        try:
            await self._recordings.change(
                recording_id, lambda x: dataclasses.replace(x, same_signal_as=first)
            )
        except NotFound:
            return


def _with(known: SignalFact, recording_id: str) -> SignalFact:
    if recording_id in (known.recording_id, *known.later):
        return known
    return dataclasses.replace(known, later=(*known.later, recording_id))


def _without(known: SignalFact, recording_id: str) -> SignalFact:
    first, *later = [x for x in (known.recording_id, *known.later) if x != recording_id] or [recording_id]
    return SignalFact(recording_id=first, later=tuple(later))
