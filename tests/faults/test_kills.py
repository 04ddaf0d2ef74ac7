"""Processes are killed while recordings come in: each has one result, none is lost, none comes twice."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.platform import connect
from demo.records import Record
from demo.upload import upload
from exchangeai.bus import open_bus
from exchangeai.errors import ExchangeaiError
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.store import open_store
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.local import Platform, running_platform
from tests.e2e.conftest import some_records

RECORDINGS = 200

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@dataclass
class Killer:
    """Kills one of the named processes every few seconds until stopped."""

    platform: Platform
    names: tuple[str, ...]
    killed: Counter[str] = field(default_factory=Counter[str])
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.enough.wait(1.0):
            for name in self.names:
                try:
                    os.kill(self.platform.pid(name), signal.SIGKILL)
                    self.killed[name] += 1
                except ProcessLookupError:
                    continue
                self.enough.wait(2.5)


def upload_all(stub: IngestServiceStub, records: list[Record]) -> dict[str, str]:
    """Upload in small batches; a caller repeats what was not answered, and the ids make that safe."""
    ids: dict[str, str] = {}
    for start in range(0, len(records), 20):
        for _attempt in range(20):
            try:
                with tempfile.TemporaryDirectory() as folder:
                    ids |= upload(stub, records[start : start + 20], Path(folder)).ids
                break
            except ExchangeaiError:
                time.sleep(0.5)
    return ids


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Platform]:
    """A platform that may be damaged."""
    with running_platform(tmp_path / "data", environment={}) as running:
        yield running


@pytest.fixture
def survivors(fresh: Platform) -> set[str]:
    """Ids of 200 recordings that were uploaded while the preprocess worker and nats-server were killed."""
    killer = Killer(fresh, ("preprocess", "bus"))
    thread = threading.Thread(target=killer.run, daemon=True)
    thread.start()
    try:
        with ExitStack() as stack:
            ids = upload_all(connect(fresh.addresses, stack).ingest, some_records(RECORDINGS, 0, 0))
        while min(killer.killed[name] for name in killer.names) < 2:
            time.sleep(0.1)
    finally:
        killer.enough.set()
        thread.join()
    return set(ids.values())


async def test_kills_lose_nothing_and_do_nothing_twice(fresh: Platform, survivors: set[str]) -> None:
    assert len(survivors) == RECORDINGS
    assert fresh.bus is not None
    assert fresh.store is not None
    async with open_bus(fresh.bus, "test") as bus, open_store(fresh.store) as store:
        done = bus.facts(PreprocessedFact)
        async with asyncio.timeout(120):
            while len(await done.keys()) < RECORDINGS or await bus.backlog():
                await asyncio.sleep(0.5)
        assert set(await done.keys()) == survivors
        assert set(await bus.facts(RecordingFact).keys()) == survivors
        assert await bus.dead_letters() == []
        facts = [await done.get(recording_id) for recording_id in survivors]
        assert {f.value.windows for f in facts if f} == {1}
        for bucket in ("recordings", "windows"):
            kept = [k for k in await store.list(f"{bucket}/") if k.endswith(".npz")]
            assert sorted(kept) == sorted(f"{bucket}/{i}.npz" for i in survivors)
