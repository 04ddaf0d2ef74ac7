"""IngestService: messages to values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import grpc

from exchangeai.errors import NotFound
from exchangeai.facts import RecordingFact
from exchangeai.recording import Lead
from exchangeai.rpc.convert import deletion_to_proto, read_options_from_proto, recording_to_proto
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1 import recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceServicer
from services.ingest.catalogue import Catalogue
from services.ingest.erasure import Erasure
from services.ingest.export import Export, Exported
from services.ingest.index import State, Wanted
from services.ingest.ingest import Ingest, Outcome
from services.ingest.receiving import Hall, Reception

_SAMPLES_PER_MESSAGE = 1 << 16
_CHUNK_BYTES = 1 << 20
Context = grpc.aio.ServicerContext[Any, Any]


class IngestServicer(IngestServiceServicer):
    """One method per call; the guard carries errors."""

    def __init__(
        self, ingest: Ingest, erasure: Erasure, export: Export, catalogue: Catalogue, hall: Hall
    ) -> None:
        self._ingest = ingest
        self._erasure = erasure
        self._export = export
        self._catalogue = catalogue
        self._hall = hall

    async def Upload(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request_iterator: AsyncIterator[pb.UploadRequest], context: Context
    ) -> pb.UploadResponse:
        """Collect the files, then ingest them."""
        with Reception(self._hall) as reception:
            async for part in request_iterator:
                if part.HasField("file"):
                    start = part.file
                    reception.begin(start.name, start.size_bytes, read_options_from_proto(start.options))
                else:
                    reception.add(part.chunk)
            outcomes = await self._ingest.upload(reception.finish())
        await self._catalogue.caught_up(*(x.fact.recording_id for x in outcomes if x.fact.recording_id))
        return pb.UploadResponse(results=[await self._result(x) for x in outcomes])

    async def Get(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.GetRequest, context: Context
    ) -> pb.GetResponse:
        """One recording."""
        return pb.GetResponse(recording=recording_to_proto(*await self._ingest.get(request.recording_id)))

    async def List(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.ListRequest, context: Context
    ) -> pb.ListResponse:
        """A page."""
        page = await self._catalogue.page(_wanted(request.filter), request.page_size, request.page_token)
        return pb.ListResponse(
            recordings=[recording_to_proto(*x) for x in page.recordings],
            next_page_token=page.next_token,
            total=page.total,
        )

    async def GetSignal(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.GetSignalRequest, context: Context
    ) -> AsyncIterator[pb.GetSignalResponse]:
        """Lead by lead, in pieces."""
        recording = await self._ingest.signal(request.recording_id)
        unknown = set(request.leads) - {x.name for x in recording.leads}
        if unknown:
            raise NotFound(f"the recording has no lead {', '.join(sorted(unknown))}")
        for index, lead in enumerate(recording.leads):
            if not request.leads or lead.name in request.leads:
                for piece in _pieces(index, lead):
                    yield piece

    async def Delete(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.DeleteRequest, context: Context
    ) -> pb.DeleteResponse:
        """Remove a recording."""
        deletion = deletion_to_proto(await self._erasure.delete(request.recording_id))
        return pb.DeleteResponse(dataset_ids=deletion.dataset_ids, deletion=deletion)

    async def GetDeletion(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.GetDeletionRequest, context: Context
    ) -> pb.GetDeletionResponse:
        """What became of a removed recording."""
        deletion = await self._erasure.deletion(request.recording_id)
        return pb.GetDeletionResponse(deletion=deletion_to_proto(deletion))

    async def Export(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.ExportRequest, context: Context
    ) -> AsyncIterator[pb.ExportResponse]:
        """Recordings as files."""
        found = self._export.files(request.recording_ids, _wanted(request.filter), request.format)
        async with aclosing(found) as exported:
            async for one in exported:
                for part in _parts(one):
                    yield part

    async def _result(self, outcome: Outcome) -> pb.UploadResult:
        fact: RecordingFact = outcome.fact
        done = (await self._ingest.get(fact.recording_id))[1] if outcome.duplicate else None
        return pb.UploadResult(
            file_names=outcome.file_names,
            recording=recording_to_proto(fact, done),
            duplicate=outcome.duplicate,
        )


def _pieces(index: int, lead: Lead) -> list[pb.GetSignalResponse]:
    samples = lead.samples.astype("<f4", copy=False)
    return [
        pb.GetSignalResponse(
            lead=lead.name,
            lead_index=index,
            sampling_rate_hz=lead.sampling_rate_hz,
            sample_offset=start,
            samples=samples[start : start + _SAMPLES_PER_MESSAGE].tobytes(),
            unit=lead.unit,
            derived=lead.derived,
        )
        for start in range(0, max(1, samples.size), _SAMPLES_PER_MESSAGE)
    ]


def _parts(exported: Exported) -> Iterator[pb.ExportResponse]:
    written, recording_id = exported.written, exported.recording_id
    if written is None:
        yield pb.ExportResponse(problem=pb.ExportProblem(recording_id=recording_id, message=exported.problem))
        return
    for name, data in written.files.items():
        yield pb.ExportResponse(
            file=pb.ExportedFile(name=name, recording_id=recording_id, notes=written.notes)
        )
        for start in range(0, len(data), _CHUNK_BYTES):
            yield pb.ExportResponse(chunk=data[start : start + _CHUNK_BYTES])


_READABLE: frozenset[State] = frozenset({"pending", "done", "failed"})
_STATES: dict[int, frozenset[State]] = {
    recording_pb2.RECORDING_STATE_READABLE: _READABLE,
    recording_pb2.RECORDING_STATE_UNREADABLE: frozenset({"unreadable"}),
}
_STAGES: dict[int, frozenset[State]] = {
    recording_pb2.PREPROCESSING_STATE_PENDING: frozenset({"pending"}),
    recording_pb2.PREPROCESSING_STATE_DONE: frozenset({"done"}),
    recording_pb2.PREPROCESSING_STATE_FAILED: frozenset({"failed"}),
}


def _wanted(message: pb.ListFilter) -> Wanted:
    asked = [
        x for x in (_STATES.get(message.state), _STAGES.get(message.preprocessing_state)) if x is not None
    ]
    return Wanted(
        states=frozenset[State].intersection(*asked) if asked else None,
        format=message.format or None,
        patient_key=message.patient_key or None,
        has_warnings=message.has_warnings if message.HasField("has_warnings") else None,
    )
