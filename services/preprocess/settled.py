"""Which recordings of a request can be used: asked of the facts batch by batch."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from exchangeai.bus import Bus, Later
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.join_report import ReportKind
from exchangeai.measurements import Verdict
from exchangeai.signal import PREPROCESSING_VERSION
from services.preprocess.findings import Findings
from services.preprocess.request import RequestedRecording, StoredRequest

POLL_S = 1.0
BATCH = 256
DELETED = "the recording was deleted"


@dataclass(kw_only=True)
class Settled:
    """What is known of the recordings of a request so far; grows by 4 bytes a recording."""

    windows: array[int] = field(default_factory=lambda: array("I"))
    """How many windows each has, 0 for one that is left out."""
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    """Why, by id."""
    findings: Findings = field(default_factory=Findings)

    def leave_out(self, x: RequestedRecording, kind: ReportKind, why: str) -> None:
        """Note that a recording cannot be used."""
        self.left_out[x.recording_id] = why
        self.findings.add(kind, row=x.row, recording_id=x.recording_id, detail=why)


class Settling:
    """Asks the bucket, not a copy of it: a copy of a million facts would take gigabytes."""

    def __init__(self, bus: Bus) -> None:
        self._preprocessed = bus.facts(PreprocessedFact)
        self._recordings = bus.facts(RecordingFact)

    async def go_on(
        self,
        request: StoredRequest,
        settled: Settled,
        *,
        waited_long: bool,
        beat: Callable[[], Awaitable[None]],
    ) -> None:
        """Settle what is not settled yet; `beat` hears of each batch.

        Raises Later while results are to come.
        """
        rest = islice(request.recordings(), len(settled.windows), None)
        for batch in _batches(rest):
            facts = await asyncio.gather(*(self._preprocessed.get(x.recording_id) for x in batch))
            values = [x.value if x is not None else None for x in facts]
            pending = [x for x, fact in zip(batch, values, strict=True) if not _current(fact)]
            deleted = await self._deleted(pending)
            waiting = len(pending) - len(deleted)
            if waiting and not waited_long:
                raise Later(POLL_S, f"{waiting} or more recordings are still being preprocessed")
            for x, fact in zip(batch, values, strict=True):
                settled.windows.append(_settle(x, fact, deleted, settled))
            await beat()

    async def _deleted(self, pending: Sequence[RequestedRecording]) -> set[str]:
        facts = await asyncio.gather(*(self._recordings.get(x.recording_id) for x in pending))
        return {x.recording_id for x, fact in zip(pending, facts, strict=True) if fact is None}


def _settle(x: RequestedRecording, fact: PreprocessedFact | None, deleted: set[str], settled: Settled) -> int:
    """How many windows to take of a recording."""
    if fact is None or not _current(fact):
        why = DELETED if x.recording_id in deleted else "it was not preprocessed within an hour"
        settled.leave_out(x, ReportKind.NOT_PREPROCESSED, why)
        return 0
    if fact.error is not None:
        settled.leave_out(x, ReportKind.NOT_PREPROCESSED, fact.error)
        return 0
    if fact.quality is not None and fact.quality.verdict is Verdict.NOT_ANALYSABLE:
        settled.leave_out(x, ReportKind.POOR_QUALITY, "not analysable: " + "; ".join(fact.quality.reasons))
        return 0
    return fact.windows


def _current(fact: PreprocessedFact | None) -> bool:
    return fact is not None and fact.preprocessing_version == PREPROCESSING_VERSION


def _batches(recordings: Iterator[RequestedRecording]) -> Iterator[list[RequestedRecording]]:
    while batch := list(islice(recordings, BATCH)):
        yield batch
