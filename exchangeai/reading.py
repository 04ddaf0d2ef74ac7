"""`read_ecg`: every ECG that files, folders, archives or bytes hold, for notebooks and the command line.

Reads in this process. Services read untrusted bytes through `exchangeai.formats.sandboxed` instead.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast

from exchangeai.archives import groups_of
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound, UnknownFormat
from exchangeai.formats import ReadOptions, ReadResult, group_files, members_of, read_records
from exchangeai.recording import Recording

Source = str | os.PathLike[str] | bytes | Mapping[str, bytes] | Iterable[str | os.PathLike[str]]
_NAMELESS = "ecg"
_MAX_COMPANION_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """What became of one record among the files."""

    files: tuple[str, ...]
    """Names of its files; members of archives as `archive.zip/folder/member`."""
    results: tuple[ReadResult, ...] = ()
    error: ExchangeaiError | None = None
    """Why there are no results."""


def read_ecg(
    source: Source,
    *,
    strict: bool = False,
    **what_the_file_does_not_say: Any,
) -> list[Recording]:
    """Read all ECGs of a path, of bytes, of several paths, or of files given as name -> bytes.

    A path to one file of a multi-file record takes the others from beside it; a folder is read whole.
    Leads are in millivolts (`Recording.signal(name)`), NaN where the file has no value. Everything odd
    is in `Recording.warnings`; `strict` refuses truncated files and wrong checksums instead.

    `what_the_file_does_not_say` is never guessed: `sampling_rate_hz`, `unit` (V, mV, uV),
    `unit_multiple`, `leads` (names in the order of the columns).

    Raises subclasses of `exchangeai.errors.ExchangeaiError`: the reason of the first unreadable record
    when there is no readable one (or, when strict, no matter what else is readable).
    """
    options = read_options(strict=strict, **what_the_file_does_not_say)
    reports = read_each(source, options)
    results = [x.recording for report in reports for x in report.results]
    # Beside ECGs, files that are none (a README in an archive) are no failure.
    failed = [x.error for x in reports if x.error is not None]
    serious = [x for x in failed if not isinstance(x, UnknownFormat)]
    if failed and (not results or (strict and serious)):
        raise (serious or failed)[0]
    return results


def read_each(source: Source, options: ReadOptions) -> list[SourceReport]:
    """Read all records one by one; one that cannot be read is a report with an error."""
    return list(iterate_each(source, options))


def iterate_each(source: Source, options: ReadOptions) -> Iterator[SourceReport]:
    """As `read_each`, a record at a time: of large archives and folders only that is in memory."""
    for group in groups_of(load(source)):
        if group.error is not None:
            yield SourceReport(files=group.names, error=group.error)
            continue
        try:
            results = read_records(group.files, options)
            yield SourceReport(files=group.names, results=tuple(results))
        except ExchangeaiError as e:
            yield SourceReport(files=group.names, error=e)


def read_options(**stated: Any) -> ReadOptions:
    """Options by keyword. Raises InvalidArgument for words and values that there are not."""
    known = set(ReadOptions.__dataclass_fields__)
    unknown = sorted(set(stated) - known)
    if unknown:
        raise InvalidArgument(
            f"there is no option {', '.join(unknown)}; options are {', '.join(sorted(known))}"
        )
    unit = stated.get("unit")
    if unit not in (None, "V", "mV", "uV"):
        raise InvalidArgument(f"unit must be V, mV or uV, not {unit!r}")
    if "leads" in stated:
        stated["leads"] = tuple(str(x) for x in stated["leads"] or ())
    return ReadOptions(**stated)


def load(source: Source) -> dict[str, bytes]:
    """The bytes of a source by file name. Raises NotFound for a path that is none."""
    if isinstance(source, bytes | bytearray | memoryview):
        return {_NAMELESS: bytes(source)}
    if isinstance(source, Mapping):
        return dict(cast(Mapping[str, bytes], source))
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source))
    files: dict[str, bytes] = {}
    for path in source:
        files |= _from_path(Path(path), alone=True)
    return files


def _from_path(path: Path, *, alone: bool = False) -> dict[str, bytes]:
    if path.is_dir():
        return {str(x.relative_to(path)): x.read_bytes() for x in sorted(path.rglob("*")) if x.is_file()}
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    files = {path.name: path.read_bytes()}
    if alone:
        return files
    header = path.name if members_of(files[path.name]) is not None else _header_of(path)
    if header is None:
        return files
    # Only plain names come back from `members_of`: nothing outside the folder is opened.
    wanted = [header]
    while wanted:
        name = wanted.pop()
        beside = path.with_name(name)
        if beside.is_file() and (name not in files or name == header):
            files[name] = beside.read_bytes()
            wanted += [x for x in members_of(files[name]) or () if x not in files]
    stem = PurePath(header).stem
    for beside in path.parent.glob(f"{glob.escape(stem)}.*"):
        if beside.is_file() and beside.name not in files and beside.stat().st_size <= _MAX_COMPANION_BYTES:
            files[beside.name] = beside.read_bytes()
    mine = next(x for x in group_files(list(files), files) if path.name in x)
    return {x: files[x] for x in mine}


def _header_of(path: Path) -> str | None:
    """The WFDB header beside a file that names it as its signal file; one of the same stem first."""
    headers = sorted(path.parent.glob("*.hea"), key=lambda x: (x.stem != path.stem, x.name))
    return next((x.name for x in headers if path.name in (members_of(x.read_bytes()) or ())), None)
