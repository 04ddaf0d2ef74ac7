"""Where the rows of a text table begin, what separates its cells, and what stands above them."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass

from exchangeai.formats._times import PER_S
from exchangeai.formats._units import mv_per
from exchangeai.leads import STANDARD_12, canonical_lead

MAX_COLUMNS = 1024
LOOK_BYTES = 1 << 16
NOTE_MARKS = ("#", "%", "//")
_MAX_LINES_ABOVE = 60
_MAX_LINES = 120
_MAX_NAME, _MAX_NOTE = 200, 4000
_CHECKED_ROWS = 10
_DELIMITERS = ("\t", ";", "|", ",", None)
_EMPTY = r"(?:na|n/a|nan|null|none|missing|-+|\.)?"
_NUMBER = re.compile(rf"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?|[+-]?inf|{_EMPTY}", re.I)
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*|(?:\d+:)?\d+:\d\d(?:[.,]\d+)?")
_NAME = re.compile(r"[A-Za-zµμ\d\s_#./()\[\]:%°+*-]*")
_LEAD = re.compile(
    r"\b(?:ecg|ekg|mlii|mli|mliii|mcl\d|lead|[iv]+|v\d\d?|av[rlf]|ch(?:annel)?[ _]?\d+)\b", re.I
)
_IN_BRACKETS = re.compile(r"[\s_]*[(\[][^)\]]*[)\]]\s*$")
_PEOPLE = re.compile(
    r"(?:patient|subject|record|exam|study|ecg)?[ _]?(?:id|age|sex|gender|name)|label|diagnos\w*|file\w*|"
    r"filename\w*|height|weight|(?:strat_)?fold|report|heart_?axis|site|device|class",
    re.I,
)
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to read the rows."""

    delimiter: str | None
    """None for blanks."""
    quote: str
    decimal_comma: bool
    above: int
    """Lines before the first row."""
    columns: int
    words: frozenset[int]
    """Columns whose first cell is no number."""
    names: tuple[str, ...] | None
    units: tuple[str, ...] | None
    """From a line of their own under the names."""
    notes: tuple[str, ...]
    """Comment lines without their marks, and other lines above the names."""


