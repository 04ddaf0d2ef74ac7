"""Recorded results from the inference service, as files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exchangeai.errors import ContractViolation
from exchangeai.results import Chunk
from exchangeai.rpc.client import open_channel, stream
from exchangeai.rpc.serving import format_to_proto
from exchangeai.v1 import inference_service_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub

TIMEOUT_S = 24 * 3600.0


def export_results(
    address: str, format_name: str, *, recording_id: str = "", model_name: str = "", model_version: int = 0
) -> Iterator[Chunk]:
    """The files of a format from the service at `host:port`; those of one file follow one another.

    Empty and 0 do not restrict. Raises what the service raises, and ContractViolation when it names a file
    that would not lie in the folder.
    """
    wanted = inference_service_pb2.ResultFilter(
        recording_id=recording_id, model_name=model_name, model_version=model_version
    )
    request = inference_service_pb2.ExportResultsRequest(filter=wanted, format=format_to_proto(format_name))
    file = ""
    with open_channel(address) as channel:
        stub: Any = InferenceServiceStub(channel)
        for part in stream(stub.ExportResults, request, timeout_s=TIMEOUT_S):
            file = part.file_name or file
            if not file or file.startswith(".") or set(file) & set("/\\\0"):
                raise ContractViolation("the service named a file that is no plain name; nothing was written")
            yield Chunk(file=file, data=part.chunk)
