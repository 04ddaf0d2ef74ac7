"""What a writer gives back, and the checks that all writers share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from exchangeai.errors import InvalidArgument
from exchangeai.recording import Lead, Recording


@dataclass(frozen=True, kw_only=True)
class Written:
    """Files by name, and what the format could not hold."""

    files: dict[str, bytes]
    notes: tuple[str, ...] = ()


def plain_name(name: str) -> str:
    """A name that is safe in every format and file system: letters, digits, `_` and `-`.

    >>> plain_name("../Öffner 12.dat")
    '_ffner_12_dat'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name.lstrip("./\\"))[:64] or "ecg"


def leads_to_write(recording: Recording) -> tuple[Lead, ...]:
    """All leads. Raises InvalidArgument when there is none with samples."""
    leads = tuple(x for x in recording.leads if x.samples.size)
    if not leads:
        raise InvalidArgument("the recording has no samples, so there is nothing to write")
    return leads


def not_kept(recording: Recording, *, annotations: bool = False, series: bool = False) -> tuple[str, ...]:
    """Notes on what a format leaves out."""
    notes: list[str] = []
    if recording.annotations and not annotations:
        notes.append(f"{len(recording.annotations)} annotations are not written in this format")
    if recording.other_series and not series:
        notes.append("median beats and further series are not written in this format")
    return tuple(notes)


def unique(names: list[str]) -> list[str]:
    """The same names, numbered where they repeat."""
    seen: dict[str, int] = {}
    out: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
