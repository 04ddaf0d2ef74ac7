"""The report of an import: a CSV with a row for each record, appended to, from which an import resumes."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType

from exchangeai.errors import Conflict, InvalidArgument

REFUSED = "refused"
OUTCOMES = ("read", "warning", "duplicate", REFUSED)


@dataclass(frozen=True)
class Row:
    """One line; all fields are text."""

    files: str
    """Names with `;` between them."""
    outcome: str
    recording_id: str = ""
    format: str = ""
    leads: str = ""
    duration_s: str = ""
    reason: str = ""
    message: str = ""


_MAX_FIELD = 1 << 24
COLUMNS = tuple(x.name for x in fields(Row))


def names_as_text(names: Sequence[str]) -> str:
    """Several names in one field; `;` and `\\` within a name are written `\\;` and `\\\\`."""
    return ";".join(x.replace("\\", "\\\\").replace(";", "\\;") for x in names)


class Report:
    """The open report; one import at a time. Use as a context.

    Raises InvalidArgument for a file that is no report, Conflict while another import writes it. What a kill
    cut off within a row is dropped, and with `again` the rows of refused records. Only the owner may read it,
    since file names may be identities.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._path = path
        rows, is_changed = _kept(path, again=again)
        if is_changed:
            _replace(path, rows)
        self.counts = Counter(x.outcome for x in rows)
        self.reasons = Counter(x.reason for x in rows if x.outcome == REFUSED)
        self._names = {x.files for x in rows}
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            os.close(self._file)
            raise Conflict("another import is writing this report; wait for it, or name another one") from e

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __contains__(self, names: object) -> bool:
        return isinstance(names, tuple) and names_as_text(names) in self._names  # pyright: ignore[reportUnknownArgumentType]

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows in one write, so that a kill falls before or after all of them."""
        data = _as_csv(rows)
        while data:
            data = data[os.write(self._file, data) :]
        self._names |= {x.files for x in rows}
        self.counts += Counter(x.outcome for x in rows)
        self.reasons += Counter(x.reason for x in rows if x.outcome == REFUSED)


def read_report(path: Path) -> list[Row]:
    """The whole rows of a report."""
    return _kept(path, again=False)[0]


def _kept(path: Path, *, again: bool) -> tuple[list[Row], bool]:
    """The rows that stay, and whether the file must be written anew."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], True
    text = data.decode("utf-8", "surrogateescape")
    # The limit is the whole process's, so it goes back to what it was.
    usual = csv.field_size_limit(_MAX_FIELD)
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
    finally:
        csv.field_size_limit(usual)
    head = ",".join(COLUMNS) + "\n"
    if not text.startswith(head):
        # A kill within the very first write leaves a beginning of the heading.
        if head.startswith(text):
            return [], True
        raise InvalidArgument(f"{path} is no report of an import; name another file for --report")
    whole = [x for x in lines[1:] if len(x) == len(COLUMNS)]
    is_cut = len(whole) < len(lines) - 1 or not text.endswith("\n")
    if is_cut:
        if len(whole) == len(lines) - 1:
            # All fields are there, perhaps not all of the last one.
            whole = whole[:-1]
        # Of a container all rows or none, so that the rest of its records is not passed over.
        last, cut = whole[-1][0] if whole else "", lines[-1]
        if last == cut[0] or (len(cut) == 1 and last.startswith(cut[0])):
            whole = [x for x in whole if x[0] != last]
    rows = [Row(*x) for x in whole]
    kept = [x for x in rows if not (again and x.outcome == REFUSED)]
    return kept, is_cut or len(kept) < len(rows)


def _replace(path: Path, rows: Sequence[Row]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write((",".join(COLUMNS) + "\n").encode() + _as_csv(rows))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def _as_csv(rows: Sequence[Row]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(astuple(x) for x in rows)
    return out.getvalue().encode("utf-8", "surrogateescape")
