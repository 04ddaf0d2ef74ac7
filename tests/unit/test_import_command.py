"""What an import sends together, what it reports, and how it goes on after it was cut off."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from exchangeai import import_command
from exchangeai.__main__ import main
from exchangeai.errors import Conflict, ExchangeaiError, InvalidArgument, Overloaded, TooLarge, Unavailable
from exchangeai.formats import ReadOptions
from exchangeai.import_command import CALL_BYTES, CALL_FILES, Progress, calls_of, rows_of, send_call
from exchangeai.import_report import COLUMNS, Report, Row, names_as_text, read_report
from exchangeai.import_sources import Record, Sources
from exchangeai.rpc.upload import UploadedRecord, Uploads

HEADER = b"%s 1 500 10\n%s.dat 16 200/mV 16 0 0 0 0 I\n"


class Service:
    """Answers as an ingest service that reads everything, after the given failures."""

    def __init__(self, failures: Sequence[ExchangeaiError] = (), refuses: str = "") -> None:
        self.failures = list(failures)
        self.refuses = refuses
        self.calls: list[tuple[str, ...]] = []

    def send(
        self, files: Mapping[str, bytes], options: ReadOptions, *, timeout_s: float
    ) -> list[UploadedRecord]:
        """One result for each file."""
        assert timeout_s > 0
        self.calls.append(tuple(files))
        if self.failures:
            raise self.failures.pop(0)
        if self.refuses in files:
            raise TooLarge("a file may hold at most 100 MiB")
        return [UploadedRecord(file_names=(x,), recording_id=f"id of {x}", readable=True) for x in files]


def uploads(service: Service) -> Uploads:
    return cast(Uploads, service)


def record(*names: str, data: bytes = b"x") -> Record:
    return Record(names=names, files={x.rpartition("/")[2]: data for x in names})


def wfdb(folder: Path, stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.hea").write_bytes(HEADER % (stem.encode(), stem.encode()))
    (folder / f"{stem}.dat").write_bytes(bytes(20))


def test_folders_are_read_below_and_records_kept_together(tmp_path: Path) -> None:
    root = tmp_path / "ward"
    wfdb(root / "a", "r1")
    wfdb(root / "b", "r1")
    (root / "lone.xml").write_bytes(b"<x/>")
    (root / ".hidden").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git" / "x").write_bytes(b"x")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    report = root / "import-report.csv"
    report.write_bytes(b"")
    sources = Sources([str(root)], not_this=report)
    assert sources.total_files == 5
    found = list(sources)
    assert [x.names for x in found] == [
        ("ward/lone.xml",),
        ("ward/a/r1.dat", "ward/a/r1.hea"),
        ("ward/b/r1.dat", "ward/b/r1.hea"),
    ]
    assert found[1].files["r1.dat"] == bytes(20)


def test_two_headers_of_one_signal_file_are_two_records(tmp_path: Path) -> None:
    wfdb(tmp_path / "d", "r1")
    (tmp_path / "d" / "r2.hea").write_bytes(HEADER % (b"r2", b"r1"))
    records = list(Sources([str(tmp_path / "d")]))
    assert [x.names for x in records] == [("d/r1.dat", "d/r1.hea"), ("d/r1.dat", "d/r2.hea")]
    assert len(list(calls_of(iter(records)))) == 2


def test_archives_are_opened_and_what_is_done_is_passed_over(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for stem in ("r1", "r2"):
            archive.writestr(f"below/{stem}.hea", HEADER % (stem.encode(), stem.encode()))
            archive.writestr(f"below/{stem}.dat", bytes(20))
        archive.writestr("../escape.xml", b"<x/>")
    (tmp_path / "all.zip").write_bytes(packed.getvalue())
    done = {("all.zip/below/r1.hea", "all.zip/below/r1.dat")}
    sources = Sources([str(tmp_path / "all.zip")], done)
    found = list(sources)
    assert [x.names for x in found] == [
        ("all.zip/../escape.xml",),
        ("all.zip/below/r2.hea", "all.zip/below/r2.dat"),
    ]
    assert type(found[0].error).__name__ == "UnsafeReference"
    assert sources.skipped_files == 2
    assert sources.total_files == 5


def test_a_file_brings_the_others_of_its_record(tmp_path: Path) -> None:
    wfdb(tmp_path, "r1")
    wfdb(tmp_path, "r2")
    assert [set(x.names) for x in Sources([str(tmp_path / "r1.hea")])] == [{"r1.hea", "r1.dat"}]


def test_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    for x in ("a", "b"):
        wfdb(tmp_path / x / "data", "r")
    with pytest.raises(InvalidArgument, match="same name"):
        Sources([str(tmp_path / "a" / "data"), str(tmp_path / "b" / "data")])


def test_an_unreadable_file_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for x in ("a.xml", "b.xml"):
        (tmp_path / x).write_bytes(b"<x/>")
    real = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == "a.xml":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    found = list(Sources([str(tmp_path)]))
    assert [type(x.error).__name__ for x in found] == ["PermissionDenied", "NoneType"]


def test_calls_hold_no_more_than_they_may() -> None:
    small = [record(f"d/{i}.hea", f"d/{i}.dat") for i in range(100)]
    calls = list(calls_of(iter(small)))
    assert [len(x) for x in calls] == [CALL_FILES // 2, CALL_FILES // 2, CALL_FILES // 2, 4]
    large = [record(f"{i}.xml", data=bytes(CALL_BYTES // 2)) for i in range(5)]
    assert sorted(len(x) for x in calls_of(iter(large))) == [1, 2, 2]


def test_records_that_the_service_could_confuse_go_apart() -> None:
    stray = record("b/r.dat")
    header_without = Record(names=("a/r1.hea",), files={"r1.hea": HEADER % (b"r1", b"r")})
    same_name = record("c/r.dat")
    other = record("c/s.dat")
    calls = list(calls_of(iter([header_without, stray, same_name, other])))
    assert calls == [[header_without, other], [stray], [same_name]]


def test_equal_names_in_turn_still_share_calls() -> None:
    records = [record(f"{i}.{kind}") for i in range(CALL_FILES) for kind in ("dcm", "xml")]
    assert [len(x) for x in calls_of(iter(records))] == [CALL_FILES, CALL_FILES]


def test_sending_again_while_the_service_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    pauses: list[float] = []
    monkeypatch.setattr(stop, "wait", pauses.append)
    service = Service([Overloaded("full"), Unavailable("away"), Overloaded("full")])
    sent = send_call(uploads(service), [record("d/a.xml"), record("d/b.xml")], ReadOptions(), stop)
    assert [x[0].recording_id for _, x in sent] == ["id of a.xml", "id of b.xml"]
    assert len(service.calls) == 4
    assert len(pauses) == 3


def test_the_end_of_patience_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_command, "_PATIENCE_S", 0.0)
    with pytest.raises(Unavailable):
        send_call(
            uploads(Service([Unavailable("away")])), [record("a.xml")], ReadOptions(), threading.Event()
        )


def test_one_bad_record_does_not_refuse_the_others() -> None:
    service = Service(refuses="big.xml")
    call = [record("d/a.xml"), record("d/big.xml"), record("d/c.xml")]
    sent = send_call(uploads(service), call, ReadOptions(), threading.Event())
    rows = [row for x, results in sent for row in rows_of(x, results)]
    assert [(x.files, x.outcome, x.reason) for x in rows] == [
        ("d/a.xml", "read", ""),
        ("d/big.xml", "refused", "TooLarge"),
        ("d/c.xml", "read", ""),
    ]


def test_each_record_has_a_row_whatever_the_service_answers() -> None:
    class Silent(Service):
        def send(self, *_: Any, **__: Any) -> list[UploadedRecord]:
            return []

    sent = send_call(uploads(Silent()), [record("a.xml")], ReadOptions(), threading.Event())
    assert [x.reason for _, results in sent for x in results] == ["NoResult"]


@pytest.mark.parametrize(
    ("result", "outcome", "reason", "message"),
    [
        ({"readable": True}, "read", "", ""),
        ({"readable": True, "warnings": ("odd", "very\nodd")}, "warning", "", "odd | very odd"),
        ({"readable": True, "duplicate": True}, "duplicate", "SameBytes", ""),
        (
            {"readable": True, "same_signal_as": "f00"},
            "duplicate",
            "SameSignal",
            "shows the same ECG as recording f00",
        ),
        ({"reason": "Truncated", "message": "ends", "duplicate": True}, "refused", "Truncated", "ends"),
    ],
)
def test_outcomes(result: dict[str, Any], outcome: str, reason: str, message: str) -> None:
    (row,) = rows_of(record("a", "b"), [UploadedRecord(file_names=("a", "b"), **result)])
    assert (row.files, row.outcome, row.reason, row.message) == ("a;b", outcome, reason, message)


def test_the_report_stays_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    odd = ("ward/a;b.xml", 'ward/"c"\n,\udcff.xml')
    with Report(path) as report:
        report.add(
            [Row(names_as_text(odd), "read", leads="I;II"), Row("d.xml", "refused", reason="Truncated")]
        )
        with pytest.raises(Conflict):
            Report(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with Report(path) as report:
        assert odd in report
        assert ("ward/a", "b.xml") not in report
        assert ("d.xml",) in report
        assert report.counts == {"read": 1, "refused": 1}
    with Report(path, again=True) as report:
        assert odd in report
        assert ("d.xml",) not in report
    assert [x.outcome for x in read_report(path)] == ["read"]


def test_a_report_cut_at_any_byte_goes_on(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.csv", tmp_path / "cut.csv"
    container = [Row('c"1.h5', "read", recording_id=str(i), message="a, b") for i in range(3)]
    with Report(whole) as report:
        report.add([Row("a;b", "warning", message="odd")])
        report.add(container)
    data = whole.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with Report(path) as report:
            kept = read_report(path)
            assert kept in ([], [Row("a;b", "warning", message="odd")]) or data[:end].endswith(b"\n")
            report.add([Row("next", "read")])
        assert read_report(path) == [*kept, Row("next", "read")]


def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("name,label\n")
    with pytest.raises(InvalidArgument, match="no report"):
        Report(path)
    assert path.read_text() == "name,label\n"


def test_progress_is_a_line_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(import_command.time, "monotonic", lambda: now[0])
    wfdb(tmp_path / "d", "r1")
    wfdb(tmp_path / "d", "r2")
    out = io.StringIO()
    with Report(tmp_path / "r.csv") as report:
        progress = Progress(Sources([str(tmp_path / "d")]), report, out)
        progress.show()
        assert out.getvalue() == ""
        now[0] += 6
        progress.sent_files = 2
        progress.show()
    assert out.getvalue() == "import  2 of 4 files, 0 files/s, 0:06 left, 0 refused so far\n"


def test_without_a_service_the_status_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "r.csv"
    arguments = ["import", str(tmp_path), "--to", "127.0.0.1:1", "--report", str(report)]
    assert main(arguments) == 2
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert not report.exists()
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path)])
    assert ended.value.code == 2


def test_what_other_calls_did_is_kept_when_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Service):
        def check(self) -> None:
            pass

        def send(self, files: Mapping[str, bytes], *_: Any, **__: Any) -> list[UploadedRecord]:
            if "a.xml" in files:
                raise Unavailable("away")
            time.sleep(0.2)
            return [UploadedRecord(file_names=(x,), readable=True) for x in files]

    @contextmanager
    def opened(address: str) -> Generator[Uploads]:
        yield uploads(Failing())

    monkeypatch.setattr(import_command, "open_uploads", opened)
    monkeypatch.setattr(import_command, "CALL_FILES", 1)
    monkeypatch.setattr(import_command, "_PATIENCE_S", 0.0)
    for x in ("a.xml", "b.xml"):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / x).write_bytes(b"<x/>")
    report = tmp_path / "r.csv"
    assert main(["import", str(tmp_path / "d"), "--to", "host:1", "--report", str(report)]) == 2
    assert [x.files for x in read_report(report)] == ["d/b.xml"]
    assert "run the same command again" in capsys.readouterr().err


def test_help_says_that_the_report_holds_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    assert "identities" in " ".join(capsys.readouterr().out.split())
    assert COLUMNS[:3] == ("files", "outcome", "recording_id")
