"""A local SQLite index of recordings: searched by the catalogue, filled from facts, made anew at will.

A recording belongs to one facet: its format, its state, whether it has warnings. Counts are kept by facet and
each page is merged from the facets that match, so lists and totals cost the same at any number of recordings.
"""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from exchangeai.bus import Position, RawChange
from exchangeai.facts import PreprocessedFact, RecordingFact

State = Literal["unreadable", "pending", "done", "failed"]
STATES: tuple[State, ...] = ("unreadable", "pending", "done", "failed")
_VERSION = 2
_BATCHES_HELD = 10
_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE facets (facet INTEGER PRIMARY KEY, format TEXT, state INTEGER, warned INTEGER,
                     count INTEGER NOT NULL DEFAULT 0, UNIQUE (format, state, warned));
CREATE TABLE recordings (recording_id TEXT UNIQUE, ingested_at REAL, facet INTEGER, patient_key TEXT,
                         fact BLOB);
CREATE TABLE preprocessed (recording_id TEXT UNIQUE, failed INTEGER, fact BLOB);
"""
_INDEXES = {
    "by_time": "recordings (ingested_at DESC, recording_id DESC, facet)",
    "by_facet": "recordings (facet, ingested_at DESC, recording_id DESC)",
    "by_patient": "recordings (patient_key, ingested_at DESC, recording_id DESC) WHERE patient_key != ''",
}
_Facet = tuple[str, int, int]
"""Format, position in STATES, 1 with warnings."""
_ROW = "r.ingested_at, r.recording_id, r.fact, p.fact"


class _Patient(msgspec.Struct):
    patient_key: str | None = None


class _Recording(msgspec.Struct):
    """The fields of a RecordingFact by which it is found."""

    ingested_at: float = 0.0
    format: str = ""
    error_reason: str | None = None
    patient: _Patient = msgspec.field(default_factory=_Patient)
    warnings: tuple[str, ...] = ()


class _Preprocessed(msgspec.Struct):
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """All conditions must hold; None does not restrict."""

    states: frozenset[State] | None = None
    format: str | None = None
    patient_key: str | None = None
    has_warnings: bool | None = None


Row = tuple[float, str, bytes, bytes | None]
"""ingested_at, recording id, the recording's fact and that of its preprocessing as JSON."""


