"""Tables as people save them: lines of cells out of delimited text in any encoding, or out of a workbook."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from exchangeai.errors import InvalidArgument
from exchangeai.tables import delimited, workbook

__all__ = ["lines_of"]


def lines_of(
    data: bytes, wanted: Collection[str] = (), *, separator: str = "", encoding: str = "", sheet: str = ""
) -> tuple[Iterator[list[str]], str]:
    """(cells of each line, the encoding when it was guessed, else an empty text).

    `wanted` are columns that the header should have: they tell separator and sheet where these are not
    stated. Raises InvalidArgument for what is no table, TooLarge for a workbook that unpacks to too much.
    """
    if workbook.is_old_workbook(data):
        raise InvalidArgument("the label table is an Excel file of before 2007: save it as XLSX or CSV")
    if workbook.is_workbook(data):
        return workbook.rows_of(data, wanted, sheet), ""
    text, found = delimited.decoded(data, encoding)
    guessed = "" if encoding or found in delimited.CERTAIN else found
    return delimited.lines(text, delimited.separator_of(text, wanted, separator)), guessed
