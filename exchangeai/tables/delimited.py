"""Delimited text to lines of cells: its encoding and its separator are told from the text itself."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator

from exchangeai.errors import InvalidArgument

SEPARATORS = (",", ";", "\t", "|", "^", "~")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CERTAIN = frozenset({"utf-8", "utf-16", "utf-32"})
"""Encodings that a text proves, by a byte order mark or by being well-formed; others are guesses."""
_LOOKED_AT = 4096
_ADVICE = "save the table as 'CSV UTF-8' or XLSX, or state its encoding"


def decoded(data: bytes, encoding: str = "") -> tuple[str, str]:
    """(the text, the encoding in which it was read).

    A byte order mark decides, then UTF-8, then UTF-16 where every second byte is zero, then Windows-1252,
    which is Latin-1 with the printable characters that Excel writes. Raises InvalidArgument for no text.
    """
    for name in (encoding,) if encoding else _candidates(data):
        try:
            text = data.decode(name)
        except UnicodeError:
            continue
        except LookupError as e:
            raise InvalidArgument(f"there is no encoding {encoding!r}; for example utf-8 or latin-1") from e
        if not _readable(text):
            break
        return text.removeprefix("\ufeff"), name.removesuffix("-sig")
    raise InvalidArgument(f"the label table is no text{f' in {encoding}' if encoding else ''}: {_ADVICE}")


def _candidates(data: bytes) -> tuple[str, ...]:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return (name,)
    head = data[:_LOOKED_AT]
    if b"\0" in head:
        return ("utf-16-le",) if head[1::2].count(0) >= head[::2].count(0) else ("utf-16-be",)
    return ("utf-8", "cp1252", "latin-1")


def _readable(text: str) -> bool:
    return not any(ord(x) < 32 and x not in "\t\r\n\f\v" for x in text[:_LOOKED_AT])


def separator_of(text: str, wanted: Collection[str], stated: str = "") -> str:
    """The one stated, else the one whose reading of the header has most of the columns, then most columns."""
    if stated:
        if len(stated) != 1 or stated in '"\r\n':
            raise InvalidArgument("the separator of the label table must be one character, and no quote")
        return stated

    def fit(separator: str) -> tuple[int, int]:
        header = [x.strip() for x in next(lines(text, separator), list[str]())]
        return sum(name in header for name in wanted), len(header)

    return max(SEPARATORS, key=fit)


def lines(text: str, separator: str) -> Iterator[list[str]]:
    """Cells of each line. Raises InvalidArgument where quotes or lengths make no sense."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as e:
        raise InvalidArgument(f"the label table cannot be read at line {reader.line_num}: {e}") from e
