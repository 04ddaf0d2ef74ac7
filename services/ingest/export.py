"""Writes recordings as files of other formats, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.plugins import names_in
from exchangeai.recording import Recording
from exchangeai.writers import Written
from services.ingest.catalogue import Catalogue
from services.ingest.index import Wanted
from services.ingest.ingest import Ingest

_NAME_DIGITS = 16
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One recording: its files, or why there are none."""

    recording_id: str
    written: Written | None = None
    problem: str = ""


class Export:
    """Reads recordings back and writes them in a thread."""

    def __init__(self, ingest: Ingest, catalogue: Catalogue) -> None:
        self._ingest = ingest
        self._catalogue = catalogue

    async def files(self, ids: Sequence[str], wanted: Wanted, form: str) -> AsyncGenerator[Exported, None]:
        """Each recording in turn. Raises InvalidArgument for a format that nobody writes."""
        known = names_in("exchangeai.writers")
        if form not in known:
            raise InvalidArgument(f"there is no writer for {form!r}; formats are {', '.join(known)}")
        async for recording_id in self._ids(ids, wanted):
            try:
                recording = await self._ingest.signal(recording_id)
                written = await asyncio.to_thread(_written, recording, form, recording_id[:_NAME_DIGITS])
            except ExchangeaiError as e:
                yield Exported(recording_id=recording_id, problem=str(e))
            else:
                yield Exported(recording_id=recording_id, written=written)

    async def _ids(self, ids: Sequence[str], wanted: Wanted) -> AsyncGenerator[str, None]:
        for recording_id in ids:
            yield recording_id
        token = "" if not ids else None
        while token is not None:
            page = await self._catalogue.page(wanted, _PAGE, token)
            for fact, _ in page.recordings:
                if fact.readable:
                    yield fact.recording_id
            token = page.next_token or None


def _written(recording: Recording, form: str, name: str) -> Written:
    # Only here: the libraries that write are large.
    from exchangeai.writers import writers

    return writers()[form].write(recording, name)
