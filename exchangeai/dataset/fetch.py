"""Bring a data set from the store into a folder, checked against its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from exchangeai.dataset.manifest import DatasetManifest, decode_manifest, manifest_key
from exchangeai.errors import ContractViolation


class FileSource(Protocol):
    """What `download` needs of a store (`exchangeai.store.BlockingStore` has it)."""

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises NotFound."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, which appears whole or not at all."""
        ...


def download(store: FileSource, dataset_id: str, folder: Path) -> DatasetManifest:
    """Bring a data set into `folder`, keeping files that are already there and whole.

    Several processes may do so at once: each file appears under its name by one rename. Raises NotFound
    when the data set has no manifest (it is not complete), ContractViolation when a digest is wrong.
    """
    manifest = decode_manifest(store.get(manifest_key(dataset_id)))
    folder.mkdir(parents=True, exist_ok=True)
    for stored in manifest.parts.values():
        for shard in stored.shards:
            name = shard.key.rpartition("/")[2]
            if _digest(folder / name) == shard.sha256:
                continue
            store.get_file(shard.key, folder / name)
            if _digest(folder / name) != shard.sha256:
                raise ContractViolation(f"the shard {name} differs from the data set's manifest")
    return manifest


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
