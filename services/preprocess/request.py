"""A data set as asked for: everything that decides its content, without names of files or patients.

It is stored as `datasets/<dataset_id>/request.json`: JSON lines, a header and then one line for each
recording, so that a million of them are written and read without being held. The id is the digest of these
bytes: equal requests over equal recordings are the same data set.
"""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PartSummary, Task
from exchangeai.join_report import JoinReport
from exchangeai.recording import Sex

T = TypeVar("T")
REQUEST_VERSION = 2


class RequestedRecording(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A recording with its labels and its part; one line of the request."""

    row: int
    recording_id: str
    patient_key: str
    part: str
    labels: tuple[int, ...] = ()
    """Indices of the classes that hold."""
    values: tuple[float | None, ...] = ()
    """Numeric targets; None = no value."""
    sex: Sex | None = None
    age_years: int | None = None
    device_model: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """What all recordings of a request share."""

    version: int = REQUEST_VERSION
    name: str
    task: Task
    classes: tuple[str, ...]
    recordings: int
    seed: int
    preprocessing_version: str
    report: JoinReport
    findings_sha256: str = ""
    """Of all that was found about the rows, which the report only counts."""


def request_key(dataset_id: str) -> str:
    """Object key of the request."""
    return f"datasets/{dataset_id}/request.json"


def write_request(path: Path, request: DatasetRequest, recordings: Iterable[RequestedRecording]) -> str:
    """Write a request and return the data set's id: SHA-256, hex, of the file.

    The recordings come sorted by part (in the order of `PARTS`) and id: ids are digests, so their order
    says nothing about time or class.
    """
    encoder, digest = msgspec.json.Encoder(), hashlib.sha256()
    with path.open("wb") as file:
        for x in itertools.chain((request,), recordings):
            line = encoder.encode(x) + b"\n"
            digest.update(line)
            file.write(line)
    return digest.hexdigest()


class StoredRequest:
    """A request in a file; nothing of it but the header is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.header: DatasetRequest = _decoded(
                msgspec.json.Decoder(DatasetRequest).decode, file.readline()
            )

    def recordings(self) -> Iterator[RequestedRecording]:
        """All recordings in their order. Raises InvalidArgument when a line is malformed."""
        decode = msgspec.json.Decoder(RequestedRecording).decode
        with self._path.open("rb") as file:
            file.readline()
            for line in file:
                yield _decoded(decode, line)


def summarise(
    recordings: Iterable[RequestedRecording], classes: int, left_out: Callable[[str], bool]
) -> tuple[PartSummary, ...]:
    """Recordings, patients and positives of each part, without those left out (by id)."""
    counts: Counter[str] = Counter()
    said: Counter[tuple[str, tuple[int, ...]]] = Counter()
    positives: dict[str, Counter[int]] = {x: Counter() for x in PARTS}
    patients = {x: array("q") for x in PARTS}
    for x in recordings:
        if left_out(x.recording_id):
            continue
        counts[x.part] += 1
        said[x.part, x.labels] += 1
        if x.values:
            positives[x.part].update(i for i, v in enumerate(x.values) if v is not None)
        patients[x.part].append(hash(x.patient_key))  # 8 bytes a patient, not the key: there may be a million
    for (part, labels), n in said.items():
        positives[part].update(dict.fromkeys(labels, n))
    return tuple(
        PartSummary(
            part=part,
            recordings=counts[part],
            patients=len(np.unique(np.frombuffer(patients[part], np.int64))),
            positives=tuple(positives[part][c] for c in range(classes)),
        )
        for part in PARTS
    )


def _decoded(decode: Callable[[bytes], T], line: bytes) -> T:
    try:
        return decode(line)
    except msgspec.MsgspecError as e:
        raise InvalidArgument("the stored request of the data set is malformed") from e
