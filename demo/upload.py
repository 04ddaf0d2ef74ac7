"""From files to recordings that are ready: upload through the ingest service, wait for preprocessing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.progress import Progress
from demo.records import Record
from demo.wfdb_files import write_wfdb
from exchangeai.rpc import invoke
from exchangeai.rpc.upload import Uploads
from exchangeai.v1 import ingest_service_pb2 as ingest
from exchangeai.v1 import recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub

BATCH = 40
"""Records in one call."""


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What became of the files."""

    ids: dict[str, str]
    """Recording id for each record's name; unreadable ones are absent."""
    problems: tuple[str, ...]
    """Why a file could not be read, each reason once."""


def upload(stub: IngestServiceStub, records: Sequence[Record], folder: Path) -> Uploaded:
    """Write each batch of records as WFDB files into `folder` and send it."""
    uploads = Uploads(stub)
    ids: dict[str, str] = {}
    problems: set[str] = set()
    with Progress("upload", len(records)) as bar:
        for start in range(0, len(records), BATCH):
            files = [path for r in records[start : start + BATCH] for path in write_wfdb(folder, r)]
            for result in uploads.send({x.name: x.read_bytes() for x in files}):
                if result.readable:
                    ids[Path(result.file_names[0]).stem] = result.recording_id
                else:
                    problems.add(result.message)
            bar.update(start + BATCH, f"{len(ids)} recordings")
    return Uploaded(ids=ids, problems=tuple(sorted(problems)))


def wait_until_preprocessed(stub: IngestServiceStub, count: int, *, stall_s: float = 120) -> int:
    """Wait until no recording is pending; return how many failed. TimeoutError when nothing moves."""
    pending, moved_at = count, time.monotonic()
    with Progress("preprocess", count) as bar:
        while pending:
            now = _count(stub, recording_pb2.PREPROCESSING_STATE_PENDING)
            if now < pending:
                pending, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > stall_s:
                raise TimeoutError(
                    f"{pending} recordings are not preprocessed and nothing has moved for {stall_s:.0f} s"
                )
            bar.update(count - pending)
            time.sleep(0.5 if pending else 0)
    return _count(stub, recording_pb2.PREPROCESSING_STATE_FAILED)


def _count(stub: IngestServiceStub, state: recording_pb2.PreprocessingState) -> int:
    request = ingest.ListRequest(page_size=1, filter=ingest.ListFilter(preprocessing_state=state))
    response: ingest.ListResponse = invoke(stub.List, request)
    return response.total