def decoded(data: bytes) -> bytes | None:
    """The text as UTF-8 without a byte-order mark, or None when the bytes are no text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data[: len(data) // 2 * 2].decode("utf-16", "replace").encode()
    head = data[:64]
    if len(head) > 8 and not any(head[1 : len(head) // 2 * 2 : 2]):
        return data[: len(data) // 2 * 2].decode("utf-16-le", "replace").encode()
    if len(head) > 8 and not any(head[0 : len(head) // 2 * 2 : 2]):
        return data[: len(data) // 2 * 2].decode("utf-16-be", "replace").encode()
    if _NOT_TEXT.search(data[:4096]):
        return None
    text = data.removeprefix(codecs.BOM_UTF8)
    if text.isascii():
        return text
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as e:
        # A window may cut a character at its end; elsewhere it is the older encoding.
        return text[: e.start] if e.start > len(text) - 4 else text.decode("latin-1").encode()
    return text


def layout_of(text: bytes, *, whole: bool) -> Layout | None:
    """The layout of a text whose beginning (or all of it, `whole`) is given; None when it is no table."""
    window = text[:LOOK_BYTES]
    lines = _LINE_END.split(window.decode("utf-8", "replace"), maxsplit=_MAX_LINES)
    cut = not whole or len(text) > LOOK_BYTES
    if (cut or len(lines) > _MAX_LINES) and len(lines) > 1:
        lines.pop()
    if lines[0].lstrip()[:1] in ("{", "[", "<"):
        return None
    try:
        return _found(lines, cut=cut)
    except (_NoTable, csv.Error):
        return None


class _NoTable(Exception):
    """A table, but of people or labels."""


def _found(lines: list[str], *, cut: bool) -> Layout | None:
    others: list[tuple[int, str]] = []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        if not is_note(line):
            found = _row_layout(line, i, others, lines, partial=cut and len(lines) == 1)
            if found is not None:
                return found
        others.append((i, line))
        if len(others) > _MAX_LINES_ABOVE:
            return None
    return None


def is_note(line: str) -> bool:
    """Whether a line is a comment."""
    return line.lstrip().startswith(NOTE_MARKS)


def is_clock(cell: str) -> bool:
    """Whether a cell is a time of day, an elapsed time with colons, or an ISO 8601 date and time."""
    return _CLOCK.fullmatch(cell) is not None


def _row_layout(
    line: str, at: int, others: list[tuple[int, str]], lines: list[str], *, partial: bool
) -> Layout | None:
    for mark in _DELIMITERS:
        delimiter = mark
        if delimiter is not None and delimiter not in line:
            continue
        quote = "'" if "'" in line else '"'
        cells = _cells(line, delimiter, quote)
        if partial:
            cells = cells[:-1]
        numbers = [_NUMBER.fullmatch(x) is not None for x in cells]
        words = [x for x, number in zip(cells, numbers, strict=True) if not number and not is_clock(x)]
        if not any(number and x[-1:].isdigit() for x, number in zip(cells, numbers, strict=True)):
            continue
        if _counts_columns(cells):
            return None
        if len(cells) == 1 and (delimiter is not None or ("," in line and not _alone(line))):
            continue
        columns = len(cells)
        above = [x for _, x in others]
        names, units, taken = _header(above, delimiter, columns)
        if delimiter == "," and columns == 2 and _is_decimal_comma(line, names, others, lines[at : at + 100]):
            delimiter, columns = None, 1
            names, units, taken = _header(above, delimiter, columns)
        if words and not (names and _has_lead(names)):
            continue
        if names and not _has_lead(names) and any(_PEOPLE.fullmatch(x) for x in names):
            raise _NoTable
        rows = [x for x in lines[at : at + 3 * _CHECKED_ROWS] if x.strip() and not is_note(x)][:_CHECKED_ROWS]
        if not partial and not _agree(rows, delimiter, columns, quote, bool(names)):
            continue
        kept = [x for n, x in enumerate(above) if n not in taken]
        return Layout(
            delimiter=delimiter,
            quote=quote,
            decimal_comma=any("," in x for row in rows for x in _cells(row, delimiter, quote)),
            above=at,
            columns=columns,
            words=frozenset(i for i, x in enumerate(numbers) if not x) if columns > 1 else frozenset(),
            names=names,
            units=units,
            notes=tuple(x.strip().lstrip("#%/").strip()[:_MAX_NOTE] for x in kept),
        )
    return None


def _cells(line: str, delimiter: str | None, quote: str = '"') -> list[str]:
    if delimiter is not None and quote in line:
        return [
            x.strip(f" \t{quote}") for x in next(csv.reader([line], delimiter=delimiter, quotechar=quote))
        ]
    return [x.strip().strip(quote).strip() for x in line.split(delimiter)]


def _counts_columns(cells: list[str]) -> bool:
    """Whether a row is the header that programs write for columns without names: 0, 1, 2, ..."""
    numbers = cells[1:] if not cells[0] else cells
    return len(cells) > 2 and numbers == [str(i) for i in range(len(numbers))]


def _alone(line: str) -> bool:
    """Whether a line without blanks holds one number with a decimal comma."""
    return line.count(",") == 1 and len(line.split()) == 1


def _is_decimal_comma(
    line: str, names: tuple[str, ...] | None, others: list[tuple[int, str]], lines: list[str]
) -> bool:
    """Whether "0,5" is one number: there is one name, or the second part begins with zeros (0,005)."""
    rows = [x.strip().strip('"') for x in lines if x.strip()]
    parts = [x.split(",") for x in rows]
    if not all(len(x) == 2 and x[1].isdigit() for x in parts[:-1]) or " " in line.strip():
        return False
    if names is not None and len(names) > 1:
        return False
    header = [x for _, x in others if not is_note(x)]
    one_name = bool(header) and "," not in header[-1] and bool(re.search("[A-Za-z]", header[-1]))
    return one_name or any(x[1].startswith("0") and len(x[1]) > 1 for x in parts[:-1])


def _agree(rows: list[str], delimiter: str | None, columns: int, quote: str, named: bool) -> bool:
    """Whether the first lines look like rows of one table, as those of prose and headers do not."""
    alike = 0
    for row in rows:
        cells = _cells(row, delimiter, quote)
        numbers = sum(_NUMBER.fullmatch(x) is not None or is_clock(x) for x in cells)
        alike += abs(len(cells) - columns) <= 1 and 2 * numbers >= len(cells)
    return 2 * alike > len(rows) and (named or len(rows) > 1)


def _header(
    above: list[str], delimiter: str | None, columns: int
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None, set[int]]:
    """Names and units of the columns, and which of the lines above were taken for them."""
    if not above:
        return None, None, set()
    last = len(above) - 1
    cells = _named(above[last], delimiter, columns)
    if cells is None:
        return None, None, set()
    if all(_is_unit(x) for x in cells) and last > 0:
        names = _named(above[last - 1], delimiter, columns)
        if names is not None and len(names) == len(cells):
            return names, tuple(x.strip("()[]") for x in cells), {last - 1, last}
    return cells, None, {last}


def _named(line: str, delimiter: str | None, columns: int) -> tuple[str, ...] | None:
    note = is_note(line)
    if columns == 1:
        line = line[:_MAX_NAME]
    text = line.strip().lstrip("#%/").strip() if note else line
    if columns == 1:
        # A remark above a single column is no name; a line of its own is.
        return None if note or re.search("[:=;]|,\\s*\\S", text) else (text.strip().strip("\"'").strip(),)
    quote = "'" if "'" in text else '"'
    cells = [x.strip(" \t\"'")[:_MAX_NAME] for x in _cells(text, delimiter, quote)]
    if len(cells) - columns not in (0, -1, 1) or not any(cells):
        return None
    if any(_NUMBER.fullmatch(x) and x[-1:].isdigit() for x in cells):
        return None
    if not all(map(_NAME.fullmatch, cells)):
        return None if note or len(cells) != columns else tuple(cells)
    return tuple(cells) if not note or len(cells) == columns else None


def _is_unit(cell: str) -> bool:
    word = cell.strip("()[] ")
    return not word or mv_per(word) is not None or word.casefold() in PER_S or word.startswith("hh:mm")


def _has_lead(names: tuple[str, ...]) -> bool:
    bare = [_IN_BRACKETS.sub("", x) for x in names]
    return any(canonical_lead(x) in STANDARD_12 or _LEAD.search(x) for x in bare)
