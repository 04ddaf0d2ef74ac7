"""Small archives of every kind, to be damaged."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache

from exchangeai.archives import Limits

LIMITS = Limits(total_bytes=64 << 20, record_bytes=16 << 20)
_MEMBERS = {
    "d/r.hea": b"r 1 500 500\nr.dat 16 1000/mV 16 0 0 0 0 II\n",
    "d/r.dat": bytes(range(250)) * 4,
    "t.csv": b"I,II\n0.1,0.2\n" * 60,
}


@cache
def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@cache
def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in {**_MEMBERS, "é" * 80: b"1"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@cache
def _tar_gz() -> bytes:
    return gzip.compress(_tar(), mtime=0)


ARCHIVES: dict[str, Callable[[], bytes]] = {"a.zip": _zip, "a.tar": _tar, "a.tar.gz": _tar_gz}
