"""What a report on a data set lists, kind by kind, and how each kind is written as CSV.

Lines name rows, counted from 1 below the header, and recordings by id: never a file's name or a patient.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator

from exchangeai.join_report import ReportKind, RowProblem

_HEADER = ("row", "recording_id", "detail")
_Line = tuple[int, str, str]


class Findings:
    """Lines of a report by kind, in the order in which they were found."""

    def __init__(self) -> None:
        self._lines: dict[ReportKind, list[_Line]] = defaultdict(list)

    def add(self, kind: ReportKind, *, row: int = 0, recording_id: str = "", detail: str = "") -> None:
        """Append a line; row 0 means none."""
        self._lines[kind].append((row, recording_id, detail))

    def count(self, kind: ReportKind) -> int:
        """How many lines of a kind."""
        return len(self._lines[kind])

    def counts(self) -> dict[str, int]:
        """Lines of each kind that has any, in the order of the kinds."""
        return {x.value: len(self._lines[x]) for x in ReportKind if self._lines[x]}

    def rows(self, kind: ReportKind, most: int) -> tuple[int, ...]:
        """The first rows of a kind."""
        return tuple(x[0] for x in self._lines[kind][:most])

    def problems(self, kinds: Iterable[ReportKind], most: int) -> tuple[RowProblem, ...]:
        """The first lines of several kinds by row."""
        found = sorted((row, detail) for kind in kinds for row, _, detail in self._lines[kind])
        return tuple(RowProblem(row=row, reason=detail) for row, detail in found[:most])

    def files(self) -> Iterator[tuple[ReportKind, bytes]]:
        """The CSV of each kind that has lines."""
        for kind in ReportKind:
            if self._lines[kind]:
                yield kind, as_csv(self._lines[kind])

    def digest(self) -> str:
        """SHA-256, hex, of what was found about the rows; recordings that no row names do not count."""
        hashed = hashlib.sha256()
        for kind, content in self.files():
            if kind is not ReportKind.UNMATCHED_RECORDING:
                hashed.update(kind.encode() + b"\n" + content)
        return hashed.hexdigest()


def report_key(dataset_id: str, kind: ReportKind) -> str:
    """Object key of one kind's CSV."""
    return f"datasets/{dataset_id}/report-{kind}.csv"


def as_csv(lines: Iterable[_Line] = ()) -> bytes:
    """UTF-8 with a byte order mark, by which Excel knows it; equal lines give equal bytes."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADER)
    writer.writerows((row or "", id_, detail) for row, id_, detail in lines)
    return out.getvalue().encode("utf-8-sig")
