"""Logs of runs stay within their bounds and lose neither their beginning nor their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchangeai.store import ObjectStore
from services.trainer import run_log
from services.trainer.run_log import EARLIER_FILE, LEFT_OUT, LOG_FILE, RunLog, RunLogs, fold, read, tail

RUN = "0123456789abcdef" * 2


def test_a_log_without_end_keeps_its_beginning_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "MOST_LOG_BYTES", 4000)
    log = RunLog(tmp_path, 2)
    for i in range(5000):
        log.write(f"line {i:05}\n".encode())
        assert (tmp_path / LOG_FILE).stat().st_size <= 8000
    lines = read(tmp_path).splitlines(keepends=True)
    assert lines[:2] == [b"line 00000\n", b"line 00001\n"]
    assert lines[-1] == b"line 04999\n"
    assert lines.count(LEFT_OUT) == 1
    assert all(len(line) == 11 for line in lines if line != LEFT_OUT)


def test_starts_follow_each_other_and_a_joined_one_is_heard_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunLog(tmp_path, 1).write(b"first\n")
    fold(tmp_path, 1)
    RunLog(tmp_path, 1).write(b"second\n")
    RunLog(tmp_path, 1).write(b"second again\n")
    assert read(tmp_path) == b"first\nsecond again\n"
    monkeypatch.setattr(run_log, "MOST_LOG_BYTES", 1000)
    for i in range(100):
        RunLog(tmp_path, 1).write(b"%d\n" % i * 20)
        fold(tmp_path, 1)
    assert (tmp_path / EARLIER_FILE).stat().st_size <= 1000
    assert read(tmp_path).endswith(b"99\n")


async def test_words_outlive_the_folder_and_come_once(store: ObjectStore, tmp_path: Path) -> None:
    def place(name: str) -> tuple[RunLogs, Path]:
        folder = tmp_path / name / RUN
        folder.mkdir(parents=True)
        return RunLogs(store, folder.parent), folder

    (logs, folder), (other, _) = place("one"), place("other")
    assert await logs.read(RUN) == b""
    async with logs.kept(RUN, 1):
        RunLog(folder, 1).write(b"first\n")
        fold(folder, 1)
        log = RunLog(folder, 1)
        log.write(b"second\n")
        assert await logs.read(RUN) == b"first\nsecond\n"
        # The ranks run on elsewhere; this process ends.
    assert await other.read(RUN) == b"first\nsecond\n"
    logs, folder = place("next")
    async with logs.kept(RUN, 1):
        assert await logs.read(RUN) == b"first\nsecond\n"
        RunLog(folder, 1).write(b"second\nthird\n")
        assert await logs.read(RUN) == b"first\nsecond\nthird\n"
        fold(folder, 1)
    assert await other.read(RUN) == b"first\nsecond\nthird\n"


def test_a_full_disk_costs_only_the_words(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 1)
    (tmp_path / LOG_FILE).unlink()
    (tmp_path / LOG_FILE).symlink_to("/dev/full")
    log.write(b"words\n" * 10000)


def test_answers_are_bounded() -> None:
    data = bytes(range(65, 75)) * 20000
    assert len(tail(data, 0)) == 1 << 16
    assert len(tail(data, 1 << 20)) == 1 << 16
    assert tail(data, 3) == "HIJ"
    assert tail(data, 3, 2) == "FGH"
    assert tail(data, 3, 1 << 30) == ""
    assert tail("é".encode(), 1) == "\ufffd"
