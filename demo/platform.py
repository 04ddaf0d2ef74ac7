"""The platform that the story is told on: one that runs already, or one started for it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.rpc import open_channel
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from exchangeai.v1.preprocess_service_pb2_grpc import PreprocessServiceStub
from exchangeai.v1.training_service_pb2_grpc import TrainingServiceStub
from services.local import GRPC_SERVICES, running_platform


@dataclass(frozen=True, kw_only=True)
class Stubs:
    """The doors of the platform."""

    ingest: IngestServiceStub
    preprocess: PreprocessServiceStub
    trainer: TrainingServiceStub
    inference: InferenceServiceStub
    protocol: GRPCInferenceServiceStub
    """The Open Inference Protocol, on the address of `inference`."""


@contextmanager
def platform() -> Iterator[Stubs]:
    """Connect to EXCHANGEAI_DEMO_<SERVICE> (`host:port`) where all four are given, else start everything.

    What is started here keeps its data in a temporary folder and is gone afterwards.
    """
    given = {name: os.environ.get(f"EXCHANGEAI_DEMO_{name.upper()}", "") for name in GRPC_SERVICES}
    with ExitStack() as stack:
        if all(given.values()):
            addresses = given
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="exchangeai-demo-"))
            started = stack.enter_context(running_platform(Path(folder), say=_say))
            addresses = started.addresses
        yield connect(addresses, stack)


def connect(addresses: Mapping[str, str], stack: ExitStack) -> Stubs:
    """Stubs for the services at these addresses; the stack closes their channels."""
    channels = {name: stack.enter_context(open_channel(addresses[name])) for name in GRPC_SERVICES}
    return Stubs(
        ingest=IngestServiceStub(channels["ingest"]),
        preprocess=PreprocessServiceStub(channels["preprocess"]),
        trainer=TrainingServiceStub(channels["trainer"]),
        inference=InferenceServiceStub(channels["inference"]),
        protocol=GRPCInferenceServiceStub(channels["inference"]),
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
