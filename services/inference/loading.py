"""From the bytes of a model's file to a session that has proven itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from exchangeai.errors import ContractViolation
from exchangeai.facts import ModelFact
from exchangeai.model_file import Manifest, model_digest
from services.inference.devices import Device
from services.inference.graph import inspect
from services.inference.sessions import Session, reproduce_golden

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model that may answer: it has reproduced its golden record in this process."""

    fact: ModelFact
    manifest: Manifest
    session: Session
    size_bytes: int = 0
    """Memory that its weights take: the file's size for each session."""


def open_model(
    data: bytes, digest: str, wanted: bool, threads: int, device: Device
) -> tuple[Manifest, Session | None]:
    """What the file says of itself, and a session that is proven and measured if one is wanted.

    Raises ContractViolation.
    """
    if model_digest(data) != digest:
        raise ContractViolation("the stored file is not the one that was published: its digest differs")
    _, manifest = inspect(data)
    if not wanted:
        return manifest, None
    session = _proven(data, manifest, threads, device)
    session.settle_width()
    return manifest, session


def _proven(data: bytes, manifest: Manifest, threads: int, device: Device) -> Session:
    """A session that reproduces the golden record, on the processor where the device does not."""
    try:
        session = Session(data, threads=threads, device=device)
        reproduce_golden(session, manifest)
        return session
    except ContractViolation as e:
        if device is Device.CPU:
            raise
        log.warning(
            "a model runs on the processor", extra={"fields": {"device": device.value, "reason": str(e)}}
        )
        return _proven(data, manifest, threads, Device.CPU)
