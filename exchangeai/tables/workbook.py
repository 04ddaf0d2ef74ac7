"""An XLSX workbook to lines of cells; its packed size is bounded before anything is read."""

from __future__ import annotations

import datetime
import importlib
import io
import zipfile
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from exchangeai.errors import InvalidArgument, TooLarge

MAX_UNPACKED_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
_SAVE_AS = "save the sheet as CSV or XLSX and choose it again"


def is_workbook(data: bytes) -> bool:
    """Whether these bytes are a ZIP archive, as XLSX is."""
    return data.startswith(b"PK\x03\x04")


def is_old_workbook(data: bytes) -> bool:
    """Whether these bytes are an Excel file of before 2007."""
    return data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def rows_of(data: bytes, wanted: Collection[str], sheet: str) -> Iterator[list[str]]:
    """Cells of each line of a sheet, as text: whole numbers without a point, dates as ISO 8601.

    Without a name, the first sheet whose header has all columns is taken, else the first. Raises
    InvalidArgument for what is no workbook, TooLarge for one that unpacks to more than 1 GiB.
    """
    _check(data)
    try:
        calamine: Any = importlib.import_module("python_calamine")  # a package without types
    except ImportError as e:
        raise InvalidArgument(f"this installation reads no spreadsheets: {_SAVE_AS}") from e
    try:
        book: Any = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        names: list[str] = list(book.sheet_names)
        if sheet and sheet not in names:
            shown = ", ".join(repr(x[:80]) for x in names)
            raise InvalidArgument(f"the workbook has no sheet {sheet!r}; its sheets are {shown}")
        chosen = sheet or _fitting(book, names, wanted)
        for row in book.get_sheet_by_name(chosen).iter_rows():
            yield [_text(x) for x in row]
    except calamine.CalamineError as e:
        raise InvalidArgument(f"the workbook cannot be read ({type(e).__name__}): {_SAVE_AS}") from e


def _check(data: bytes) -> None:
    """Read the archive once within bounds, so that the reader meets no bomb and no damage."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise InvalidArgument(f"the label table is a ZIP archive but no XLSX workbook: {_SAVE_AS}")
            for member in archive.infolist():
                with archive.open(member) as file:
                    while piece := file.read(_PIECE_BYTES):
                        total += len(piece)
                        if total > MAX_UNPACKED_BYTES:
                            raise TooLarge(
                                f"the workbook unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB; "
                                "save the one sheet as CSV"
                            )
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as e:
        raise InvalidArgument(f"the workbook is damaged or locked ({type(e).__name__}): {_SAVE_AS}") from e
    except Exception as e:
        if type(e).__module__ == "zlib":
            raise InvalidArgument(f"the workbook is damaged: {_SAVE_AS}") from e
        raise


def _fitting(book: Any, names: Sequence[str], wanted: Collection[str]) -> str:
    if not names:
        raise InvalidArgument("the workbook has no sheet")
    for name in names:
        first: list[Any] = next(iter(book.get_sheet_by_name(name).iter_rows()), list[Any]())
        if set(wanted) <= {_text(x).strip() for x in first}:
            return name
    return names[0]


def _text(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "1" if cell else "0"
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return str(int(cell))
        case datetime.datetime() | datetime.date() | datetime.time():
            return cell.isoformat()
        case _:
            return str(cell)
