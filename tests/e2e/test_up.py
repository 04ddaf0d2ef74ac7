"""`exchangeai up` as a newcomer uses it: it says where it is, ends cleanly and finds its data again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from demo.platform import connect
from demo.upload import upload, wait_until_preprocessed
from exchangeai.rpc import invoke
from exchangeai.v1 import ingest_service_pb2
from services.local import running_platform
from tests.e2e.conftest import some_records

pytestmark = pytest.mark.timeout(240)


class Up:
    """A running `exchangeai up`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        command = [sys.executable, "-m", "exchangeai", "up", "--data", str(data), "--port", "0"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGEAI_")}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.said = ""

    def until(self, words: str) -> str:
        """Read its output until it says the words."""
        assert self.process.stdout is not None
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended without saying {words!r}:\n{self.said}"
            self.said += line
        return self.said

    def end(self, number: signal.Signals, within_s: float) -> int:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=within_s)
        self.said += rest
        return self.process.returncode


def left_running(data: Path) -> list[str]:
    """Command lines of processes that still use the folder."""
    found: list[str] = []
    for process in Path("/proc").iterdir():
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except (OSError, ValueError):
            continue
        if str(data).encode() in text and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@contextmanager
def up(data: Path) -> Iterator[Up]:
    started = Up(data)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with up(tmp_path / "data") as running:
        said = running.until("Ctrl-C stops it")
        assert re.search(r"User interface\s+http://127\.0\.0\.1:\d+", said)
        assert "grpcurl" in said
        assert "not a medical device" in said
        for step in ("message bus", "object store", "ingest", "preprocess", "trainer", "inference", "ui"):
            assert step in said
        assert running.end(number, 30) == 0
        assert "Stopped." in running.said
        assert "killed" not in running.said
    assert left_running(tmp_path / "data") == []


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with up(tmp_path / "data") as running:
        running.until("Ctrl-C stops it")
        running.process.send_signal(signal.SIGINT)
        running.until("Stopping")
        begin = time.monotonic()
        assert running.end(signal.SIGINT, 10) == 130
        assert time.monotonic() - begin < 2
    time.sleep(0.5)
    assert left_running(tmp_path / "data") == []


def test_killing_it_leaves_nothing_running(tmp_path: Path) -> None:
    with up(tmp_path / "data") as running:
        running.until("Ctrl-C stops it")
        running.end(signal.SIGKILL, 10)
        deadline = time.monotonic() + 10
        while left_running(tmp_path / "data"):
            assert time.monotonic() < deadline, left_running(tmp_path / "data")
            time.sleep(0.1)


def test_it_finds_its_data_again(tmp_path: Path) -> None:
    records = some_records(5, 0, 0)
    with running_platform(tmp_path / "data", environment={}) as platform, ExitStack() as stack:
        stub = connect(platform.addresses, stack).ingest
        sent = upload(stub, records, tmp_path)
        wait_until_preprocessed(stub, len(sent.ids))
    with running_platform(tmp_path / "data", environment={}) as platform, ExitStack() as stack:
        stub = connect(platform.addresses, stack).ingest
        listed = invoke(stub.List, ingest_service_pb2.ListRequest())
        assert {r.recording_id for r in listed.recordings} == set(sent.ids.values())
        again = upload(stub, records, tmp_path)
        assert again.ids == sent.ids
        assert invoke(stub.List, ingest_service_pb2.ListRequest()).total == len(records)


def test_two_platforms_that_start_at_once_take_ports_of_their_own(tmp_path: Path) -> None:
    with up(tmp_path / "one") as one, up(tmp_path / "two") as two:
        said = [running.until("Ctrl-C stops it") for running in (one, two)]
        ports = [set(re.findall(r"127\.0\.0\.1:(\d+)", text)) for text in said]
        assert ports[0]
        assert not ports[0] & ports[1]
        assert [running.end(signal.SIGTERM, 30) for running in (one, two)] == [0, 0]


def test_two_platforms_do_not_share_a_folder(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data", environment={}):
        second = Up(tmp_path / "data")
        said, _ = second.process.communicate(timeout=20)
        assert second.process.returncode == 1
        assert "another platform is running" in said
