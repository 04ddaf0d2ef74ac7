"""The sandbox: results, typed errors, and that crash, hang, hunger and secrets stay inside."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from exchangeai.errors import Conflict, ReaderCrashed, Truncated
from exchangeai.formats import ReadOptions, read_records
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.recording import to_bytes
from exchangeai.sandbox import Sandbox

MIB = 1 << 20
TARGET = "exchangeai.testing.sandbox_targets:act"
RECORD = {"r.hea": b"r 1 500 500\nr.dat 16 1000/mV 16 0 0 0 0 II\n", "r.dat": bytes(range(250)) * 4}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(TARGET, timeout_s=10, memory_bytes=256 * MIB)
    yield made
    await made.close()


async def test_results_and_errors_of_the_platform_come_back(sandbox: Sandbox) -> None:
    assert await sandbox.call(b"echo\0" + b"x" * 3 * MIB) == b"x" * 3 * MIB
    with pytest.raises(Truncated, match=r"^ends too soon$"):
        await sandbox.call(b"truncated")
    with pytest.raises(Conflict):
        await sandbox.call(b"conflict")
    assert await sandbox.call(b"echo\0again") == b"again"


@pytest.mark.parametrize("action", [b"abort", b"segfault", b"exit", b"raise"])
async def test_a_dying_child_is_an_error_and_replaced(sandbox: Sandbox, action: bytes) -> None:
    with pytest.raises(ReaderCrashed):
        await sandbox.call(action)
    assert await sandbox.call(b"echo\0alive") == b"alive"


async def test_an_unforeseen_error_tells_no_details(sandbox: Sandbox) -> None:
    with pytest.raises(ReaderCrashed) as caught:
        await sandbox.call(b"raise")
    assert "secret detail" not in str(caught.value)


async def test_a_hanging_child_is_killed(sandbox: Sandbox) -> None:
    await sandbox.start()
    begin = time.monotonic()
    with pytest.raises(ReaderCrashed, match="took longer"):
        await sandbox.call(b"hang", timeout_s=0.3)
    assert time.monotonic() - begin < 2
    assert await sandbox.call(b"echo\0alive") == b"alive"


async def test_memory_is_limited(sandbox: Sandbox) -> None:
    with pytest.raises(ReaderCrashed, match="memory"):
        await sandbox.call(b"hunger")
    assert await sandbox.call(b"echo\0alive") == b"alive"


async def test_no_secrets_and_an_empty_folder(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGEAI_SITE_KEY", "do not tell")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    answer = (await sandbox.call(b"environment")).decode()
    assert "do not tell" not in answer
    assert not any(x.startswith(("EXCHANGEAI", "AWS")) for x in answer.split("\n"))
    assert await sandbox.call(b"folder") == b""


async def test_what_a_library_prints_does_not_disturb(sandbox: Sandbox) -> None:
    assert await sandbox.call(b"print") == b"printed"


async def test_cancelling_a_call_leaves_a_usable_pool(sandbox: Sandbox) -> None:
    await sandbox.start()
    call = asyncio.create_task(sandbox.call(b"hang"))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert await sandbox.call(b"echo\0alive") == b"alive"


async def test_workers_run_side_by_side_and_end_with_close() -> None:
    pool = Sandbox(TARGET, timeout_s=10, memory_bytes=256 * MIB, workers=2)
    pids = {int(x) for x in await asyncio.gather(*(pool.call(b"nap") for _ in range(2)))}
    assert len(pids) == 2
    await pool.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_child_killed_from_outside_is_replaced(sandbox: Sandbox) -> None:
    pid = int(await sandbox.call(b"nap"))
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert int(await sandbox.call(b"nap")) != pid


async def test_files_read_in_the_sandbox_equal_those_read_here() -> None:
    reader = SandboxedReader()
    try:
        [found] = await reader.read(RECORD, ReadOptions())
        assert to_bytes(found.recording) == to_bytes(read_records(RECORD)[0].recording)
        stated = ReadOptions(sampling_rate_hz=100, unit="uV", leads=("I", "II"))
        [table] = await reader.read({"t.csv": b"1,2\n3,4\n5,6\n"}, stated)
        assert [x.name for x in table.recording.leads] == ["I", "II"]
        with pytest.raises(Truncated):
            await reader.read({**RECORD, "r.dat": b"\0"}, ReadOptions())
        begin = time.monotonic()
        await asyncio.gather(*(reader.read(RECORD, ReadOptions()) for _ in range(20)))
        assert time.monotonic() - begin < 10
    finally:
        await reader.close()
