"""NumPy archives (`.npz`): a table of samples, or one array a lead, with what other arrays say of it."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._array import parse_array
from exchangeai.formats._named_facts import Value
from exchangeai.formats._named_values import records_of
from exchangeai.formats._options import ReadOptions, ReadResult

RANK = 1
_MAX_MEMBERS = 1024
_MAX_BYTES = 160 << 20
_BYTES_PER_BYTE = 8
"""So much may be unpacked, whatever the file's size, and so much more for each of its bytes."""
_MAX_RATIO = 200
_FREE_BYTES = 16 << 20
"""So much may be inflated whatever the ratio: flat signals compress well."""


def sniff(files: Mapping[str, bytes]) -> bool:
    """A zip archive whose first member is an array, not in a folder."""
    if len(files) != 1:
        return False
    head = next(iter(files.values()))[:512]
    if not head.startswith(b"PK\x03\x04"):
        return False
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return name.endswith(b".npy")


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the arrays within limits of their number and size. Objects in them are never read."""
    data = next(iter(files.values()))
    warnings: list[str] = []
    values: dict[str, Value] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _must_be_bounded(members, len(data))
            for member in members:
                if not member.filename.endswith(".npy"):
                    warnings.append("the archive holds a member that is no array; it was left out")
                    continue
                try:
                    array, said = parse_array(archive.read(member), strict=True)
                except InvalidHeader:
                    if options.strict:
                        raise
                    warnings.append("an array of objects, or with a damaged header, was not read")
                    continue
                values[member.filename.removesuffix(".npy")] = array
                warnings += said
    except zipfile.BadZipFile as e:
        if b"PK\x05\x06" not in data[-(1 << 16) :]:
            raise Truncated("the archive ends before its directory; send the whole file") from e
        raise InvalidHeader("the archive is damaged (a checksum or header is wrong); export it again") from e
    except (zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as e:
        raise InvalidHeader(
            "the archive is damaged or uses a method that NumPy does not; export it again"
        ) from e
    return records_of("npz", values, options, source_bytes=len(data), warnings=warnings)


def _must_be_bounded(members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > _MAX_MEMBERS:
        raise InvalidHeader(f"the archive holds more than {_MAX_MEMBERS} arrays; send one recording a file")
    if any(x.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for x in members):
        raise InvalidHeader("the archive uses a compression that NumPy does not; save it again")
    total = sum(x.file_size for x in members)
    if total > min(_MAX_BYTES + _BYTES_PER_BYTE * size, _FREE_BYTES + _MAX_RATIO * size):
        raise InvalidHeader(
            f"the archive would unpack to {total >> 20} MB, more than is read; send one recording a file"
        )
