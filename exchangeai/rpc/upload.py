"""Files to the ingest service: one call for several records, and what became of each."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from exchangeai.formats import ReadOptions
from exchangeai.rpc.client import invoke, open_channel
from exchangeai.v1 import ingest_service_pb2, recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub

_CHUNK_BYTES = 1 << 20
_UNITS: dict[str | None, recording_pb2.Unit] = {
    None: recording_pb2.UNIT_UNSPECIFIED,
    "V": recording_pb2.UNIT_VOLT,
    "mV": recording_pb2.UNIT_MILLIVOLT,
    "uV": recording_pb2.UNIT_MICROVOLT,
}
_NOTHING_STATED = ReadOptions()


@dataclass(frozen=True, kw_only=True)
class UploadedRecord:
    """What became of one record."""

    file_names: tuple[str, ...]
    recording_id: str = ""
    """Empty for a member of an archive that could not be unpacked."""
    readable: bool = False
    duplicate: bool = False
    """These bytes were known."""
    same_signal_as: str = ""
    """Id of an earlier recording of the same ECG in another file; empty for none."""
    format: str = ""
    leads: tuple[str, ...] = ()
    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()
    reason: str = ""
    """A stable word, of an unreadable one."""
    message: str = ""


class Uploads:
    """The door of the ingest service for files; safe to use from several threads."""

    def __init__(self, stub: IngestServiceStub, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._stub: Any = stub
        self._metadata = metadata

    def check(self, *, timeout_s: float = 10) -> None:
        """Raises Unavailable where no ingest service answers, or what it raises."""
        invoke(self._stub.List, ingest_service_pb2.ListRequest(page_size=1), timeout_s=timeout_s)

    def send(
        self, files: Mapping[str, bytes], options: ReadOptions = _NOTHING_STATED, *, timeout_s: float = 120
    ) -> list[UploadedRecord]:
        """Send files by plain name; several records may be among them.

        Raises the server's errors: Overloaded and Unavailable (send again, it is safe), InvalidArgument and
        TooLarge (nothing of the call was taken). An unreadable record is a result.
        """
        response: ingest_service_pb2.UploadResponse = invoke(
            self._stub.Upload, _parts(files, options), timeout_s=timeout_s, metadata=self._metadata
        )
        return [_uploaded(x) for x in response.results]


@contextmanager
def open_uploads(address: str) -> Generator[Uploads]:
    """A connection to the ingest service at `host:port`."""
    with open_channel(address) as channel:
        yield Uploads(IngestServiceStub(channel))


def read_options_to_proto(options: ReadOptions) -> recording_pb2.ReadOptions:
    """What files do not say."""
    return recording_pb2.ReadOptions(
        sampling_rate_hz=options.sampling_rate_hz or 0,
        unit=_UNITS[options.unit],
        unit_multiple=options.unit_multiple,
        leads=options.leads,
        strict=options.strict,
    )


def _parts(files: Mapping[str, bytes], options: ReadOptions) -> Iterator[ingest_service_pb2.UploadRequest]:
    stated = read_options_to_proto(options)
    for name, content in files.items():
        start = ingest_service_pb2.FileStart(name=name, size_bytes=len(content), options=stated)
        yield ingest_service_pb2.UploadRequest(file=start)
        for at in range(0, len(content), _CHUNK_BYTES):
            yield ingest_service_pb2.UploadRequest(chunk=content[at : at + _CHUNK_BYTES])


def _uploaded(result: ingest_service_pb2.UploadResult) -> UploadedRecord:
    recording = result.recording
    return UploadedRecord(
        file_names=tuple(result.file_names),
        recording_id=recording.recording_id,
        readable=recording.state == recording_pb2.RECORDING_STATE_READABLE,
        duplicate=result.duplicate,
        same_signal_as=recording.same_signal_as,
        format=recording.format,
        leads=tuple(x.name for x in recording.leads),
        duration_s=recording.duration_s,
        warnings=tuple(recording.warnings),
        reason=recording.error.reason,
        message=recording.error.message,
    )
