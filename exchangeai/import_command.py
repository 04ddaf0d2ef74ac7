"""The command `import`: sends records in bulk to the ingest service; resumes from the report it keeps."""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import PurePath
from typing import TextIO

from exchangeai.durations import as_time
from exchangeai.errors import ExchangeaiError, Overloaded, Unavailable
from exchangeai.formats import ReadOptions, members_of
from exchangeai.import_report import OUTCOMES, REFUSED, Report, Row, names_as_text
from exchangeai.import_sources import Record, Sources
from exchangeai.reading import read_options
from exchangeai.rpc.upload import UploadedRecord, Uploads, open_uploads

CALL_FILES = 64
CALL_BYTES = 16 << 20
CALLS_IN_FLIGHT = 2
_CALLS_BEING_FILLED = 8
_HEADER_BYTES = 1 << 16
_DEADLINE_S = 300.0
_PATIENCE_S = 300.0
_MAX_PAUSE_S = 20.0
Sent = list[tuple[Record, list[UploadedRecord]]]


def import_files(arguments: argparse.Namespace) -> int:
    """Send all records of the sources; 0 all read, 1 some refused, 2 usage or no connection."""
    try:
        options = read_options(
            sampling_rate_hz=arguments.rate,
            unit=arguments.unit,
            unit_multiple=arguments.unit_multiple,
            leads=tuple(x.strip() for x in arguments.leads.split(",") if x.strip()),
            strict=arguments.strict,
        )
        with open_uploads(arguments.to) as uploads:
            uploads.check()
            with Report(arguments.report, again=arguments.again) as report:
                sources = Sources(arguments.source, report, not_this=arguments.report)
                return _import(sources, report, uploads, options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (Unavailable, Overloaded) as e:
        print(f"exchangeai import: {arguments.to}: {e}; run the same command again to go on", file=sys.stderr)
    except (ExchangeaiError, ValueError, OSError) as e:
        print(f"exchangeai import: {e}", file=sys.stderr)
    return 2


def _import(sources: Sources, report: Report, uploads: Uploads, options: ReadOptions) -> int:
    progress = Progress(sources, report)
    stop = threading.Event()
    flying: set[Future[Sent]] = set()

    def land(*, most: int) -> None:
        while len(flying) > most:
            ended, _ = wait(flying, timeout=1, return_when=FIRST_COMPLETED)
            for future in ended:
                flying.discard(future)
                _keep(future.result(), report, progress)
            progress.show()

    with ThreadPoolExecutor(CALLS_IN_FLIGHT, thread_name_prefix="upload") as threads:
        try:
            for call in calls_of(_told(sources, report, progress)):
                land(most=CALLS_IN_FLIGHT - 1)
                flying.add(threads.submit(send_call, uploads, call, options, stop))
            land(most=0)
        finally:
            # Where one call failed for good, the other is not tried again, but what it did is kept.
            stop.set()
            for future in wait(flying).done:
                if future.exception() is None:
                    _keep(future.result(), report, progress)
    progress.show(is_last=True)
    _summarise(report)
    return 1 if report.counts[REFUSED] else 0


def calls_of(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Put records together that may share a call.

    The service finds out by itself which files of a call belong together, and in a call there are no folders:
    so records share one only where no name of theirs, nor any that their headers ask for, has a stem in
    common. Several calls are filled at a time, for folders that hold equal names in turn.
    """
    filling: list[_Call] = []
    for record in records:
        claims = _claims(record)
        size = sum(len(x) for x in record.files.values())
        place = next((x for x in filling if x.has_room(record, size, claims)), None)
        if place is None:
            if len(filling) == _CALLS_BEING_FILLED:
                yield filling.pop(0).records
            place = _Call(records=[], claims=set())
            filling.append(place)
        place.add(record, size, claims)
        if place.is_full:
            filling.remove(place)
            yield place.records
    yield from (x.records for x in filling)


def send_call(uploads: Uploads, call: Sequence[Record], options: ReadOptions, stop: threading.Event) -> Sent:
    """Send records in one call, again while the service is busy or away; each has at least one result.

    When the service refuses the call as a whole, the records go one by one and only the bad one is refused.
    Raises Unavailable or Overloaded after five minutes of trying.
    """
    files = {_plain(name): data for record in call for name, data in record.files.items()}
    try:
        if len(files) < sum(len(x.files) for x in call):
            raise ExchangeaiError("two files of the record have the same name; rename one of them")
        results = _patiently(uploads, files, options, stop)
    except (Unavailable, Overloaded):
        raise
    except ExchangeaiError as e:
        if len(call) > 1:
            return [x for record in call for x in send_call(uploads, [record], options, stop)]
        names = call[0].names
        return [(call[0], [UploadedRecord(file_names=names, reason=type(e).__name__, message=str(e))])]
    owner = {_plain(name): i for i, record in enumerate(call) for name in record.files}
    by_record: list[list[UploadedRecord]] = [[] for _ in call]
    for result in results:
        first = next((owner[y] for x in result.file_names if (y := x.partition("/")[0]) in owner), None)
        if first is not None:
            by_record[first].append(result)
    for record, found in zip(call, by_record, strict=True):
        if not found:
            message = "the service gave no result for this record; send its files alone"
            found.append(UploadedRecord(file_names=record.names, reason="NoResult", message=message))
    return list(zip(call, by_record, strict=True))


def rows_of(record: Record, results: Sequence[UploadedRecord]) -> list[Row]:
    """The report's rows: one, or one for each recording of a container."""
    names = names_as_text(record.names)
    return [_row(names, x) for x in results]


class Progress:
    """How far the import is: one line redrawn on a terminal, elsewhere one every five seconds."""

    def __init__(self, sources: Sources, report: Report, out: TextIO | None = None) -> None:
        self._sources = sources
        self._report = report
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._begin = self._shown = time.monotonic()
        self._width = 0
        self.sent_files = 0

    def show(self, *, is_last: bool = False) -> None:
        """Write the line when it is due."""
        now = time.monotonic()
        if not is_last and now - self._shown < (0.2 if self._live else 5.0):
            return
        self._shown = now
        text = self._text(now - self._begin)
        if self._live:
            self._out.write("\r" + text.ljust(self._width) + ("\n" if is_last else ""))
            self._width = len(text)
        else:
            self._out.write(text + "\n")
        self._out.flush()

    def _text(self, elapsed_s: float) -> str:
        done = self.sent_files + self._sources.skipped_files
        total = max(done, self._sources.total_files)
        rate = self.sent_files / max(elapsed_s, 1e-3)
        left_s = (total - done) / rate if rate else None
        left = "" if left_s is None else f", {as_time(left_s)} left"
        return (
            f"import  {done} of {total} files, {rate:.0f} files/s{left}, "
            f"{self._report.counts[REFUSED]} refused so far"
        )


@dataclass(kw_only=True)
class _Call:
    records: list[Record]
    claims: set[str]
    files: int = 0
    bytes: int = 0

    def has_room(self, record: Record, size: int, claims: set[str]) -> bool:
        return (
            self.files + len(record.files) <= CALL_FILES
            and self.bytes + size <= CALL_BYTES
            and self.claims.isdisjoint(claims)
        )

    def add(self, record: Record, size: int, claims: set[str]) -> None:
        self.records.append(record)
        self.claims |= claims
        self.files += len(record.files)
        self.bytes += size

    @property
    def is_full(self) -> bool:
        return self.files >= CALL_FILES or self.bytes >= CALL_BYTES


def _told(sources: Sources, report: Report, progress: Progress) -> Iterator[Record]:
    """The records that are to be sent; those that could not even be read here go into the report."""
    for record in sources:
        if record.error is None:
            yield record
            continue
        refused = UploadedRecord(
            file_names=record.names, reason=type(record.error).__name__, message=str(record.error)
        )
        _keep([(record, [refused])], report, progress)


def _keep(sent: Sent, report: Report, progress: Progress) -> None:
    report.add([row for record, results in sent for row in rows_of(record, results)])
    progress.sent_files += sum(len(record.names) for record, _ in sent)


def _claims(record: Record) -> set[str]:
    names = [_plain(x) for x in record.files]
    for data in record.files.values():
        names += [_plain(x) for x in members_of(data[:_HEADER_BYTES]) or ()]
    return {PurePath(x).stem for x in names} | set(names)


def _plain(name: str) -> str:
    """The name as the service takes it: without folders, valid text."""
    text = name.encode("utf-8", "replace").decode()
    return text.replace("\\", "/").rpartition("/")[2] or "ecg"


def _patiently(
    uploads: Uploads, files: dict[str, bytes], options: ReadOptions, stop: threading.Event
) -> list[UploadedRecord]:
    """Ids are digests of bytes, so that sending again stores nothing twice."""
    end, pause_s = time.monotonic() + _PATIENCE_S, 0.5
    while True:
        try:
            return uploads.send(files, options, timeout_s=_DEADLINE_S)
        except (Unavailable, Overloaded):
            if time.monotonic() + pause_s > end or stop.wait(pause_s * random.uniform(0.5, 1.0)):
                raise
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)


def _row(names: str, result: UploadedRecord) -> Row:
    outcome, reason, notes = REFUSED, result.reason or "Unreadable", [result.message]
    if result.readable:
        outcome, reason, notes = "read", "", list(result.warnings)
        if notes:
            outcome = "warning"
        if result.same_signal_as:
            outcome, reason = "duplicate", "SameSignal"
            notes.insert(0, f"shows the same ECG as recording {result.same_signal_as}")
        if result.duplicate:
            outcome, reason = "duplicate", "SameBytes"
    return Row(
        files=names,
        outcome=outcome,
        recording_id=result.recording_id,
        format=result.format,
        leads=";".join(result.leads),
        duration_s=f"{result.duration_s:.3f}" if result.readable else "",
        reason=reason,
        message=" | ".join(" ".join(x.split()) for x in notes if x),
    )


def _summarise(report: Report) -> None:
    counts = ", ".join(f"{report.counts[x]} {x}" for x in OUTCOMES)
    print(f"{report.counts.total()} records: {counts}")
    for reason, count in report.reasons.most_common():
        print(f"  refused, {reason}: {count}")
