"""Lists of recordings: filters, pages, counts; the index is kept, caught up and made anew."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from exchangeai.bus import Bus, Position, RawChange, open_bus
from exchangeai.bus.embedded import start_bus
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.recording import Patient
from services.ingest.catalogue import Catalogue, open_catalogue
from services.ingest.index import STATES, RecordingIndex, State, Wanted, decoded

READABLE: frozenset[State] = frozenset({"pending", "done", "failed"})


def recording(i: int) -> RecordingFact:
    return RecordingFact(
        recording_id=f"{i:064x}",
        format="edf" if i % 2 else "wfdb",
        ingested_at=float(i // 2),
        error_reason="Truncated" if i % 5 == 4 else None,
        patient=Patient(patient_key="p" if i == 3 else None),
        warnings=("truncated",) if i in (3, 4, 8) else (),
    )


def made(i: int) -> PreprocessedFact:
    return PreprocessedFact(
        recording_id=f"{i:064x}", preprocessing_version="1", error="short" if i == 3 else None
    )


def put(facts: list[RecordingFact] | list[PreprocessedFact]) -> list[RawChange]:
    return [RawChange(key=x.recording_id, data=msgspec.json.encode(x)) for x in facts]


def at(revision: int) -> Position:
    return Position(bucket="b", revision=revision)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RecordingIndex]:
    opened = RecordingIndex(tmp_path / "index.sqlite")
    opened.apply("recordings", put([recording(i) for i in range(10)]), at(10))
    opened.apply("preprocessed", put([made(i) for i in range(0, 10, 3)]), at(4))
    opened.settle()
    yield opened
    opened.close()


def ids(index: RecordingIndex, wanted: Wanted) -> list[int]:
    return sorted(int(x[1], 16) for x in index.page(wanted, 100, None))


def only(*states: State) -> Wanted:
    return Wanted(states=frozenset(states))


def test_filters_and_their_totals(index: RecordingIndex) -> None:
    expected = {
        only("unreadable"): [4, 9],
        only("pending"): [1, 2, 5, 7, 8],
        only("done"): [0, 6],
        only("failed"): [3],
        Wanted(format="edf", states=READABLE): [1, 3, 5, 7],
        Wanted(patient_key="p"): [3],
        Wanted(patient_key="p", format="wfdb"): [],
        Wanted(has_warnings=True): [3, 4, 8],
        Wanted(has_warnings=True, states=READABLE): [3, 8],
        Wanted(has_warnings=False, format="edf"): [1, 5, 7, 9],
        Wanted(has_warnings=False, patient_key="p"): [],
        Wanted(): list(range(10)),
        Wanted(states=frozenset()): [],
    }
    for wanted, found in expected.items():
        assert ids(index, wanted) == found
        assert index.total(wanted) == len(found)
    oldest = [msgspec.json.decode(x, type=RecordingFact) for x in index.oldest("pending", 3)]
    assert [int(x.recording_id, 16) for x in oldest] == [1, 2, 5]


def test_rows_hold_both_facts(index: RecordingIndex) -> None:
    [row] = index.page(only("failed"), 10, None)
    assert decoded(row) == (recording(3), made(3))
    [row] = [x for x in index.page(only("pending"), 10, None) if x[1] == recording(1).recording_id]
    assert decoded(row) == (recording(1), None)


def test_counts_are_right_after_any_changes(tmp_path: Path) -> None:
    """Against a plain dictionary: puts, repeated puts, deletions, in any order of the two buckets."""
    rng = random.Random(7)
    index = RecordingIndex(tmp_path / "index.sqlite")
    recordings: dict[int, RecordingFact] = {}
    preprocessed: dict[int, PreprocessedFact] = {}
    for step in range(60):
        keys = [rng.randrange(40) for _ in range(15)]
        gone = rng.random() < 0.3
        if rng.random() < 0.5:
            changes = [
                RawChange(key=f"{k:064x}", data=None if gone else msgspec.json.encode(recording(k)))
                for k in keys
            ]
            for k in keys:
                recordings.pop(k, None) if gone else recordings.update({k: recording(k)})
            index.apply("recordings", changes, at(step))
        else:
            changes = [
                RawChange(key=f"{k:064x}", data=None if gone else msgspec.json.encode(made(k))) for k in keys
            ]
            for k in keys:
                preprocessed.pop(k, None) if gone else preprocessed.update({k: made(k)})
            index.apply("preprocessed", changes, at(step))
        states: dict[State, list[int]] = {x: [] for x in STATES}
        for k, fact in recordings.items():
            result = preprocessed.get(k)
            state: State = (
                "unreadable" if not fact.readable else "pending" if result is None else
                "failed" if result.error else "done"
            )  # fmt: skip
            states[state].append(k)
        for state, known in states.items():
            assert ids(index, only(state)) == sorted(known)
            assert index.total(only(state)) == len(known)
    index.close()


def test_batches_before_the_last_are_kept_together(tmp_path: Path) -> None:
    index = RecordingIndex(tmp_path / "index.sqlite")
    for i in range(4):
        index.apply("recordings", put([recording(i)]), at(i), is_last=False)
    with pytest.raises(msgspec.ValidationError):
        index.apply(
            "recordings", [*put([recording(9)]), RawChange(key="a", data=b"[]")], at(9), is_last=False
        )
    assert (index.position("recordings"), ids(index, Wanted())) == (at(3), [])
    index.settle()
    assert ids(index, Wanted()) == [0, 1, 2, 3]
    for i in range(4, 8):
        index.apply("recordings", put([recording(i)]), at(i), is_last=i == 6)
    index.close()
    # As after a kill: what was not ended is not there, and neither is its position.
    again = RecordingIndex(tmp_path / "index.sqlite")
    assert (again.position("recordings"), ids(again, Wanted())) == (at(6), list(range(7)))
    again.close()


def test_a_batch_that_fails_changes_nothing(index: RecordingIndex) -> None:
    new = dataclasses.replace(recording(20), format="scp")
    with pytest.raises(msgspec.ValidationError):
        index.apply("recordings", [*put([new]), RawChange(key="a", data=b"[]")], at(11))
    assert (ids(index, Wanted()), index.position("recordings")) == (list(range(10)), at(10))
    index.apply("recordings", put([new]), at(12))
    assert ids(index, Wanted(format="scp")) == [20]
    assert index.total(Wanted(format="scp")) == 1


def test_a_damaged_or_foreign_file_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    for content in (b"no database at all" * 100, b"SQLite format 3\0" + bytes(5000)):
        file.write_bytes(content)
        index = RecordingIndex(file)
        assert index.position("recordings") is None
        index.apply("recordings", put([recording(1)]), at(1))
        index.close()
    again = RecordingIndex(file)
    assert ids(again, Wanted()) == [1]
    assert again.position("recordings") == at(1)
    again.close()


async def test_pages_are_newest_first_and_stable_while_recordings_come_and_go(
    index: RecordingIndex,
) -> None:
    listed = Catalogue(index)

    async def page(token: str = "") -> tuple[list[int], str, int]:
        found = await listed.page(Wanted(), 4, token)
        return [int(x.recording_id, 16) for x, _ in found.recordings], found.next_token, found.total

    first, token, total = await page()
    assert (first, total) == ([9, 8, 7, 6], 10)
    newer = RecordingFact(recording_id="f" * 64, ingested_at=99.0)
    index.apply("recordings", [*put([newer]), RawChange(key=f"{6:064x}", data=None)], at(12))
    second, token, _ = await page(token)
    assert second == [5, 4, 3, 2]
    assert await page(token) == ([1, 0], "", 10)


@pytest.mark.parametrize("token", ["x", "====", "YQ==", "\u00e9"])
async def test_foreign_tokens_are_refused(token: str, index: RecordingIndex) -> None:
    with pytest.raises(InvalidArgument, match="page token"):
        await Catalogue(index).page(Wanted(), 1, token)


async def fill(bus: Bus, numbers: range) -> None:
    for i in numbers:
        await bus.facts(RecordingFact).put(recording(i).recording_id, recording(i))


async def test_the_index_goes_on_where_it_was_and_begins_anew_with_another_bus(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    first = start_bus(tmp_path / "first")
    try:
        async with open_bus(first.config, "test") as bus:
            await fill(bus, range(6))
            async with open_catalogue(bus, file) as catalogue:
                assert (await catalogue.page(Wanted())).total == 6
            await fill(bus, range(6, 8))
            await bus.facts(RecordingFact).delete(recording(0).recording_id)
            await bus.facts(PreprocessedFact).put(made(1).recording_id, made(1))
            async with open_catalogue(bus, file) as catalogue:
                found = await catalogue.page(Wanted())
                assert sorted(int(x.recording_id, 16) for x, _ in found.recordings) == list(range(1, 8))
                assert (await catalogue.page(only("done"))).total == 1
                await fill(bus, range(8, 9))
                await catalogue.caught_up(recording(8).recording_id)
                assert (await catalogue.page(Wanted())).total == 8
    finally:
        first.process.kill()
    second = start_bus(tmp_path / "second")
    try:
        async with open_bus(second.config, "test") as bus:
            await fill(bus, range(20, 22))
            async with open_catalogue(bus, file) as catalogue:
                found = await catalogue.page(Wanted())
                assert sorted(int(x.recording_id, 16) for x, _ in found.recordings) == [20, 21]
                assert (await catalogue.page(only("done"))).total == 0
    finally:
        second.process.kill()


async def test_an_empty_bus_gives_an_empty_catalogue(tmp_path: Path) -> None:
    server = start_bus(tmp_path / "bus")
    try:
        async with open_bus(server.config, "test") as bus, open_catalogue(bus, tmp_path / "i") as catalogue:
            assert (await catalogue.page(Wanted())).total == 0
            assert await catalogue.waiting(5) == []
    finally:
        server.process.kill()
