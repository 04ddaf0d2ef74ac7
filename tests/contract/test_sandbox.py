"""The sandbox: results, typed errors, and that crash, hang, hunger and secrets stay inside."""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import signal
import socket
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from exchangeai.errors import Conflict, ReaderCrashed, Truncated, UnknownFormat
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


async def test_no_file_but_its_own_folder_and_no_connection(sandbox: Sandbox, tmp_path: Path) -> None:
    if not _landlock():
        pytest.skip("this kernel has no Landlock")
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    for path in (secret, Path("/etc/passwd"), Path.home() / ".profile", Path("/proc/1/environ")):
        assert await sandbox.call(f"read\0{path}".encode()) == b"denied"
    assert await sandbox.call(f"write\0{tmp_path}/new".encode()) == b"denied"
    assert await sandbox.call(b"write\0own") == b"done"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await sandbox.call(f"connect\0{port}".encode()) == b"denied"


async def test_large_payloads_travel_too(sandbox: Sandbox) -> None:
    for size in (0, 1, 31 * MIB, 40 * MIB):
        data = os.urandom(MIB) * (size // MIB) + bytes(size % MIB)
        assert await sandbox.call([b"echo\0", data]) == data


async def test_a_pipeline_keeps_order_and_failures(sandbox: Sandbox) -> None:
    payloads = [b"echo\0%d" % i if i % 3 else b"truncated" for i in range(20)]
    async with sandbox.session() as session:
        answers = [x async for x in session.pipeline(payloads)]
    for i, answer in enumerate(answers):
        assert isinstance(answer, Truncated) if i % 3 == 0 else answer == b"%d" % i
    with pytest.raises(ReaderCrashed):
        async with sandbox.session() as session:
            [x async for x in session.pipeline([b"echo\0a", b"abort", b"echo\0b"])]
    big = b"echo\0" + bytes(40 * MIB)
    async with sandbox.session() as session:
        assert [len(x) async for x in session.pipeline([big] * 4) if isinstance(x, bytes)] == [40 * MIB] * 4
    async with sandbox.session() as session, aclosing(session.pipeline([b"echo\0a"] * 9)) as left:
        assert await anext(left) == b"a"
    assert await sandbox.call(b"echo\0alive") == b"alive"


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


async def test_bulk_reads_the_same_as_one_by_one_whatever_dies() -> None:
    reader = SandboxedReader(workers=2)
    try:
        await reader.start()
        records = [{**RECORD, "r.dat": bytes([i % 256]) * 1000} if i % 7 else {"x": b"?"} for i in range(400)]
        reading = asyncio.create_task(reader.read_many(records, ReadOptions()))
        await asyncio.sleep(0.03)
        for pid in _sandboxed_children():
            os.kill(pid, signal.SIGKILL)
        found = await reading
        for i, outcome in enumerate(found):
            if i % 7 == 0:
                assert isinstance(outcome, UnknownFormat)
                continue
            assert isinstance(outcome, (list, ReaderCrashed))
            if isinstance(outcome, list):
                assert to_bytes(outcome[0].recording) == to_bytes(read_records(records[i])[0].recording)
        assert sum(isinstance(x, ReaderCrashed) for x in found) <= 6
        assert await reader.read_many([], ReadOptions()) == []
        again = await reader.read_many(records, ReadOptions())
        assert not any(isinstance(x, ReaderCrashed) for x in again)
    finally:
        await reader.close()


async def test_archives_are_expanded_in_the_child_slice_by_slice() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(700):
            archive.writestr(f"{i}/r.hea", RECORD["r.hea"])
            archive.writestr(f"{i}/r.dat", RECORD["r.dat"])
        archive.writestr("../out", b"1")
    reader = SandboxedReader()
    try:
        groups = [x async for x in reader.expand({"a.zip": packed.getvalue(), "t.csv": b"1,2"})]
        assert [x.names for x in groups if x.error] == [("a.zip/../out",)]
        assert sum(x.files == RECORD for x in groups) == 700
        assert groups[-1].files == {"t.csv": b"1,2"}
        async with aclosing(reader.expand({"a.zip": packed.getvalue()})) as left:
            assert (await anext(left)).names
        [found] = await reader.read(RECORD, ReadOptions())
        assert found.recording.lead_names == ("II",)
    finally:
        await reader.close()


def _sandboxed_children() -> list[int]:
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"exchangeai.sandbox" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _landlock() -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1) >= 4)
