"""A bulk import is killed in the middle, run again, and every record is there exactly once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from demo.platform import Stubs
from exchangeai.config import PREFIX, to_env
from exchangeai.import_report import Row, read_report
from exchangeai.import_sources import Sources
from exchangeai.rpc import invoke
from exchangeai.store import open_blocking_store
from exchangeai.v1 import ingest_service_pb2
from services.local import Platform

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
KINDS = ("aecg", "cardiosoft", "dicom", "ishne", "muse", "philips", "scp", "wfdb", "bad")
SMALL_CALLS = (
    "import sys; from exchangeai import import_command; import_command.CALL_FILES = 3; "
    "from exchangeai.__main__ import main; sys.exit(main())"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of many formats, broken ones among them, in folders that hold equal names too."""
    root = tmp_path_factory.mktemp("import") / "ward"
    for kind in KINDS:
        for path in sorted((GOLDEN / kind).glob("*.*")):
            if path.is_file() and path.suffix != ".py":
                (root / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / kind)
    (root / "again").mkdir()
    shutil.copy(root / "scp" / "Example.scp", root / "again")
    (root / "letter.txt").write_text("Dear colleague,\n" * 20)
    (root / "empty.xml").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def finished(folder: Path, platform: Platform) -> list[Row]:
    """The rows of an import that was killed once, and went on."""
    report = folder.parent / "report.csv"
    command = ["import", str(folder), "--to", platform.addresses["ingest"], "--report", str(report)]
    killed = subprocess.Popen([sys.executable, "-c", SMALL_CALLS, *command], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (report.exists() and len(read_report(report)) >= 6):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(10) == -signal.SIGKILL
    before = read_report(report)
    assert 6 <= len(before) < len(list(Sources([str(folder)])))
    # The kill may have come within a row.
    with report.open("ab") as out:
        out.write(b'ward/wfdb/"half')
    again = run(command)
    assert again.returncode == 1, again.stderr
    rows = read_report(report)
    assert rows[: len(before)] == before
    return rows


def run(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exchangeai", *command],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def in_platform(stubs: Stubs) -> Counter[str]:
    ids, token = Counter[str](), ""
    while True:
        request = ingest_service_pb2.ListRequest(page_size=1000, page_token=token)
        page: ingest_service_pb2.ListResponse = invoke(stubs.ingest.List, request)
        ids.update(x.recording_id for x in page.recordings)
        token = page.next_page_token
        if not token:
            return ids


def test_every_record_is_once_in_the_report(finished: list[Row], folder: Path) -> None:
    wanted = Counter(";".join(x.names) for x in Sources([str(folder)]))
    assert len(wanted) >= 50
    assert Counter(x.files for x in finished) == wanted
    by_file = {x.files: x for x in finished}
    assert by_file["ward/letter.txt"].reason == "UnknownFormat"
    assert by_file["ward/empty.xml"].reason == "EmptyFile"
    assert by_file["ward/bad/trunc.scp"].outcome == "refused"
    assert by_file["ward/dicom/ecgtoolkit_example.dcm"].leads.startswith("I;II;")
    twins = [by_file["ward/again/Example.scp"], by_file["ward/scp/Example.scp"]]
    assert twins[0].recording_id == twins[1].recording_id
    assert twins[1].outcome == "duplicate"


def test_every_record_is_once_in_the_platform(finished: list[Row], stubs: Stubs) -> None:
    there = in_platform(stubs)
    assert {x.recording_id for x in finished if x.recording_id} <= set(there)
    assert set(there.values()) == {1}


def test_a_finished_import_has_nothing_left_to_do(
    finished: list[Row], folder: Path, platform: Platform
) -> None:
    report = folder.parent / "report.csv"
    before = report.read_bytes()
    ended = run(["import", str(folder), "--to", platform.addresses["ingest"], "--report", str(report)])
    assert ended.returncode == 1
    assert report.read_bytes() == before
    assert "refused, UnknownFormat: " in ended.stdout


def test_a_zip_of_the_same_finds_the_same(
    finished: list[Row], folder: Path, platform: Platform, stubs: Stubs
) -> None:
    before = in_platform(stubs)
    packed = folder.parent / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(x for x in folder.rglob("*") if x.is_file()):
            archive.write(path, path.relative_to(folder))
    report = folder.parent / "zip.csv"
    ended = run(["import", str(packed), "--to", platform.addresses["ingest"], "--report", str(report)])
    assert ended.returncode == 1, ended.stderr
    rows = {
        ";".join(sorted(y.removeprefix("packed.zip/") for y in x.files.split(";"))): x
        for x in read_report(report)
    }
    for row in finished:
        twin = rows.pop(";".join(sorted(y.removeprefix("ward/") for y in row.files.split(";"))))
        assert (twin.recording_id, twin.format, twin.reason if twin.outcome == "refused" else "") == (
            row.recording_id,
            row.format,
            row.reason if row.outcome == "refused" else "",
        )
        assert twin.outcome == ("refused" if row.outcome == "refused" else "duplicate")
    assert not rows
    assert in_platform(stubs) == before


def test_a_prefix_of_a_foreign_bucket(finished: list[Row], folder: Path, platform: Platform) -> None:
    assert platform.store is not None
    store = open_blocking_store(platform.store)
    for path in sorted((folder / "wfdb").glob("E0*")):
        store.put(f"runs/ward/{path.name}", path.read_bytes())
    report = folder.parent / "bucket.csv"
    bucket = f"{platform.store.bucket_prefix}-runs"
    try:
        ended = run(
            [
                "import",
                f"s3://{bucket}/ward/",
                "--to",
                platform.addresses["ingest"],
                "--report",
                str(report),
            ],
            to_env(platform.store, f"{PREFIX}STORE_"),
        )
    finally:
        for key in store.list("runs/ward/"):
            store.delete(key)
    assert ended.returncode == 0, ended.stderr
    assert {(x.files, x.outcome) for x in read_report(report)} == {
        (f"{bucket}/ward/{x}.hea;{bucket}/ward/{x}.mat", "duplicate") for x in ("E03823", "E07500", "E07501")
    }
