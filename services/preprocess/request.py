"""A data set as asked for: everything that decides its content, without names of files or patients.

It is stored as `datasets/<dataset_id>/request.json`; the id is the digest of these bytes, so equal requests
over equal recordings are the same data set.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from exchangeai.facts import JoinReport, PartSummary, Task
from exchangeai.recording import Sex


@dataclass(frozen=True, kw_only=True)
class RequestedRecording:
    """A recording with its labels and its part."""

    row: int
    recording_id: str
    patient_key: str
    part: str
    labels: tuple[int, ...]
    """Indices of the classes that hold."""
    sex: Sex | None = None
    age_years: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """What the builder works from."""

    version: int = 1
    name: str
    task: Task
    classes: tuple[str, ...]
    recordings: tuple[RequestedRecording, ...]
    """Sorted by part and id, which are digests: their order says nothing about time or class."""
    seed: int
    preprocessing_version: str
    report: JoinReport


def request_key(dataset_id: str) -> str:
    """Object key of the request."""
    return f"datasets/{dataset_id}/request.json"


def encode_request(request: DatasetRequest) -> bytes:
    """Canonical JSON."""
    return msgspec.json.encode(request)


def decode_request(data: bytes) -> DatasetRequest:
    """Read what `encode_request` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        return msgspec.json.decode(data, type=DatasetRequest)
    except msgspec.MsgspecError as e:
        raise InvalidArgument("the stored request of the data set is malformed") from e


def request_id(encoded: bytes) -> str:
    """The data set's id: SHA-256, hex, of the canonical request."""
    return hashlib.sha256(encoded).hexdigest()


def summarise(
    recordings: Sequence[RequestedRecording], classes: int, left_out: Collection[str] = ()
) -> tuple[PartSummary, ...]:
    """Recordings, patients and positives of each part, without those left out (by id)."""
    by_part: dict[str, list[RequestedRecording]] = defaultdict(list)
    for x in recordings:
        if x.recording_id not in left_out:
            by_part[x.part].append(x)
    return tuple(_summary(part, by_part[part], classes) for part in PARTS)


def _summary(part: str, recordings: Sequence[RequestedRecording], classes: int) -> PartSummary:
    positives = Counter(label for x in recordings for label in x.labels)
    return PartSummary(
        part=part,
        recordings=len(recordings),
        patients=len({x.patient_key for x in recordings}),
        positives=tuple(positives[c] for c in range(classes)),
    )
