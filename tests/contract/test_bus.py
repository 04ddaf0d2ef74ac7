"""What the bus is: work is done once in effect, facts are compared and set, nothing vanishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchangeai.bus import Bus, Delivery, Later, Position, follow, open_bus, open_index
from exchangeai.bus.embedded import start_bus
from exchangeai.config import BusConfig
from exchangeai.errors import Conflict, InvalidArgument, NotFound, NotReady, Overloaded, PermissionDenied
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import DatasetFact, PreprocessedFact, RunFact, RunState, TrainingOptions

Handler = Callable[[RecordingIngested, Delivery], Awaitable[None]]


@asynccontextmanager
async def consuming(bus: Bus, handler: Handler, concurrency: int = 2, **options: Any) -> AsyncGenerator[None]:
    work = bus.consume(
        RecordingIngested, "preprocess-RecordingIngested", handler, concurrency=concurrency, **options
    )
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def fact(recording_id: str, version: str = "1") -> PreprocessedFact:
    return PreprocessedFact(recording_id=recording_id, preprocessing_version=version)


async def test_each_message_is_handled_and_gone(bus: Bus) -> None:
    seen: list[str] = []

    async def handler(event: RecordingIngested, _: Delivery) -> None:
        seen.append(event.recording_id)

    for i in range(50):
        await bus.publish(RecordingIngested(recording_id=f"each-{i}"), dedup_id=f"each-{i}")
    async with consuming(bus, handler):
        await eventually(lambda: len(seen) >= 50)
    assert sorted(seen) == sorted(f"each-{i}" for i in range(50))
    assert await bus.backlog() == 0


async def test_the_same_id_is_one_message(bus: Bus) -> None:
    for _ in range(3):
        await bus.publish(RecordingIngested(recording_id="same"), dedup_id="same")
    assert await bus.backlog() == 1
    seen: list[str] = []

    async def handler(event: RecordingIngested, _: Delivery) -> None:
        seen.append(event.recording_id)

    async with consuming(bus, handler):
        await eventually(lambda: bool(seen))
        await asyncio.sleep(0.2)
    assert seen == ["same"]


async def test_a_passing_failure_is_tried_again(bus: Bus) -> None:
    attempts: list[int] = []

    async def handler(_: RecordingIngested, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt == 1:
            raise OSError("disk")

    await bus.publish(RecordingIngested(recording_id="again"), dedup_id="again")
    async with consuming(bus, handler):
        await eventually(lambda: len(attempts) == 2)
    assert attempts == [1, 2]


@pytest.mark.parametrize("error", [InvalidArgument("no ECG"), NotFound("no recording")])
async def test_a_permanent_failure_is_a_dead_letter_at_once(bus: Bus, error: Exception) -> None:
    async def handler(_: RecordingIngested, __: Delivery) -> None:
        raise error

    name = f"poison-{type(error).__name__}"
    await bus.publish(RecordingIngested(recording_id=name), dedup_id=name)
    async with consuming(bus, handler):
        async with asyncio.timeout(10):
            while not [x for x in await bus.dead_letters() if name.encode() in x.payload]:
                await asyncio.sleep(0.05)
    letter = (await bus.dead_letters(1))[0]
    assert letter.event_name == "exchangeai.events.v1.RecordingIngested"
    assert letter.reason == f"{type(error).__name__}: {error}"
    assert await bus.backlog() == 0


async def test_the_last_failure_is_a_dead_letter(bus: Bus) -> None:
    async def handler(_: RecordingIngested, __: Delivery) -> None:
        raise OSError("disk")

    await bus.publish(RecordingIngested(recording_id="last"), dedup_id="last")
    async with consuming(bus, handler, max_deliver=2):
        async with asyncio.timeout(10):
            while not [x for x in await bus.dead_letters() if b"last" in x.payload]:
                await asyncio.sleep(0.05)
    assert (await bus.dead_letters(1))[0].reason == "failed 2 times, last with OSError"


async def test_later_is_asked_again_and_never_counted(bus: Bus) -> None:
    asked: list[int] = []

    async def handler(_: RecordingIngested, delivery: Delivery) -> None:
        asked.append(delivery.attempt)
        if len(asked) < 8:
            raise Later(0.02, "not yet")

    await bus.publish(RecordingIngested(recording_id="later"), dedup_id="later")
    async with consuming(bus, handler):
        await eventually(lambda: len(asked) == 8)
    assert set(asked) == {1}
    assert await bus.backlog() == 0


async def test_progress_keeps_long_work(bus: Bus) -> None:
    deliveries: list[int] = []

    async def handler(_: RecordingIngested, delivery: Delivery) -> None:
        deliveries.append(delivery.attempt)
        for _step in range(8):
            await asyncio.sleep(0.2)
            await delivery.progress()

    await bus.publish(RecordingIngested(recording_id="long"), dedup_id="long")
    async with consuming(bus, handler, ack_wait_s=0.5):
        await asyncio.sleep(2.2)
    assert deliveries == [1]


async def test_draining_finishes_what_is_in_flight(bus: Bus) -> None:
    begun, done = asyncio.Event(), []

    async def handler(event: RecordingIngested, _: Delivery) -> None:
        begun.set()
        await asyncio.sleep(0.3)
        done.append(event.recording_id)

    await bus.publish(RecordingIngested(recording_id="drain"), dedup_id="drain")
    async with consuming(bus, handler):
        await begun.wait()
    assert done == ["drain"]
    assert await bus.backlog() == 0


async def test_a_full_stream_refuses(tmp_path: Path) -> None:
    server = start_bus(tmp_path)
    try:
        async with open_bus(replace(server.config, max_work_bytes=20_000), "test") as bus:

            async def fill() -> None:
                for i in range(500):
                    await bus.publish(DatasetRequested(dataset_id="x" * 60), dedup_id=str(i))

            with pytest.raises(Overloaded, match="full"):
                await fill()
    finally:
        server.process.kill()


async def test_a_server_that_may_lose_writes_is_refused(tmp_path: Path) -> None:
    server = start_bus(tmp_path)
    server.process.kill()
    server.process.wait(5)
    settings = (tmp_path / "nats.conf").read_text().replace(", sync_interval: always", "")
    from exchangeai.embedded import ServerProcess, executable

    (tmp_path / "careless.conf").write_text(settings.replace("127.0.0.1:-1", "127.0.0.1:0", 0))
    for old in tmp_path.glob("*.ports"):
        old.unlink()
    careless = ServerProcess(
        "careless", [executable("nats-server"), "-c", str(tmp_path / "careless.conf")], {}, None
    )
    try:
        import json

        found: list[Path] = []
        for _ in range(200):
            found = [p for p in tmp_path.glob(f"*_{careless.pid}.ports") if p.read_text()]
            if found:
                break
            await asyncio.sleep(0.02)
        ports = json.loads(found[0].read_text())
        config = replace(server.config, url=ports["nats"][0], monitoring_url=ports["monitoring"][0])
        with pytest.raises(NotReady, match="sync_interval"):
            async with open_bus(config, "test"):
                pass
    finally:
        careless.kill()


async def test_a_wrong_password_is_refused(bus_config: BusConfig) -> None:
    with pytest.raises(PermissionDenied):
        async with open_bus(replace(bus_config, password="wrong"), "test"):
            pass


async def test_facts_compare_and_set(bus: Bus) -> None:
    facts = bus.facts(PreprocessedFact)
    await facts.create("cas", fact("cas"))
    with pytest.raises(Conflict):
        await facts.create("cas", fact("cas", "2"))
    found = await facts.get("cas")
    assert found is not None
    await facts.update("cas", fact("cas", "3"), found.revision)
    with pytest.raises(Conflict):
        await facts.update("cas", fact("cas", "4"), found.revision)
    assert await facts.get("absent") is None


async def test_changes_by_many_are_all_kept(bus: Bus) -> None:
    facts = bus.facts(RunFact)
    run = RunFact(
        run_id="r", model_name="m", dataset_id="d", architecture="a", state=RunState.QUEUED,
        options=TrainingOptions(),
    )  # fmt: skip
    await facts.put("r", run)
    await asyncio.gather(*(facts.change("r", lambda x: replace(x, attempt=x.attempt + 1)) for _ in range(20)))
    found = await facts.get("r")
    assert found is not None
    assert found.value.attempt == 21


async def test_a_change_of_nothing_is_not_found(bus: Bus) -> None:
    with pytest.raises(NotFound):
        await bus.facts(RunFact).change("no-such-run", lambda x: x)


async def test_a_listing_is_whole_while_others_write(bus: Bus) -> None:
    """nats-py takes a replay for ended when entries are still under way, or when others write meanwhile."""
    facts = bus.facts(PreprocessedFact)
    known = {f"known-{i}" for i in range(200)}
    for key in known:
        await facts.put(key, fact(key))
    await facts.put("gone", fact("gone"))
    await facts.delete("gone")

    async def write() -> None:
        for i in range(10**6):
            await facts.put(f"other-{i % 50}", fact(str(i)))

    writers = [asyncio.create_task(write()) for _ in range(4)]
    try:
        for _ in range(30):
            keys = await facts.keys()
            assert known <= set(keys)
            assert "gone" not in keys
            assert len(keys) == len(set(keys))
        for _ in range(10):
            async with open_index(facts) as index:
                assert known <= set(index.items)
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)


async def test_following_misses_nothing_in_many_batches_and_goes_on_after_the_server_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_BATCH", 20)
    monkeypatch.setattr(follow, "_EXPIRES_S", 0.5)
    monkeypatch.setattr(follow, "_SILENT_S", 1.0)
    server = start_bus(tmp_path)
    port = int(server.config.url.rpartition(":")[2])
    async with open_bus(server.config, "test") as bus:
        facts = bus.facts(PreprocessedFact)
        known: dict[str, bytes | None] = {}

        async def collect(since: Position | None = None) -> None:
            async for batch in facts.follow(since):
                if batch.fresh:
                    known.clear()
                known.update({x.key: x.data for x in batch.changes})

        for i in range(130):
            await facts.put(f"k{i}", fact(str(i)))
        following = asyncio.create_task(collect())
        await eventually(lambda: len(known) == 130)
        for i in range(130, 200):
            await facts.put(f"k{i}", fact(str(i)))
        await facts.delete("k3")
        await eventually(lambda: len(known) == 200 and known["k3"] is None)
        server.process.kill()
        server.process.wait(5)
        again = start_bus(tmp_path, port=port)
        try:
            await facts.put("late", fact("late"))
            await eventually(lambda: "late" in known, within_s=20)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            again.process.kill()


async def test_each_fact_is_handed_on_undecoded(bus: Bus) -> None:
    facts = bus.facts(PreprocessedFact)
    for key in ("each-1", "each-2"):
        await facts.put(key, fact(key))
    await facts.delete("each-2")
    taken: dict[str, bytes | None] = {}
    await facts.each(taken.__setitem__)
    assert facts.decode(taken["each-1"] or b"") == fact("each-1")
    assert taken.get("each-2") is None


async def test_an_empty_bucket_has_no_keys(bus: Bus) -> None:
    assert await bus.facts(DatasetFact).keys() == []
    async with open_index(bus.facts(DatasetFact)) as index:
        assert not index.items


async def test_an_index_follows_its_bucket(bus: Bus) -> None:
    facts = bus.facts(PreprocessedFact)
    await facts.put("before", fact("before"))
    async with open_index(facts) as index:
        assert index.items["before"] == fact("before")
        await facts.put("after", fact("after"))
        assert await index.wait("after", lambda x: x is not None) == fact("after")
        await facts.delete("before")
        await index.wait("before", lambda x: x is None)
        assert "before" not in index.items


async def test_changes_of_one_fact_are_seen(bus: Bus) -> None:
    facts = bus.facts(PreprocessedFact)
    await facts.put("seen", fact("seen", "1"))
    versions: list[str] = []
    async with open_index(facts) as index:

        async def follow() -> None:
            async for _, value in index.changes("seen"):
                versions.append(value.preprocessing_version if value else "gone")
                if versions[-1] == "2":
                    return

        follower = asyncio.create_task(follow())
        await asyncio.sleep(0.05)
        await facts.put("seen", fact("seen", "2"))
        await asyncio.wait_for(follower, 5)
    assert versions == ["1", "2"]


async def test_an_index_survives_the_server(tmp_path: Path) -> None:
    server = start_bus(tmp_path)
    async with open_bus(server.config, "test") as bus, open_index(bus.facts(PreprocessedFact)) as index:
        await bus.facts(PreprocessedFact).put("a", fact("a"))
        await index.wait("a", lambda x: x is not None)
        server.process.kill()
        server.process.wait(5)
        from urllib.parse import urlsplit

        ports = [urlsplit(u).port or -1 for u in (server.config.url, server.config.monitoring_url)]
        again = start_bus(tmp_path, port=ports[0], monitoring_port=ports[1])
        try:
            await bus.facts(PreprocessedFact).put("b", fact("b"))
            async with asyncio.timeout(20):
                await index.wait("b", lambda x: x is not None)
            assert set(index.items) == {"a", "b"}
        finally:
            again.process.kill()
