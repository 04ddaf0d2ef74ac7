"""The manifest of a data set: what its shards are, and everything about it that is not its windows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.join_report import JoinReport

MANIFEST_FILE = "manifest.json"
"""Beside the shards, in the store and in a folder."""
MANIFEST_VERSION = 1
PARTS = ("train", "validation", "test")
_SHARD_NAME = re.compile(r"(?:train|validation|test)-[0-9]{5}\.arrow")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One stored shard."""

    key: str
    sha256: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class PartManifest:
    """One part; rows are windows."""

    shards: tuple[Shard, ...] = ()
    recordings: int = 0
    patients: int = 0
    positives: tuple[int, ...] = ()
    """Recordings of each class, in class order; of numeric targets those that have a value."""

    @property
    def rows(self) -> int:
        """Windows in all shards."""
        return sum(x.rows for x in self.shards)


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """Everything about a data set that is not its windows."""

    version: int = MANIFEST_VERSION
    dataset_id: str
    name: str
    task: Task
    classes: tuple[str, ...]
    """In label order; the names of the targets when the task is regression."""
    parts: dict[str, PartManifest]
    """Keys: `train`, `validation`, `test`; each is there, perhaps without shards."""
    preprocessing_version: str
    code_version: str
    seed: int
    report: JoinReport = field(default_factory=JoinReport)


def manifest_key(dataset_id: str) -> str:
    """Object key of the manifest."""
    return f"datasets/{dataset_id}/{MANIFEST_FILE}"


def shard_key(dataset_id: str, part: str, index: int) -> str:
    """Object key of a shard."""
    return f"datasets/{dataset_id}/{part}-{index:05d}.arrow"


def encode_manifest(manifest: DatasetManifest) -> bytes:
    """JSON, UTF-8; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(data: bytes) -> DatasetManifest:
    """Read and check a manifest. Raises ContractViolation, which says what is wrong."""
    try:
        manifest = msgspec.json.decode(data, type=DatasetManifest)
    except msgspec.MsgspecError as e:
        raise ContractViolation(f"the data set's manifest is malformed: {e}") from e
    if manifest.version != MANIFEST_VERSION:
        raise ContractViolation(
            f"the data set's manifest has version {manifest.version}; this program reads {MANIFEST_VERSION}"
        )
    if set(manifest.parts) != set(PARTS) or not manifest.classes:
        raise ContractViolation(
            f"the data set's manifest must name its classes and the parts {', '.join(PARTS)}"
        )
    for part, stored in manifest.parts.items():
        for shard in stored.shards:
            name = shard.key.rpartition("/")[2]
            if not _SHARD_NAME.fullmatch(name) or not name.startswith(part):
                raise ContractViolation(f"the data set's manifest names a shard of {part} that is none")
    return manifest
