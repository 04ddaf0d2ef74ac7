"""Lists of recordings: filters and pages."""

from __future__ import annotations

import pytest

from exchangeai.bus import FactIndex
from exchangeai.errors import InvalidArgument
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.recording import Patient
from services.ingest.catalogue import Catalogue, Filter


def catalogue(count: int) -> tuple[Catalogue, FactIndex[RecordingFact]]:
    recordings: FactIndex[RecordingFact] = FactIndex()
    preprocessed: FactIndex[PreprocessedFact] = FactIndex()
    for i in range(count):
        key = f"{i:064x}"
        recordings._set(
            key,
            RecordingFact(
                recording_id=key,
                format="edf" if i % 2 else "wfdb",
                ingested_at=float(i // 2),
                error_reason="Truncated" if i % 5 == 4 else None,
                patient=Patient(patient_key="p" if i == 3 else None),
            ),
        )
        if i % 3 == 0:
            made = PreprocessedFact(
                recording_id=key, preprocessing_version="1", error="short" if i == 3 else None
            )
            preprocessed._set(key, made)
    return Catalogue(recordings, preprocessed), recordings


def test_pages_are_newest_first_and_stable_while_recordings_come_and_go() -> None:
    listed, recordings = catalogue(10)
    first = listed.page(Filter(), 4)
    assert [int(x.recording_id, 16) for x, _ in first.recordings] == [9, 8, 7, 6]
    assert first.total == 10
    recordings._set("f" * 64, RecordingFact(recording_id="f" * 64, ingested_at=99.0))
    recordings._set(f"{6:064x}", None)
    second = listed.page(Filter(), 4, first.next_token)
    assert [int(x.recording_id, 16) for x, _ in second.recordings] == [5, 4, 3, 2]
    third = listed.page(Filter(), 4, second.next_token)
    assert [int(x.recording_id, 16) for x, _ in third.recordings] == [1, 0]
    assert third.next_token == ""


def test_filters() -> None:
    listed, _ = catalogue(10)

    def ids(wanted: Filter) -> list[int]:
        return sorted(int(x.recording_id, 16) for x, _ in listed.page(wanted).recordings)

    assert ids(Filter(readable=False)) == [4, 9]
    assert ids(Filter(pending=True)) == [1, 2, 5, 7, 8]
    assert ids(Filter(done=True)) == [0, 6]
    assert ids(Filter(failed=True)) == [3]
    assert ids(Filter(format="edf", readable=True)) == [1, 3, 5, 7]
    assert ids(Filter(patient_key="p")) == [3]
    assert [int(x.recording_id, 16) for x in listed.waiting()] == [1, 2, 5, 7, 8]


@pytest.mark.parametrize("token", ["x", "====", "YQ==", "\u00e9"])
def test_foreign_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="page token"):
        catalogue(1)[0].page(Filter(), 1, token)
