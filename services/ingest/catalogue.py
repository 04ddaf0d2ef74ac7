"""The list of recordings: filters and stable pages over live copies of the facts, newest first."""

from __future__ import annotations

import asyncio
import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass

from exchangeai.bus import FactIndex
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PreprocessedFact, RecordingFact

DEFAULT_PAGE = 100
_CATCH_UP_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Filter:
    """All conditions must hold; None does not restrict."""

    readable: bool | None = None
    pending: bool | None = None
    """Readable and not preprocessed yet."""
    done: bool | None = None
    """Preprocessed with windows."""
    failed: bool | None = None
    """Preprocessed without windows."""
    format: str | None = None
    patient_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page."""

    recordings: tuple[tuple[RecordingFact, PreprocessedFact | None], ...]
    next_token: str
    total: int
    """How many match in all."""


class Catalogue:
    """Answers lists from memory."""

    def __init__(
        self, recordings: FactIndex[RecordingFact], preprocessed: FactIndex[PreprocessedFact]
    ) -> None:
        self._recordings = recordings
        self._preprocessed = preprocessed

    def page(self, wanted: Filter, size: int = DEFAULT_PAGE, token: str = "") -> Page:
        """One page, newest first. Raises InvalidArgument for a token that is none of ours.

        The token is the position of the last recording shown, so recordings that come in or go between
        two pages neither repeat nor hide others.
        """
        matching = [x for x in self._recordings.items.values() if self._matches(x, wanted)]
        matching.sort(key=_position, reverse=True)
        after = _decoded(token) if token else None
        rest = matching if after is None else [x for x in matching if _position(x) < after]
        shown = rest[: size or DEFAULT_PAGE]
        return Page(
            recordings=tuple((x, self._preprocessed.items.get(x.recording_id)) for x in shown),
            next_token=_encoded(shown[-1]) if len(rest) > len(shown) else "",
            total=len(matching),
        )

    async def caught_up(self, recording_id: str) -> None:
        """Wait a little until a recording just stored is listed, so that a caller sees its own upload."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S):
                await self._recordings.wait(recording_id, lambda x: x is not None)

    def waiting(self) -> list[RecordingFact]:
        """Readable recordings that are not preprocessed, oldest first."""
        found = [x for x in self._recordings.items.values() if self._matches(x, Filter(pending=True))]
        return sorted(found, key=_position)

    def _matches(self, fact: RecordingFact, wanted: Filter) -> bool:
        made = self._preprocessed.items.get(fact.recording_id) if fact.readable else None
        states = {
            "readable": fact.readable,
            "pending": fact.readable and made is None,
            "done": made is not None and made.error is None,
            "failed": made is not None and made.error is not None,
            "format": fact.format,
            "patient_key": fact.patient.patient_key,
        }
        return all(getattr(wanted, name) in (None, value) for name, value in states.items())


def _position(fact: RecordingFact) -> tuple[float, str]:
    return fact.ingested_at, fact.recording_id


def _encoded(fact: RecordingFact) -> str:
    return base64.urlsafe_b64encode(f"{fact.ingested_at!r} {fact.recording_id}".encode()).decode()


def _decoded(token: str) -> tuple[float, str]:
    try:
        at, recording_id = base64.urlsafe_b64decode(token.encode()).decode().split(" ")
        return float(at), recording_id
    except (ValueError, binascii.Error) as e:
        raise InvalidArgument("the page token is not one that this service gave; begin without one") from e
