"""Limits of uploads."""

from __future__ import annotations

import pytest

from exchangeai.errors import InvalidArgument, Overloaded, TooLarge
from exchangeai.formats import ReadOptions
from services.ingest.receiving import Hall, Limits, Reception

NONE = ReadOptions()
LIMITS = Limits(file_bytes=10, upload_bytes=15, files=2, held_bytes=20)


def test_files_are_collected_without_their_folders() -> None:
    hall = Hall(LIMITS)
    with Reception(hall) as reception:
        reception.begin("a/b\\r.hea", 3, NONE)
        reception.add(b"ab")
        reception.add(b"c")
        reception.begin("r.dat", 0, NONE)
        assert [(x.name, x.data) for x in reception.finish()] == [("r.hea", b"abc"), ("r.dat", b"")]
        assert hall.held_bytes == 3
    assert hall.held_bytes == 0


def test_a_file_over_the_limit_is_refused_before_its_bytes() -> None:
    with Reception(Hall(LIMITS)) as reception, pytest.raises(TooLarge, match="MiB"):
        reception.begin("a", 11, NONE)


def test_running_totals_are_limited() -> None:
    with Reception(Hall(LIMITS)) as reception:
        reception.begin("a", 0, NONE)
        reception.add(bytes(10))
        with pytest.raises(TooLarge):
            reception.add(b"x")
        reception.begin("b", 0, NONE)
        with pytest.raises(TooLarge, match="upload"):
            reception.add(bytes(6))
        with pytest.raises(TooLarge, match="files"):
            reception.begin("c", 0, NONE)


def test_all_uploads_together_are_limited() -> None:
    hall = Hall(LIMITS)
    with Reception(hall) as one, Reception(hall) as two:
        for reception in (one, two):
            reception.begin("a", 0, NONE)
        one.add(bytes(10))
        two.add(bytes(10))
        one.begin("b", 0, NONE)
        with pytest.raises(Overloaded):
            one.add(b"x")
    assert hall.held_bytes == 0


def test_what_is_no_upload() -> None:
    with Reception(Hall(LIMITS)) as reception:
        with pytest.raises(InvalidArgument, match="no files"):
            reception.finish()
        with pytest.raises(InvalidArgument, match="begin with"):
            reception.add(b"x")
        with pytest.raises(InvalidArgument, match="no name"):
            reception.begin("a/", 0, NONE)
        reception.begin("a", 3, NONE)
        with pytest.raises(InvalidArgument, match="announced with 3 bytes"):
            reception.finish()
    with Reception(Hall(LIMITS)) as reception:
        reception.begin("x/a", 0, NONE)
        with pytest.raises(InvalidArgument, match="same name"):
            reception.begin("y/a", 0, NONE)
