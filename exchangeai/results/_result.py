"""One recorded answer, as stored and as handed to the writers of formats."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from exchangeai.errors import InvalidArgument
from exchangeai.findings import Prediction, Provenance


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a model said of a recording; nothing in it names a person."""

    recording_id: str
    prediction: Prediction
    """Of the whole recording, without its windows."""
    provenance: Provenance
    recorded_at: float
    """Seconds since the epoch, UTC."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Bytes of a file; those of one file follow one another."""

    file: str
    data: bytes


class ResultWriter(Protocol):
    """Writes results as files, a few at a time, holding no more than it must."""

    def add(self, result: Result) -> Iterable[Chunk]:
        """Take one result; returns what is ready."""
        ...

    def finish(self) -> Iterable[Chunk]:
        """What is left, once all were taken."""
        ...


def encode(result: Result) -> bytes:
    """JSON; equal results give equal bytes."""
    return msgspec.json.encode(result)


def decode(data: bytes) -> Result:
    """Read what `encode` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        return msgspec.json.decode(data, type=Result)
    except msgspec.MsgspecError as e:
        raise InvalidArgument(f"these bytes are no recorded result: {e}") from e


def recorded(result: Result) -> datetime:
    """When, to the second."""
    return datetime.fromtimestamp(int(result.recorded_at), UTC)


def identity(result: Result, part: str) -> uuid.UUID:
    """A UUID of a part of a result: always the same for the same recording, model and preprocessing."""
    origin = result.provenance
    text = f"{result.recording_id} {origin.model_digest} {origin.preprocessing_version} {part}"
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)


def file_stem(result: Result) -> str:
    """A name of files that tells recording and model apart: `<recording>_<model digest>_<preprocessing>`."""
    origin = result.provenance
    version = "".join(x if x.isalnum() else "-" for x in origin.preprocessing_version)
    return f"{result.recording_id}_{origin.model_digest[:16]}_{version}"
