"""Vets a foreign model file; runs in the sandbox's child process, never in the service itself."""

from __future__ import annotations

import msgspec
import onnx

from exchangeai.errors import ContractViolation, ReaderCrashed, TooLarge
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
_OUT_OF_MEMORY = ("bad_alloc", "allocate memory", "bad allocation", "std::length_error")
_TOO_MUCH_MEMORY = "the model needs more memory than one may that answers for single ECGs"


def vet(data: bytes) -> Manifest:
    """Check a model file whole, run its golden record, return its manifest.

    Raises TooLarge or ContractViolation; the message says what is wrong with the file.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the model has {len(data)} bytes; at most {MAX_BYTES} are accepted")
    model, manifest = inspect(data)
    check_whole(model)
    refuse_unbounded(model)
    try:
        session = Session(data, threads=1)
        reproduce_golden(session, manifest)
        try_out(session, manifest)
    except ContractViolation as e:
        if e.__cause__ is not None and any(x in str(e.__cause__) for x in _OUT_OF_MEMORY):
            raise ContractViolation(_TOO_MUCH_MEMORY) from e
        raise
    return manifest


def check_whole(model: onnx.ModelProto) -> None:
    """ONNX's own checks, shapes included. Raises ContractViolation."""
    try:
        onnx.checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType]
    except Exception as e:  # the checker's C++ side raises several unrelated types
        raise ContractViolation(f"the file is not valid ONNX ({type(e).__name__})") from e


def vet_bytes(data: bytes) -> bytes:
    """`vet` for the sandbox: the manifest comes back as JSON."""
    return msgspec.json.encode(vet(data))


def read_verdict(answer: bytes) -> Manifest:
    """The manifest that `vet_bytes` answered."""
    return msgspec.json.decode(answer, type=Manifest)


def refusal(crash: ReaderCrashed) -> ContractViolation:
    """What a crash of the sandbox says of the model that was vetted in it."""
    told = str(crash)
    if "longer" in told:
        return ContractViolation(f"vetting the model took longer than it may; at most {TIMEOUT_S:g} s")
    if "memory" in told or "died" in told:
        return ContractViolation(f"{_TOO_MUCH_MEMORY}, or is made to break the process that vets it")
    return ContractViolation(f"the model cannot be vetted: {told}")
