"""Archives: members found, grouped and bounded; links, bombs and traps refused one by one."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from exchangeai.archives import Group, Limits, archive_kind, groups_of, member_count
from exchangeai.errors import (
    InvalidHeader,
    TooLarge,
    Truncated,
    UnknownFormat,
    UnreadableFile,
    UnsafeReference,
)
from exchangeai.formats import ReadOptions
from exchangeai.reading import read_each, read_ecg

MIB = 1 << 20
HEADER = b"r 1 500 500\nr.dat 16 1000/mV 16 0 0 0 0 II\n"
SIGNAL = bytes(range(250)) * 4
Packer = Callable[[dict[str, bytes]], bytes]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_gz(members: dict[str, bytes]) -> bytes:
    return gzip.compress(tarred(members, tarfile.PAX_FORMAT))


PACKERS: dict[str, Packer] = {
    "zip": zipped,
    "stored zip": lambda x: zipped(x, zipfile.ZIP_STORED),
    "tar": tarred,
    "tar.gz": tar_gz,
}


def groups(name: str, data: bytes, limits: Limits | None = None) -> list[Group]:
    return list(groups_of({name: data}, limits or Limits()))


def errors(found: list[Group]) -> dict[str, type | None]:
    return {x.names[0].partition("/")[2]: type(x.error) if x.error else None for x in found}


@pytest.mark.parametrize("packer", PACKERS)
def test_members_of_a_record_are_found_within_their_folder(packer: str) -> None:
    members = {
        "A/r.hea": HEADER,
        "B/r.hea": HEADER,
        "B/r.dat": SIGNAL[::-1],
        "A/r.dat": SIGNAL,
        "A/notes.txt": b"none\n",
        "C/empty.edf": b"",
    }
    found = groups("x.bin", PACKERS[packer](members))
    assert [x.names for x in found] == [
        ("x.bin/A/r.hea", "x.bin/A/r.dat"),
        ("x.bin/B/r.hea", "x.bin/B/r.dat"),
        ("x.bin/A/notes.txt",),
        ("x.bin/C/empty.edf",),
    ]
    assert found[0].files == {"r.hea": HEADER, "r.dat": SIGNAL}
    assert found[1].files == {"r.hea": HEADER, "r.dat": SIGNAL[::-1]}
    reports = read_each({"x.bin": PACKERS[packer](members)}, ReadOptions())
    assert [len(x.results) for x in reports] == [1, 1, 0, 0]
    assert len(read_ecg(PACKERS[packer](members))) == 2


def test_a_gzip_of_one_file_and_archives_in_archives_are_opened() -> None:
    record = gzip.compress(b"1,2\n")
    assert groups("t.csv.gz", record)[0].names == ("t.csv.gz/t.csv",)
    assert groups("t.GZ", record + gzip.compress(b"3,4\n"))[0].files == {"t": b"1,2\n3,4\n"}
    inner = zipped({"d/r.hea": HEADER, "d/r.dat": SIGNAL})
    found = groups("o.tgz", tar_gz({"in.zip": inner, "t.csv.gz": record}))
    assert [x.names[0] for x in found] == ["o.tgz/in.zip/d/r.hea", "o.tgz/t.csv.gz/t.csv"]
    deeper = groups("a.zip", zipped({"b.zip": zipped({"c.zip": inner})}))
    assert errors(deeper) == {"b.zip/c.zip": TooLarge}
    assert groups("n.gz", gzip.compress(inner))[0].names == ("n.gz/n/d/r.hea", "n.gz/n/d/r.dat")


def test_arrays_and_documents_are_no_archives() -> None:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3))
    assert archive_kind(out.getvalue()) is None
    assert archive_kind(zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""})) is None
    assert archive_kind(zipped({"a.npy": b"", "a.hea": b""})) == "zip"
    assert archive_kind(HEADER) is archive_kind(b"") is archive_kind(bytes(1024)) is None
    [other] = groups("x.7z", b"7z\xbc\xaf\x27\x1c rest")
    assert isinstance(other.error, UnknownFormat)
    assert "7z" in str(other.error)


def test_names_that_lead_out_and_leftovers_are_reported_and_not_opened() -> None:
    bad = ["../r.edf", "/etc/r.edf", "a/../../r.edf", "C:r.edf", "a\\b.edf", "CON", "a/lpt1.edf", "a\x01b"]
    skipped = ["__MACOSX/._r.edf", "d/.DS_Store", "._x"]
    for packer in (zipped, tarred, tar_gz):
        found = errors(groups("x", packer(dict.fromkeys([*bad, *skipped, "good.csv"], b"1"))))
        assert sorted(found.values(), key=str).count(UnsafeReference) == len(bad)
        assert {found[x] for x in skipped} == {UnknownFormat}
        assert found["good.csv"] is None


def test_links_pipes_and_devices_are_reported_and_not_followed() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
        for i, kind in enumerate(kinds):
            info = tarfile.TarInfo(f"m{i}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("good.csv")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"1,2"))
    for data in (out.getvalue(), gzip.compress(out.getvalue())):
        assert list(errors(groups("t", data)).values()) == [UnsafeReference] * 5 + [None]
    link = zipfile.ZipInfo("link.edf")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert list(errors(groups("z", packed.getvalue())).values()) == [UnsafeReference]


def test_encrypted_damaged_repeated_and_foreign_members_are_reported() -> None:
    data = bytearray(zipped({"a.csv": b"1,2\n" * 50, "b.csv": b"3,4\n" * 50}, zipfile.ZIP_STORED))
    data[data.index(b"3,4\n") + 5] ^= 1
    assert errors(groups("z", bytes(data))) == {"a.csv": None, "b.csv": InvalidHeader}
    locked = bytearray(zipped({"a.csv": b"1"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    [found] = groups("z", bytes(locked))
    assert "encrypted" in str(found.error)
    assert "plain zip" in str(groups("z", zipped({"a.csv": b"1" * 99}, zipfile.ZIP_BZIP2))[0].error)
    twice = zipped({"a.csv": b"1,2\n", "b.csv": b"3,4\n"}).replace(b"b.csv", b"a.csv")
    assert [type(x.error) for x in groups("z", twice)] == [InvalidHeader, type(None)]


@pytest.mark.parametrize("packer", PACKERS)
def test_a_cut_archive_is_refused_or_read_as_far_as_it_goes(packer: str) -> None:
    data = PACKERS[packer]({"r.hea": HEADER, "r.dat": SIGNAL, "t.csv": b"1,2\n" * 999})
    for size in range(4, len(data), 97):
        for group in groups("x", data[:size]):
            assert group.error is None or isinstance(group.error, (Truncated, InvalidHeader))
    assert any(x.error for x in groups("x", data[: len(data) // 2]))
    with pytest.raises(UnreadableFile):
        read_ecg(data[: len(data) // 10])


def test_bombs_are_refused_before_they_unfold() -> None:
    zeros = bytes(200 * MIB)
    bombs = {
        "b.zip": zipped({"ecg.csv": zeros}),
        "b.gz": gzip.compress(zeros),
        "b.tar.gz": gzip.compress(tarred({"ecg.csv": zeros})),
    }
    bombs["n.zip"] = zipped({"b.zip": bombs["b.zip"]})
    del zeros
    for name, data in bombs.items():
        tracemalloc.start()
        begin = time.monotonic()
        assert {type(x.error) for x in groups(name, data)} == {TooLarge}, name
        assert time.monotonic() - begin < 2
        assert tracemalloc.get_traced_memory()[1] < 160 * MIB, name
        tracemalloc.stop()


def test_a_directory_that_lies_about_sizes_is_refused() -> None:
    data = bytearray(zipped({"a.csv": bytes(5 * MIB)}))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 1000)
    assert list(errors(groups("z", bytes(data))).values()) == [InvalidHeader]
    struct.pack_into("<L", data, at + 24, 0xFFFFFFFF)
    assert list(errors(groups("z", bytes(data))).values()) == [TooLarge]


def test_counts_and_totals_are_bounded() -> None:
    many = zipped({f"{i}.csv": b"1" for i in range(30)})
    assert list(errors(groups("z", many, Limits(members=29))).values()) == [TooLarge]
    assert len(groups("z", many, Limits(members=30))) == 30
    noise = np.random.default_rng(0).bytes(MIB)
    large = {f"{i}.csv": noise for i in range(4)}
    for packer in (zipped, tarred):
        found = [type(x.error) for x in groups("z", packer(large), Limits(total_bytes=5 * MIB // 2))]
        assert found == [type(None)] * 2 + [TooLarge] * 2
    assert {type(x.error) for x in groups("z", tar_gz(large), Limits(total_bytes=5 * MIB // 2))} == {TooLarge}


def test_long_names_and_zip64_are_understood() -> None:
    long = "/".join(["folder" * 10] * 5) + "/r.csv"
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        name = long if kind != tarfile.USTAR_FORMAT else "d" * 100 + "/r.csv"
        assert groups("t", tarred({name: b"1"}, kind))[0].names == (f"t/{name}",)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("r.csv", "w", force_zip64=True) as member:
        member.write(b"1,2")
    assert groups("z", out.getvalue())[0].files == {"r.csv": b"1,2"}


def test_ten_thousand_records_are_never_in_memory_together() -> None:
    members: dict[str, bytes] = {}
    noise = np.random.default_rng(0).bytes(20_000)
    for i in range(5000):
        members[f"d{i % 5}/r{i}.hea"] = HEADER.replace(b"r.dat", b"r%d.dat" % i)
        members[f"d{i % 5}/r{i}.dat"] = noise
    for packer in (zipped, tar_gz):
        data = packer(members)
        tracemalloc.start()
        begin = time.monotonic()
        count = sum(x.error is None and len(x.files) == 2 for x in groups_of({"z": data}))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 5000
        assert peak < 60 * MIB
        assert time.monotonic() - begin < 30


def test_two_headers_of_one_signal_file_are_two_records_also_outside_an_archive() -> None:
    files = {"r.dat": SIGNAL, "r.hea": HEADER, "skew.hea": HEADER.replace(b"r 1", b"skew 1")}
    assert [x.names for x in groups_of(files)] == [("r.dat", "r.hea"), ("r.dat", "skew.hea")]


def test_only_a_zip_tells_how_many_members_it_has() -> None:
    files = {f"{i}.hea": HEADER for i in range(5)}
    assert member_count(zipped(files)) == 5
    assert member_count(tar_gz(files)) is None
    assert member_count(HEADER) is None
