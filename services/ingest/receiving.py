"""Collects the parts of an upload in memory, within limits on each file, each upload and all of them."""

from __future__ import annotations

from dataclasses import dataclass

from exchangeai.errors import InvalidArgument, Overloaded, TooLarge
from exchangeai.formats import ReadOptions

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """One whole file."""

    name: str
    data: bytes
    options: ReadOptions


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one upload, and this process, may hold."""

    file_bytes: int
    upload_bytes: int
    files: int
    held_bytes: int
    """By all uploads at once."""


class Hall:
    """How much all uploads hold now."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held_bytes = 0

    def take(self, count: int) -> None:
        """Make room. Raises Overloaded when there is none."""
        if self.held_bytes + count > self.limits.held_bytes:
            raise Overloaded("too many uploads are being received at once; send this one again in a moment")
        self.held_bytes += count


class Reception:
    """One upload. Use as a context: leaving it gives the room back."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._limits = hall.limits
        self._done: list[UploadedFile] = []
        self._names: set[str] = set()
        self._open: tuple[str, int, ReadOptions] | None = None
        self._bytes = bytearray()
        self._total = 0

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        self._hall.held_bytes -= self._total
        self._total = 0

    def begin(self, name: str, size_bytes: int, options: ReadOptions) -> None:
        """Begin the next file; `size_bytes` is 0 when unknown.

        Raises TooLarge before any byte of a file that is over the limit, InvalidArgument.
        """
        self._finish()
        plain = name.replace("\\", "/").rsplit("/", 1)[-1]
        if not plain:
            raise InvalidArgument("a file of the upload has no name")
        if plain in self._names:
            raise InvalidArgument("two files of one upload have the same name; send them in separate uploads")
        if len(self._names) == self._limits.files:
            raise TooLarge(f"one upload holds at most {self._limits.files} files; send the rest in another")
        if size_bytes > self._limits.file_bytes:
            self._refuse_file()
        if self._total + size_bytes > self._limits.upload_bytes:
            self._refuse_upload()
        self._names.add(plain)
        self._open = (plain, size_bytes, options)

    def add(self, chunk: bytes) -> None:
        """The next bytes of the open file. Raises TooLarge, Overloaded or InvalidArgument."""
        if self._open is None:
            raise InvalidArgument("the upload must begin with a `file` message that names the file")
        if len(self._bytes) + len(chunk) > self._limits.file_bytes:
            self._refuse_file()
        if self._total + len(chunk) > self._limits.upload_bytes:
            self._refuse_upload()
        self._hall.take(len(chunk))
        self._total += len(chunk)
        self._bytes += chunk

    def finish(self) -> list[UploadedFile]:
        """All files. Raises InvalidArgument when there are none or one is not whole."""
        self._finish()
        if not self._done:
            raise InvalidArgument("the upload holds no files; send at least one")
        return self._done

    def _finish(self) -> None:
        if self._open is None:
            return
        name, size_bytes, options = self._open
        if size_bytes and size_bytes != len(self._bytes):
            raise InvalidArgument(
                f"a file was announced with {size_bytes} bytes but {len(self._bytes)} arrived; send it again"
            )
        self._done.append(UploadedFile(name=name, data=bytes(self._bytes), options=options))
        self._bytes.clear()
        self._open = None

    def _refuse_file(self) -> None:
        raise TooLarge(f"a file may hold at most {self._limits.file_bytes / _MIB:g} MiB")

    def _refuse_upload(self) -> None:
        raise TooLarge(
            f"one upload may hold at most {self._limits.upload_bytes / _MIB:g} MiB; send the rest in another"
        )
