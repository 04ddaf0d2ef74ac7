"""Calls of the ingest service for tests: files up, messages back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from exchangeai.rpc import invoke, stream
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1 import recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
SECRET = "5a" * 32
EDF = GOLDEN / "edf/E07500_12lead_edfplus.edf"
DICOM = GOLDEN / "dicom/waveform_ecg.dcm"
WFDB = [GOLDEN / "wfdb/00004_hr.hea", GOLDEN / "wfdb/00004_hr.dat"]


def parts(
    files: dict[str, bytes], announced: int | None = None, stated: recording_pb2.ReadOptions | None = None
) -> Iterator[pb.UploadRequest]:
    for name, data in files.items():
        size = len(data) if announced is None else announced
        yield pb.UploadRequest(file=pb.FileStart(name=name, size_bytes=size, options=stated))
        for at in range(0, len(data), 1 << 16):
            yield pb.UploadRequest(chunk=data[at : at + (1 << 16)])


async def upload(
    stub: IngestServiceStub,
    files: dict[str, bytes],
    announced: int | None = None,
    stated: recording_pb2.ReadOptions | None = None,
) -> list[pb.UploadResult]:
    answer = await asyncio.to_thread(invoke, stub.Upload, parts(files, announced, stated), timeout_s=30)
    return list(answer.results)


async def call(method: Any, request: Message) -> Any:
    return await asyncio.to_thread(invoke, method, request, timeout_s=10)


async def signal(stub: IngestServiceStub, recording_id: str, *leads: str) -> list[pb.GetSignalResponse]:
    request = pb.GetSignalRequest(recording_id=recording_id, leads=leads)
    return await asyncio.to_thread(lambda: list(stream(stub.GetSignal, request, timeout_s=10)))


def contents(*paths: Path) -> dict[str, bytes]:
    return {x.name: x.read_bytes() for x in paths}
