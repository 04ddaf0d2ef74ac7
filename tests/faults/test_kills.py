"""Processes are killed while recordings come in: each has one result, none is lost, none comes twice."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.platform import connect
from demo.upload import upload
from exchangeai.bus import open_bus
from exchangeai.errors import ExchangeError
from exchangeai.facts import PreprocessedFact, RecordingFact
from services.local import running_platform
from tests.e2e.conftest import some_records

RECORDINGS = 200

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


async def test_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    records = some_records(RECORDINGS, 0, 0)
    with running_platform(tmp_path / "data", environment={}) as platform, ExitStack() as stack:
        stubs = connect(platform.addresses, stack)
        uploading = threading.Event()
        killed: Counter[str] = Counter()

        def kill() -> None:
            while not uploading.wait(1.0):
                for name in ("preprocess", "bus"):
                    try:
                        os.kill(platform.pid(name), signal.SIGKILL)
                        killed[name] += 1
                    except ProcessLookupError:
                        continue
                    uploading.wait(2.5)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        ids: dict[str, str] = {}
        try:
            for start in range(0, RECORDINGS, 20):
                batch = records[start : start + 20]
                for _attempt in range(20):
                    try:
                        with tempfile.TemporaryDirectory() as folder:
                            ids |= upload(stubs.ingest, batch, Path(folder)).ids
                        break
                    except ExchangeError:
                        # A caller repeats what was not answered; the ids make that safe.
                        time.sleep(0.5)
            while killed["bus"] < 2 or killed["preprocess"] < 2:
                time.sleep(0.1)
        finally:
            uploading.set()
            killer.join()
        assert len(set(ids.values())) == RECORDINGS
        assert platform.bus is not None
        async with open_bus(platform.bus, "test") as bus:
            deadline = time.monotonic() + 120
            while len(await bus.facts(PreprocessedFact).keys()) < RECORDINGS:
                assert time.monotonic() < deadline, "some recordings were never preprocessed"
                time.sleep(0.5)
            while await bus.backlog():
                assert time.monotonic() < deadline, "some work never ended"
                time.sleep(0.5)
            assert set(await bus.facts(PreprocessedFact).keys()) == set(ids.values())
            assert set(await bus.facts(RecordingFact).keys()) == set(ids.values())
            assert await bus.dead_letters() == []
            for recording_id in ids.values():
                found = await bus.facts(PreprocessedFact).get(recording_id)
                assert found is not None
                assert found.value.windows == 1
        assert platform.store is not None
        from exchangeai.store import open_store

        async with open_store(platform.store) as store:
            for prefix, suffix in (("recordings/", ".npz"), ("windows/", ".npz")):
                keys = [k for k in await store.list(prefix) if k.endswith(suffix)]
                assert sorted(keys) == sorted(f"{prefix}{i}{suffix}" for i in ids.values())