class RecordingIndex:
    """The index in one file. Writes come from one thread; reads may come from any."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = file
        self._reading = threading.local()
        try:
            self._db = self._opened()
        except sqlite3.DatabaseError:
            # Not ours, of another version, or damaged: it can be made anew at any time.
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
            self._db = self._opened()
        self._held = 0
        self._facets = self._stored_facets()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def position(self, bucket: str) -> Position | None:
        """How far the index has come in a bucket; None when it knows nothing of it."""
        found = self._db.execute("SELECT value FROM about WHERE key = ?", (bucket,)).fetchone()
        return msgspec.json.decode(found[0], type=Position) if found else None

    def forget(self, bucket: str) -> None:
        """Forget everything of a bucket, and the secondary indexes until `settle()`."""
        with self._transaction():
            if bucket == "recordings":
                for name in _INDEXES:
                    self._db.execute(f"DROP INDEX IF EXISTS {name}")
                self._db.execute("DELETE FROM recordings")
                self._db.execute("UPDATE facets SET count = 0")
            else:
                self._db.execute("DELETE FROM preprocessed")
                self._restate([x for (x,) in self._db.execute("SELECT recording_id FROM recordings")])
            self._db.execute("DELETE FROM about WHERE key = ?", (bucket,))

    def settle(self) -> None:
        """Make the secondary indexes that are not there."""
        with self._transaction():
            for name, columns in _INDEXES.items():
                self._db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")

    def apply(
        self, bucket: str, changes: Sequence[RawChange], position: Position, *, is_last: bool = True
    ) -> None:
        """Take a batch of changes in; the position is kept with them, so none is lost or taken twice.

        Before the last of many only every tenth batch is made visible and durable: keys are digests, so each
        transaction writes most pages of the tables' indexes.
        """
        last = {x.key: x.data for x in changes}
        gone = [key for key, data in last.items() if data is None]
        there = [(key, data) for key, data in last.items() if data is not None]
        with self._transaction(is_last=is_last):
            if bucket == "recordings":
                self._uncount(last)
                self._drop("recordings", gone)
                self._put_recordings(there)
            else:
                self._drop("preprocessed", gone)
                self._put_preprocessed(there)
                if self._db.execute("SELECT 1 FROM recordings LIMIT 1").fetchone() is not None:
                    self._restate(last)
            told = msgspec.json.encode(position).decode()
            self._db.execute("REPLACE INTO about VALUES (?, ?)", (bucket, told))

    def page(self, wanted: Wanted, size: int, after: tuple[float, str] | None) -> list[Row]:
        """At most `size` rows, newest first, older than the position `after`."""
        before = after or (float("inf"), "")
        if wanted.patient_key is not None:
            return list(self._of_patient(wanted, size, before))
        if wanted.states is None and wanted.format is None and wanted.has_warnings is None:
            where = "(r.ingested_at, r.recording_id) < (?, ?)"
            return self._rows("by_time", where, (*before, size))
        where = "r.facet = ? AND (r.ingested_at, r.recording_id) < (?, ?)"
        parts = [self._rows("by_facet", where, (n, *before, size)) for n in self._matching(wanted)]
        merged = heapq.merge(*parts, key=lambda x: (x[0], x[1]), reverse=True)
        return [x for x, _ in zip(merged, range(size), strict=False)]

    def total(self, wanted: Wanted) -> int:
        """How many recordings match."""
        if wanted.patient_key is not None:
            return sum(1 for _ in self._of_patient(wanted, -1, (float("inf"), "")))
        counts = dict(self._reader().execute("SELECT facet, count FROM facets").fetchall())
        return sum(counts.get(n, 0) for n in self._matching(wanted))

    def oldest(self, state: State, size: int) -> list[bytes]:
        """Facts of recordings in a state, oldest first."""
        found: list[tuple[float, bytes]] = []
        for facet in self._matching(Wanted(states=frozenset({state}))):
            found += self._reader().execute(
                "SELECT ingested_at, fact FROM recordings WHERE facet = ?"
                " ORDER BY ingested_at, recording_id LIMIT ?",
                (facet, size),
            )
        return [fact for _, fact in sorted(found)[:size]]

    def knows(self, recording_id: str) -> bool:
        """Whether the recording is listed."""
        found = self._reader().execute("SELECT 1 FROM recordings WHERE recording_id = ?", (recording_id,))
        return found.fetchone() is not None

    @contextmanager
    def _transaction(self, *, is_last: bool = True) -> Generator[None]:
        """All or nothing of what is done inside; ended with some of the following, unless it is the last."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN")
        self._db.execute("SAVEPOINT batch")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO batch")
            # Facets that were new in a batch that is taken back are not there.
            self._facets = self._stored_facets()
            raise
        finally:
            self._db.execute("RELEASE batch")
        self._held += 1
        if is_last or self._held >= _BATCHES_HELD:
            self._db.execute("COMMIT")
            self._held = 0

    def _opened(self) -> sqlite3.Connection:
        db = self._connection()
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                db.close()
                raise sqlite3.DatabaseError("an index of another version")
            db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            db.close()
            raise sqlite3.DatabaseError("a damaged index")
        return db

    def _connection(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._file, timeout=30, check_same_thread=False, cached_statements=256, isolation_level=None
        )
        # The facts are safe elsewhere; losing the last batches only means taking them again.
        # Facts of twelve leads have 1.6 kB.
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -131072")
        return db

    def _reader(self) -> sqlite3.Connection:
        if not hasattr(self._reading, "db"):
            self._reading.db = self._connection()
        return self._reading.db

    def _rows(self, index: str, where: str, values: tuple[object, ...]) -> list[Row]:
        has = self._reader().execute("SELECT 1 FROM sqlite_master WHERE name = ?", (index,)).fetchone()
        hint = f"INDEXED BY {index}" if has else ""
        return (
            self._reader()
            .execute(
                f"SELECT {_ROW} FROM recordings r {hint} LEFT JOIN preprocessed p USING (recording_id)"
                f" WHERE {where} ORDER BY r.ingested_at DESC, r.recording_id DESC LIMIT ?",
                values,
            )
            .fetchall()
        )

    def _of_patient(self, wanted: Wanted, size: int, before: tuple[float, str]) -> Iterator[Row]:
        facets = set(self._matching(wanted))
        found = self._reader().execute(
            f"SELECT {_ROW}, r.facet FROM recordings r LEFT JOIN preprocessed p USING (recording_id)"
            " WHERE r.patient_key = ? AND r.patient_key != '' AND (r.ingested_at, r.recording_id) < (?, ?)"
            " ORDER BY r.ingested_at DESC, r.recording_id DESC",
            (wanted.patient_key, *before),
        )
        shown = 0
        for *row, facet in found:
            if shown == size:
                return
            if facet in facets:
                shown += 1
                yield row[0], row[1], row[2], row[3]

    def _matching(self, wanted: Wanted) -> list[int]:
        states = {STATES.index(x) for x in wanted.states} if wanted.states is not None else range(len(STATES))
        found = self._reader().execute("SELECT facet, format, state, warned FROM facets").fetchall()
        return [
            n
            for n, form, state, warned in found
            if state in states and wanted.format in (None, form) and wanted.has_warnings in (None, warned)
        ]

    def _put_preprocessed(self, there: list[tuple[str, bytes]]) -> None:
        decode = msgspec.json.Decoder(_Preprocessed).decode
        rows = [(key, decode(data).error is not None, data) for key, data in sorted(there)]
        self._db.executemany("REPLACE INTO preprocessed VALUES (?, ?, ?)", rows)

    def _put_recordings(self, there: list[tuple[str, bytes]]) -> None:
        made = self._preprocessed_of([key for key, _ in there])
        rows: list[tuple[str, float, int, str, bytes]] = []
        counts: dict[int, int] = {}
        decode = msgspec.json.Decoder(_Recording).decode
        for key, data in there:
            fact = decode(data)
            state = 0 if fact.error_reason is not None else made.get(key, 1)
            facet = self._facet((fact.format, state, int(bool(fact.warnings))))
            counts[facet] = counts.get(facet, 0) + 1
            rows.append((key, fact.ingested_at, facet, fact.patient.patient_key or "", data))
        self._db.executemany("REPLACE INTO recordings VALUES (?, ?, ?, ?, ?)", rows)
        self._count(counts)

    def _restate(self, keys: Iterable[str]) -> None:
        """Move recordings to the state that their preprocessing has now."""
        known = list(keys)
        made = self._preprocessed_of(known)
        known_facets = {n: facet for facet, n in self._facets.items()}
        moved: list[tuple[int, str]] = []
        counts: dict[int, int] = {}
        for key, facet in self._select("SELECT recording_id, facet FROM recordings", known):
            form, state, warned = known_facets[facet]
            target = self._facet((form, made.get(key, 1), warned)) if state else facet
            if target != facet:
                moved.append((target, key))
                counts[facet] = counts.get(facet, 0) - 1
                counts[target] = counts.get(target, 0) + 1
        self._db.executemany("UPDATE recordings SET facet = ? WHERE recording_id = ?", moved)
        self._count(counts)

    def _uncount(self, keys: Iterable[str]) -> None:
        counts: dict[int, int] = {}
        for _, facet in self._select("SELECT recording_id, facet FROM recordings", list(keys)):
            counts[facet] = counts.get(facet, 0) - 1
        self._count(counts)

    def _count(self, counts: dict[int, int]) -> None:
        self._db.executemany(
            "UPDATE facets SET count = count + ? WHERE facet = ?", [(n, f) for f, n in counts.items()]
        )

    def _preprocessed_of(self, keys: list[str]) -> dict[str, int]:
        """State number by recording: done or failed; absent while pending."""
        found = self._select("SELECT recording_id, failed FROM preprocessed", keys)
        return {key: 3 if failed else 2 for key, failed in found}

    def _select(self, query: str, keys: list[str]) -> Iterator[tuple[str, int]]:
        keys = sorted(keys)  # neighbours lie on one page
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            yield from self._db.execute(
                f"{query} WHERE recording_id IN ({','.join('?' * len(part))})", part
            ).fetchall()

    def _drop(self, table: str, keys: list[str]) -> None:
        self._db.executemany(f"DELETE FROM {table} WHERE recording_id = ?", [(x,) for x in keys])

    def _stored_facets(self) -> dict[_Facet, int]:
        found = self._db.execute("SELECT facet, format, state, warned FROM facets")
        return {(form, state, warned): n for n, form, state, warned in found}

    def _facet(self, facet: _Facet) -> int:
        known = self._facets.get(facet)
        if known is None:
            row = self._db.execute(
                "INSERT INTO facets (format, state, warned) VALUES (?, ?, ?) RETURNING facet", facet
            )
            known = self._facets[facet] = int(row.fetchone()[0])
        return known


def decoded(row: Row) -> tuple[RecordingFact, PreprocessedFact | None]:
    """The facts of a row."""
    made = msgspec.json.decode(row[3], type=PreprocessedFact) if row[3] is not None else None
    return msgspec.json.decode(row[2], type=RecordingFact), made
