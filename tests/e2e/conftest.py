"""The platform's doors, and a handful of real ECGs uploaded through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.platform import Stubs, connect
from demo.records import Record, read_records
from demo.upload import upload, wait_until_preprocessed
from services.local import Platform


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """Records that are in the platform, with their ids."""

    records: list[Record]
    ids: dict[str, str]


def some_records(train: int, validation: int, test: int) -> list[Record]:
    """The first records of each part of the packed PTB-XL."""
    wanted = {"train": train, "validation": validation, "test": test}
    chosen: list[Record] = []
    for record in read_records():
        if wanted[record.part]:
            wanted[record.part] -= 1
            chosen.append(record)
    return chosen


@pytest.fixture(scope="session")
def stubs(platform: Platform) -> Iterator[Stubs]:
    """Stubs of all services."""
    with ExitStack() as stack:
        yield connect(platform.addresses, stack)


@pytest.fixture(scope="session")
def uploaded(stubs: Stubs, tmp_path_factory: pytest.TempPathFactory) -> Uploaded:
    """160 records, uploaded and preprocessed."""
    records = some_records(100, 30, 30)
    folder: Path = tmp_path_factory.mktemp("wfdb")
    # Other tests of the session upload files on purpose that cannot be preprocessed.
    failed_before = wait_until_preprocessed(stubs.ingest, 0)
    sent = upload(stubs.ingest, records, folder)
    assert sent.problems == ()
    assert wait_until_preprocessed(stubs.ingest, len(sent.ids)) == failed_before
    return Uploaded(records=records, ids=sent.ids)
