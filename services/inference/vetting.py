"""Vets a foreign model file; runs in the sandbox's child process, never in the service itself."""

from __future__ import annotations

import msgspec
import onnx

from exchangeai.errors import ContractViolation, TooLarge
from exchangeai.model_file import Manifest
from services.inference.graph import inspect
from services.inference.graph_sizes import refuse_unbounded
from services.inference.sessions import Session, reproduce_golden
from services.inference.trial import try_out

MAX_BYTES = 512 * 1024 * 1024
TARGET = "services.inference.vetting:vet_bytes"
"""What `exchangeai.sandbox.Sandbox` is to run."""
TIMEOUT_S = 60.0
MEMORY_BYTES = 4 * 1024**3


def vet(data: bytes) -> Manifest:
    """Check a model file whole, run its golden record, return its manifest.

    Raises TooLarge or ContractViolation; the message says what is wrong with the file.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the model has {len(data)} bytes; at most {MAX_BYTES} are accepted")
    model, manifest = inspect(data)
    try:
        onnx.checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType]
    except Exception as e:  # the checker's C++ side raises several unrelated types
        raise ContractViolation(f"the file is not valid ONNX ({type(e).__name__})") from e
    refuse_unbounded(model)
    session = Session(data, threads=1)
    reproduce_golden(session, manifest)
    try_out(session, manifest)
    return manifest


def vet_bytes(data: bytes) -> bytes:
    """`vet` for the sandbox: the manifest comes back as JSON."""
    return msgspec.json.encode(vet(data))


def read_verdict(answer: bytes) -> Manifest:
    """The manifest that `vet_bytes` answered."""
    return msgspec.json.decode(answer, type=Manifest)
