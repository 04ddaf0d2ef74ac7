"""File formats, one per module: `read_ecg` turns untrusted bytes into a de-identified recording.

A plug-in is a module here with `RANK` (sniffers with a magic number come first), `sniff(files)` and
`read(files, options)`; its file name is the format's name. Formats are told by content, never by name.
Services read through `exchangeai.formats.sandboxed`, never in their own process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from exchangeai.errors import EmptyFile, ExchangeError, InvalidHeader, ReaderCrashed, UnknownFormat
from exchangeai.formats._options import ReadOptions, ReadResult, Unit
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._wfdb_header import companion, members_of
from exchangeai.plugins import modules_in
from exchangeai.recording import Lead, Recording, source_digest

__all__ = ["ReadOptions", "ReadResult", "Unit", "group_files", "read_ecg", "readers"]

_HEAD_BYTES = 1 << 16
_MAX_LEADS = 1024
_DEFAULTS = ReadOptions()


@cache
def readers() -> dict[str, ModuleType]:
    """The format plug-ins by name, in the order in which they look at a file."""
    found = modules_in(__name__)
    plugins = {name: x for name, x in found.items() if hasattr(x, "sniff")}
    return dict(sorted(plugins.items(), key=lambda item: (item[1].RANK, item[0])))


def read_ecg(files: Mapping[str, bytes] | Path, options: ReadOptions = _DEFAULTS) -> ReadResult:
    """Read one record, de-identified: `patient_key` is None and the raw identifier is apart.

    `files` holds all files of the record by name, or is the path of one (for a WFDB record, of its
    header or signal file). Raises subclasses of UnreadableFile and nothing else.
    """
    if isinstance(files, Path):
        files = _from_disk(files)
    if not files or not any(files.values()):
        raise EmptyFile("the upload holds no bytes; check that the export finished, then send it again")
    name, reader = _recognise(files)
    try:
        result: ReadResult = reader.read(files, options)
        recording = dataclasses.replace(
            _checked(result.recording), format=name, source_digest=source_digest(files)
        )
    except ExchangeError:
        raise
    except MemoryError as e:
        raise ReaderCrashed("reading the file needs more memory than a reader may use") from e
    except Exception as e:
        # Parsers of damaged headers fail in any way they like; for the caller it is one thing.
        raise InvalidHeader(
            f"the file looks like {name} but its header or data contradict the format "
            f"({type(e).__name__}); export it again from its source"
        ) from e
    return ReadResult(recording=recording, identifiers=result.identifiers)


def group_files(names: Sequence[str], heads: Mapping[str, bytes]) -> list[tuple[str, ...]]:
    """Put the files of multi-file records together, in the order of each record's first file.

    `heads` holds each file's bytes, or at least the first 64 KiB. A WFDB header takes the signal files
    that it names and unrecognised binary files of its own stem (annotations); any other file is a record.
    """
    owner: dict[str, str] = {}
    for name in names:
        members = members_of(heads[name][:_HEAD_BYTES])
        for member in members if members else ():
            if member != name and member in heads and member not in owner:
                owner[member] = name
                owner[name] = name
    for name in names:
        head = heads[name][:_HEAD_BYTES]
        for header in set(owner.values()):
            if name not in owner and companion(header, name, head) and not _claimed({name: head}):
                owner[name] = header
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(owner.get(name, name), []).append(name)
    return [tuple(x) for x in groups.values()]


def _recognise(files: Mapping[str, bytes]) -> tuple[str, ModuleType]:
    for name, reader in readers().items():
        if reader.sniff(files):
            return name, reader
    raise UnknownFormat(
        f"no reader recognises the content (readers: {', '.join(sorted(readers()))}); a WFDB signal file "
        "must be sent together with its .hea header"
    )


def _claimed(files: Mapping[str, bytes]) -> bool:
    return any(reader.sniff(files) for reader in readers().values())


def _checked(recording: Recording) -> Recording:
    warnings = list(recording.warnings)
    if len(recording.leads) > _MAX_LEADS:
        raise InvalidHeader(f"the file holds {len(recording.leads)} leads; at most {_MAX_LEADS} are read")
    leads: list[Lead] = []
    for lead in recording.leads:
        rate_hz = checked_rate(lead.sampling_rate_hz)
        samples = np.ascontiguousarray(lead.samples_mv, np.float32)
        infinite = np.isinf(samples)
        if infinite.any():
            samples = np.where(infinite, np.float32(np.nan), samples)
            warnings.append(f"lead {len(leads) + 1} held infinite values; they count as missing")
        leads.append(dataclasses.replace(lead, samples_mv=samples, sampling_rate_hz=rate_hz))
    if not any(x.samples_mv.size for x in leads):
        raise EmptyFile("the file is readable but holds no ECG samples")
    seen: set[str] = set()
    for lead in leads:
        if lead.name in seen:
            warnings.append("two leads carry the same name; both are kept, the first is used")
        seen.add(lead.name)
    return dataclasses.replace(recording, leads=tuple(leads), warnings=tuple(dict.fromkeys(warnings)))


def _from_disk(path: Path) -> dict[str, bytes]:
    header = path.with_suffix(".hea")
    members = members_of(path.read_bytes()[:_HEAD_BYTES])
    if members is None and header.is_file() and header != path:
        named = members_of(header.read_bytes()[:_HEAD_BYTES]) or ()
        path, members = (header, named) if path.name in named else (path, None)
    siblings = [path.with_name(x) for x in members or ()]
    return {x.name: x.read_bytes() for x in [path, *siblings] if x.is_file()}
