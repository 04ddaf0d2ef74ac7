"""The records that an import finds in folders, files, archives and buckets, one at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from exchangeai.archives import archive_kind, groups_of, member_count
from exchangeai.config import StoreConfig, from_env
from exchangeai.errors import (
    ExchangeaiError,
    InvalidArgument,
    NotFound,
    Overloaded,
    PermissionDenied,
    TooLarge,
    Unavailable,
)
from exchangeai.formats import group_files, members_of
from exchangeai.reading import load
from exchangeai.store import BlockingStore, open_blocking_store

S3 = "s3://"
_HEAD_BYTES = 1 << 12
_HEADER_BYTES = 1 << 16
_MAX_FILE_BYTES = 512 << 20
_REMEMBERED_HEADS = 4096


@dataclass(frozen=True, kw_only=True)
class Record:
    """The files of one record."""

    names: tuple[str, ...]
    """Relative: `folder/below/file`, `folder/archive.zip/folder/member`, `bucket/key`."""
    files: Mapping[str, bytes]
    """By base name; empty with an error."""
    error: ExchangeaiError | None = None
    """Why there is nothing to send."""


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """The files of one folder, or the objects of one prefix, and how their bytes are had."""

    names: tuple[str, ...]
    head: Callable[[str, int], bytes]
    read: Callable[[str], bytes]


class Sources:
    """What the command line names; iterate once. `total_files` grows as archives are opened.

    `done` holds the names of records to be passed over: they are not read again. Of a folder only the names
    and the beginnings of some files are in memory, of an archive its own bytes and one record.
    """

    def __init__(
        self, sources: list[str], done: Container[tuple[str, ...]] = (), not_this: Path | None = None
    ) -> None:
        self._done = done
        self._not_this = not_this.resolve() if not_this else None
        self._sources = {_label(x): x for x in sources}
        if len(self._sources) < len(sources):
            raise InvalidArgument("two sources have the same name; import each with a report of its own")
        for source in sources:
            if not source.startswith(S3) and not os.path.exists(source):
                raise NotFound(f"there is no file or folder {source}")
        self._buckets = _Buckets([x for x in sources if x.startswith(S3)])
        self.total_files = sum(self._count(x) for x in self._sources)
        self.skipped_files = 0

    def __iter__(self) -> Iterator[Record]:
        for label in self._sources:
            for folder in self._folders(label):
                yield from self._records(folder)

    def _count(self, label: str) -> int:
        source = self._sources[label]
        is_file = not source.startswith(S3) and not os.path.isdir(source)
        return 1 if is_file else sum(len(x.names) for x in self._folders(label))

    def _folders(self, label: str) -> Iterator[_Folder]:
        source = self._sources[label]
        if source.startswith(S3):
            yield from self._buckets.folders(source.removeprefix(S3))
        elif os.path.isdir(source):
            yield from self._walk(label, Path(source))
        else:
            # As for `inspect`: a file of a multi-file record brings the others from beside it.
            files = load(source)
            self.total_files += len(files) - 1
            yield _Folder(
                names=tuple(files), head=lambda name, count: files[name][:count], read=files.__getitem__
            )

    def _walk(self, label: str, root: Path) -> Iterator[_Folder]:
        def real(name: str) -> Path:
            return root / name[len(label) + 1 :]

        for at, below, names in os.walk(root, onerror=_fail):
            below[:] = sorted(x for x in below if not x.startswith("."))
            inside = Path(label) / Path(at).relative_to(root)
            shown = [(inside / x).as_posix() for x in sorted(names) if not x.startswith(".")]
            found = tuple(x for x in shown if self._is_wanted(real(x)))
            if found:
                yield _Folder(
                    names=found,
                    head=lambda name, count: _beginning(real(name), count),
                    read=lambda name: _whole(real(name)),
                )

    def _is_wanted(self, path: Path) -> bool:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return False
        except OSError:
            return False
        return self._not_this is None or path.name != self._not_this.name or path.resolve() != self._not_this

    def _records(self, folder: _Folder) -> Iterator[Record]:
        @lru_cache(maxsize=_REMEMBERED_HEADS)
        def head(name: str) -> bytes:
            try:
                start = folder.head(name, _HEAD_BYTES)
                longer = len(start) == _HEAD_BYTES and members_of(start) is not None
                return folder.head(name, _HEADER_BYTES) if longer else start
            except (OSError, NotFound, PermissionDenied):
                # Told when the record is read.
                return b""

        archives = {x for x in folder.names if archive_kind(head(x)) is not None}
        plain = [x for x in folder.names if x not in archives]
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for group in group_files(plain, _Heads(plain, head)):
            by_first.setdefault(group[0], []).append(group)
        for name in folder.names:
            if name in archives:
                yield from self._in_archive(folder, name)
            for names in by_first.get(name, ()):
                if names in self._done:
                    self.skipped_files += len(names)
                else:
                    yield _read(names, folder.read)

    def _in_archive(self, folder: _Folder, name: str) -> Iterator[Record]:
        whole = _read((name,), folder.read)
        if whole.error is not None:
            if whole.names not in self._done:
                yield whole
            return
        data = next(iter(whole.files.values()))
        self.total_files += (member_count(data) or 1) - 1
        for group in groups_of({name: data}):
            if group.names in self._done:
                self.skipped_files += len(group.names)
            else:
                yield Record(names=group.names, files=group.files, error=group.error)


class _Heads(Mapping[str, bytes]):
    """Beginnings of files, read when they are asked for."""

    def __init__(self, names: list[str], head: Callable[[str], bytes]) -> None:
        self._names = dict.fromkeys(names)
        self._head = head

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return self._head(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Buckets:
    """Objects below prefixes, of any bucket in the S3 store of EXCHANGEAI_STORE_*."""

    def __init__(self, sources: list[str]) -> None:
        self._store: BlockingStore | None = None
        self._listed: dict[str, list[_Folder]] = {}
        if sources:
            foreign = frozenset(x.removeprefix(S3).partition("/")[0] for x in sources)
            config = from_env(StoreConfig, os.environ, "EXCHANGEAI_STORE_")
            self._store = open_blocking_store(config, foreign)

    def folders(self, prefix: str) -> list[_Folder]:
        """The objects whose keys begin with the prefix, put together as folders are."""
        assert self._store is not None
        if prefix not in self._listed:
            store, by_folder = self._store, dict[str, list[str]]()
            for key in store.list(prefix):
                # Some clients make empty objects as folders.
                if not key.endswith("/"):
                    by_folder.setdefault(key.rpartition("/")[0], []).append(key)
            self._listed[prefix] = [
                _Folder(names=tuple(x), head=store.first_bytes, read=store.get) for x in by_folder.values()
            ]
            if not self._listed[prefix]:
                raise NotFound(f"there are no objects below {S3}{prefix}")
        return self._listed[prefix]


def _label(source: str) -> str:
    return source if source.startswith(S3) else (Path(source).resolve().name or "files")


def _read(names: tuple[str, ...], read: Callable[[str], bytes]) -> Record:
    try:
        return Record(names=names, files={x.rpartition("/")[2]: read(x) for x in names})
    except OSError as e:
        problem = PermissionDenied if isinstance(e, PermissionError) else NotFound
        return Record(
            names=names, files={}, error=problem(f"cannot be read here ({e.strerror}); check its permissions")
        )
    except (Unavailable, Overloaded):
        # Of the store, for now: nothing is wrong with the record.
        raise
    except ExchangeaiError as e:
        return Record(names=names, files={}, error=e)


def _fail(error: OSError) -> None:
    raise error


def _beginning(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _whole(path: Path) -> bytes:
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise TooLarge(f"a file may hold at most {_MAX_FILE_BYTES >> 20} MiB; send it in smaller parts")
    return path.read_bytes()
