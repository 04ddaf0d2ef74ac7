"""File formats, one per module: `read_records` turns untrusted bytes into recordings.

A plug-in is a module here with `RANK` (sniffers with a magic number come first), `sniff(files) -> bool`
and `read(files, options) -> list[ReadResult]`; its file name is the format's name. Formats are told by
content, never by name. Services read through `exchangeai.formats.sandboxed`, never in their own process;
people through `exchangeai.read_ecg`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType

import numpy as np

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, ReaderCrashed, UnknownFormat
from exchangeai.formats._options import ReadOptions, ReadResult, Unit
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._wfdb_header import members_of
from exchangeai.formats._wfdb_members import records_among
from exchangeai.plugins import modules_in
from exchangeai.recording import Lead, Recording, record_digest, source_digest

__all__ = ["ReadOptions", "ReadResult", "Unit", "group_files", "members_of", "read_records", "readers"]

_HEAD_BYTES = 1 << 16
_MAX_LEADS = 1024
_DEFAULTS = ReadOptions()


@cache
def readers() -> dict[str, ModuleType]:
    """The format plug-ins by name, in the order in which they look at a file."""
    found = modules_in(__name__)
    plugins = {name: x for name, x in found.items() if hasattr(x, "sniff")}
    return dict(sorted(plugins.items(), key=lambda item: (item[1].RANK, item[0])))


def read_records(files: Mapping[str, bytes], options: ReadOptions = _DEFAULTS) -> list[ReadResult]:
    """Read what one source holds: a file, or all files of a multi-file record, by name.

    That is one recording, or several from a container such as HDF5, whose ids are then digests of the
    source and their position. Identifiers are apart from the recordings. Raises subclasses of
    UnreadableFile and nothing else.
    """
    if not files or not any(files.values()):
        raise EmptyFile("the upload holds no bytes; check that the export finished, then send it again")
    name, reader = _recognise(files)
    try:
        results: list[ReadResult] = reader.read(files, options)
        if not results:
            raise EmptyFile(f"the file is readable as {name} but holds no recording")
        digest = source_digest(files)
        ids = [digest] if len(results) == 1 else [record_digest(digest, i) for i in range(len(results))]
        return [
            ReadResult(recording=_checked(x.recording, name, at), identifiers=x.identifiers)
            for x, at in zip(results, ids, strict=True)
        ]
    except ExchangeaiError:
        raise
    except MemoryError as e:
        raise ReaderCrashed("reading the file needs more memory than a reader may use") from e
    except Exception as e:
        # Parsers of damaged headers fail in any way they like; for the caller it is one thing.
        raise InvalidHeader(
            f"the file looks like {name} but its header or data contradict the format "
            f"({type(e).__name__}); export it again from its source"
        ) from e


def group_files(names: Sequence[str], heads: Mapping[str, bytes]) -> list[tuple[str, ...]]:
    """Put the files of multi-file records together, in the order of each record's first file.

    `heads` holds each file's bytes, or at least the first 64 KiB. A WFDB header takes the files that it names
    from its folder, through the segments of a multi-segment record, and unrecognised binary files of its own
    stem (annotations); a signal file that several headers name belongs to each. Any other file is a record.
    """
    groups = records_among(names, heads, lambda name: _claimed({name: heads[name][:_HEAD_BYTES]}))
    if not groups:
        return [(x,) for x in names]
    taken = {x for group in groups for x in group}
    groups += [(x,) for x in names if x not in taken]
    place = {name: i for i, name in enumerate(names)}
    return sorted((tuple(sorted(x, key=place.__getitem__)) for x in groups), key=lambda x: place[x[0]])


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


def _checked(recording: Recording, format_name: str, digest: str) -> Recording:
    warnings = list(recording.warnings)
    if len(recording.leads) > _MAX_LEADS:
        raise InvalidHeader(f"the file holds {len(recording.leads)} leads; at most {_MAX_LEADS} are read")
    leads = _checked_leads(recording.leads, warnings)
    if not any(x.samples.size for x in leads) and not recording.annotations:
        raise EmptyFile("the file is readable but holds no samples")
    if len({x.name for x in leads}) < len(leads):
        warnings.append("two leads carry the same name; both are kept, the first is used")
    series = tuple(
        dataclasses.replace(x, leads=_checked_leads(x.leads, warnings)) for x in recording.other_series
    )
    return dataclasses.replace(
        recording,
        format=format_name,
        source_digest=digest,
        leads=leads,
        other_series=series,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _checked_leads(leads: Sequence[Lead], warnings: list[str]) -> tuple[Lead, ...]:
    checked: list[Lead] = []
    for lead in leads:
        rate_hz = checked_rate(lead.sampling_rate_hz)
        samples = np.ascontiguousarray(lead.samples, np.float32)
        # A finite sum has no infinite term, and is found in one pass.
        if not math.isfinite(samples.sum()) and (infinite := np.isinf(samples)).any():
            samples = np.where(infinite, np.float32(np.nan), samples)
            warnings.append(f"lead {len(checked) + 1} held infinite values; they count as missing")
        same = samples is lead.samples and rate_hz == lead.sampling_rate_hz
        checked.append(lead if same else dataclasses.replace(lead, samples=samples, sampling_rate_hz=rate_hz))
    return tuple(checked)
