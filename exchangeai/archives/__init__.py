"""Archives of ECG files: zip, tar, tar.gz and gzip, also one within another, read record by record in memory.

Archives are told by content. Nothing is ever written to disk, links are never followed, and what a member
inflates to is bounded before and while it is inflated. A group is handed on as soon as its files are there,
so that an archive of ten thousand records is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from exchangeai.archives import _gzip, _tar, _zip
from exchangeai.archives._limits import Budget, Limits
from exchangeai.archives._members import Opened
from exchangeai.errors import ExchangeaiError, TooLarge, UnknownFormat
from exchangeai.formats import group_files, members_of

__all__ = ["Group", "Limits", "archive_kind", "groups_of", "member_count"]

_HEAD_BYTES = 1 << 12
_HEADER_BYTES = 1 << 16
_DEFAULTS = Limits()
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}  # fmt: skip
_DOCUMENTS = ("[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The files of one record, or why there are none."""

    names: tuple[str, ...]
    """Full names: of members `archive.zip/folder/member`."""
    files: Mapping[str, bytes]
    """By base name, as `read_records` takes them; empty with an error."""
    error: ExchangeaiError | None = None


def archive_kind(data: bytes) -> str | None:
    """`zip`, `tar`, `gzip`, or None: an ECG file, `.npz` (a zip of arrays) among them, or a document."""
    if data.startswith(_gzip.MAGIC):
        return "gzip"
    if data.startswith(_zip.MAGICS):
        where = _zip.find_directory(data)
        first = _zip.names_in(data, where, 64) if where else [_first_name(data)]
        arrays = bool(first) and all(x.endswith(".npy") for x in first)
        return None if arrays or (first and first[0] in _DOCUMENTS) else "zip"
    return "tar" if _tar.looks_like_tar(data[: _tar.BLOCK]) else None


def member_count(data: bytes) -> int | None:
    """How many entries a zip archive's directory holds; None where only reading it all would tell."""
    where = _zip.find_directory(data) if data.startswith(_zip.MAGICS) else None
    return _zip.count_entries(data, where) if where else None


def groups_of(files: Mapping[str, bytes], limits: Limits = _DEFAULTS) -> Iterator[Group]:
    """The records among files, given by name with folders; archives are opened in their place.

    Files of one record are found within their folder. What cannot be opened is a group with an error; the
    others go on.
    """
    plain = {name: data for name, data in files.items() if archive_kind(data) is None}
    groups: dict[str, list[tuple[str, ...]]] = {}
    for group in _grouped(list(plain), lambda name: plain[name]):
        groups.setdefault(group[0], []).append(group)
    for name, data in files.items():
        if name not in plain:
            yield from _expand(name, data, Budget(limits, len(data)), limits.depth)
        for whole in groups.get(name, ()):
            yield _plain_group(whole, {x: plain[x] for x in whole})


def _plain_group(names: tuple[str, ...], files: Mapping[str, bytes]) -> Group:
    if len(files) == 1:
        first = next(iter(files.values()))
        other = next((word for magic, word in _OTHERS.items() if first.startswith(magic)), None)
        if other is not None:
            error = UnknownFormat(f"{other} archives are not opened; pack the files as zip or tar.gz")
            return Group(names=names, files={}, error=error)
    return Group(names=names, files={_base(name): data for name, data in files.items()})


def _expand(name: str, data: bytes, budget: Budget, depth: int) -> Iterator[Group]:
    if depth == 0:
        yield _refused(name, TooLarge("archives within archives are not opened any deeper; unpack it first"))
        return
    try:
        if data.startswith(_gzip.MAGIC) and not _tar.looks_like_tar(_gzip.first_bytes(data, _tar.BLOCK)):
            yield from _single(name, data, budget, depth)
            return
        yield from _members(name, _opened(data, budget), budget, depth)
    except ExchangeaiError as e:
        yield _refused(name, e)


def _single(name: str, data: bytes, budget: Budget, depth: int) -> Iterator[Group]:
    """A gzip file of one file."""
    stream = _gzip.Inflated(data, budget)
    allowed = budget.allowance(len(data))
    inner = stream.read(allowed + 1)
    if len(inner) > allowed:
        raise TooLarge("the gzip file inflates to more bytes than a file may, or far more than an ECG does")
    base = _base(name)
    inside = base[:-3] if base[-3:].lower() == ".gz" and len(base) > 3 else base
    full = f"{name}/{inside}"
    if archive_kind(inner) is not None:
        yield from _expand(full, inner, budget, depth - 1)
    else:
        yield _plain_group((full,), {full: inner})


def _opened(data: bytes, budget: Budget) -> Opened:
    if data.startswith(_gzip.MAGIC):
        return _tar.TarGz(data, budget, _head_of)
    return _zip.Zip(data, budget) if data.startswith(_zip.MAGICS) else _tar.Tar(data, budget)


def _head_of(read: _tar.Reading) -> bytes:
    """What grouping needs: only headers name other files and may be long."""
    start = read(_HEAD_BYTES)
    return start + read(_HEADER_BYTES - _HEAD_BYTES) if members_of(start) is not None else start


def _members(archive: str, opened: Opened, budget: Budget, depth: int) -> Iterator[Group]:
    places: dict[str, int] = {}
    for i, member in enumerate(opened.members):
        if member.refusal is not None:
            yield _refused(f"{archive}/{member.name}", member.refusal)
        else:
            places[member.name] = i

    def head(name: str) -> bytes:
        start = opened.head(places[name], _HEAD_BYTES)
        longer = len(start) == _HEAD_BYTES and members_of(start) is not None
        return opened.head(places[name], _HEADER_BYTES) if longer else start

    for names in _grouped(list(places), head):
        full = tuple(f"{archive}/{x}" for x in names)
        try:
            size = sum(opened.members[places[x]].size for x in names)
            if size > budget.limits.record_bytes:
                raise TooLarge(f"a record may hold at most {budget.limits.record_bytes >> 20} MiB")
            files = {x: opened.read(places[x]) for x in names}
        except ExchangeaiError as e:
            yield Group(names=full, files={}, error=e)
            continue
        inner = next(iter(files.values()))
        if len(files) == 1 and archive_kind(inner) is not None:
            yield from _expand(full[0], inner, budget, depth - 1)
        else:
            yield _plain_group(full, files)
    if opened.damage is not None:
        yield _refused(archive, opened.damage)


def _grouped(names: list[str], head: Callable[[str], bytes]) -> list[tuple[str, ...]]:
    """Names of files that belong together, in the order of each record's first file; folder by folder."""
    folders: dict[str, dict[str, str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0], {})[_base(name)] = name
    order = {name: i for i, name in enumerate(names)}
    groups: list[tuple[str, ...]] = []
    for inside in folders.values():
        heads = {base: head(name) for base, name in inside.items()}
        groups += [tuple(inside[x] for x in group) for group in group_files(list(inside), heads)]
    return sorted(groups, key=lambda group: order[group[0]])


def _refused(name: str, error: ExchangeaiError) -> Group:
    return Group(names=(name,), files={}, error=error)


def _base(name: str) -> str:
    return name.rpartition("/")[2] or name


def _first_name(data: bytes) -> str:
    size = int.from_bytes(data[26:28], "little")
    return data[30 : 30 + size].decode("utf-8", "replace")
