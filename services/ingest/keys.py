"""Where ingest keeps what: keys in the object store, and the link from a recording back to its source."""

from __future__ import annotations

import msgspec


class Link(msgspec.Struct, frozen=True):
    """The way back from a recording to its source, for the site alone: it never leaves `sources`."""

    file_names: list[str]
    patient_id: str | None
    record_id: str | None = None
    source_id: str = ""
    """Where the bytes lie, when one source holds several recordings; empty: beside this link."""


def recording_key(recording_id: str) -> str:
    """The recording itself."""
    return f"recordings/{recording_id}.npz"


def source_prefix(recording_id: str) -> str:
    """The folder of a source's bytes and links."""
    return f"sources/{recording_id}/"


def link_key(recording_id: str) -> str:
    """The recording's link."""
    return f"{source_prefix(recording_id)}link.json"
