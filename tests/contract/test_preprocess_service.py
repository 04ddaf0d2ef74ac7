"""The preprocess service over a real bus and a real object store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exchangeai.bus import Bus, DeadLetter
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.dataset import DatasetManifest, Part, download, open_part
from exchangeai.errors import InvalidArgument, NotFound, NotReady
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import PreprocessedFact, RecordingFact, TestLooksFact
from exchangeai.keys import patient_key
from exchangeai.leads import STANDARD_12
from exchangeai.rpc import invoke, stream
from exchangeai.signal import standardise
from exchangeai.store import ObjectStore, open_blocking_store
from exchangeai.test_looks import record_test_look
from exchangeai.v1 import dataset_pb2, measurements_pb2
from exchangeai.v1 import preprocess_service_pb2 as pb
from tests.contract.preprocess_process import SITE_KEY, Running, fact_of, identified, running_preprocess
from tests.unit.signal.recordings import noise, of_leads, real_ecg, recording

COLUMNS = pb.TableColumns(recording="file", label="labels", patient="patient")


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_preprocess(bus_config, store_config) as running:
        yield running


def test_a_recording_becomes_windows_and_measurements(service: Running) -> None:
    ecg = identified(real_ecg()[0], 0xA1)
    service.ingest({"a1.dat": ecg})
    answer = invoke(service.stub.GetWindows, pb.GetWindowsRequest(recording_id=ecg.source_digest))
    assert list(answer.shape) == [1, 12, 5000]
    assert (answer.total, list(answer.valid_samples), list(answer.missing_leads)) == (1, [5000], [])
    values = np.frombuffer(answer.values_mv, "<f4").reshape(answer.shape)
    np.testing.assert_array_equal(values, standardise(ecg).millivolts())
    measured = invoke(service.stub.GetMeasurements, pb.GetMeasurementsRequest(recording_id=ecg.source_digest))
    assert measured.quality.verdict == measurements_pb2.QUALITY_VERDICT_ANALYSABLE
    assert measured.measurements.heart_rate_bpm == pytest.approx(64.5, abs=1)
    assert set(measured.measurements.leads) <= set(STANDARD_12)
    assert "II" in measured.measurements.leads


def test_windows_are_chosen_by_index(service: Running) -> None:
    ecg = identified(recording(noise(25), 500), 0xA2)
    service.ingest({"a2.dat": ecg})
    request = pb.GetWindowsRequest(recording_id=ecg.source_digest, first=1, count=16)
    answer = invoke(service.stub.GetWindows, request)
    assert (list(answer.shape), answer.total) == ([2, 12, 5000], 3)
    assert list(answer.valid_samples) == [5000, 2500]
    with pytest.raises(InvalidArgument, match="3 windows"):
        invoke(service.stub.GetWindows, pb.GetWindowsRequest(recording_id=ecg.source_digest, first=3))


def test_what_cannot_become_windows_says_why_and_is_a_dead_letter(service: Running) -> None:
    ecg = identified(of_leads({"EEG Fp1": noise(10)[0]}, 500), 0xA3)
    service.ingest({"a3.dat": ecg})
    with pytest.raises(InvalidArgument, match="EEG Fp1"):
        invoke(service.stub.GetWindows, pb.GetWindowsRequest(recording_id=ecg.source_digest))

    async def letters(bus: Bus, store: ObjectStore) -> list[DeadLetter]:
        while not (found := await bus.dead_letters()):
            await asyncio.sleep(0.05)
        return found

    (letter,) = service.behind(letters)
    assert letter.event_name == RecordingIngested.DESCRIPTOR.full_name
    assert "InvalidArgument" in letter.reason


def test_unknown_and_unfinished_recordings(service: Running) -> None:
    with pytest.raises(NotFound):
        invoke(service.stub.GetMeasurements, pb.GetMeasurementsRequest(recording_id="e" * 64))
    ecg = identified(real_ecg()[0], 0xA4)

    async def fact_only(bus: Bus, store: ObjectStore) -> None:
        await bus.facts(RecordingFact).put(ecg.source_digest, fact_of(ecg, "a4.dat"))

    service.behind(fact_only)
    with pytest.raises(NotReady):
        invoke(service.stub.GetMeasurements, pb.GetMeasurementsRequest(recording_id=ecg.source_digest))


def test_the_same_event_again_changes_nothing(service: Running) -> None:
    ecg = identified(real_ecg()[0], 0xA5)
    service.ingest({"a5.dat": ecg})

    async def again(bus: Bus, store: ObjectStore) -> tuple[bytes, bytes, int, int]:
        facts = bus.facts(PreprocessedFact)
        before, fact = await store.get(f"windows/{ecg.source_digest}.npz"), await facts.get(ecg.source_digest)
        await bus.publish(RecordingIngested(recording_id=ecg.source_digest), dedup_id="again")
        while await bus.backlog():
            await asyncio.sleep(0.05)
        after, later = await store.get(f"windows/{ecg.source_digest}.npz"), await facts.get(ecg.source_digest)
        assert fact is not None
        assert later is not None
        return before, after, fact.revision, later.revision

    before, after, revision, later = service.behind(again)
    assert (before, revision) == (after, later)


def test_a_deleted_recording_leaves_nothing(service: Running) -> None:
    async def event_without_recording(bus: Bus, store: ObjectStore) -> list[str]:
        await bus.publish(RecordingIngested(recording_id="d" * 64), dedup_id="deleted")
        while await bus.backlog():
            await asyncio.sleep(0.05)
        assert await bus.facts(PreprocessedFact).get("d" * 64) is None
        return await store.list("windows/" + "d" * 64)

    assert service.behind(event_without_recording) == []


def table_of(count: int, *extra: str) -> bytes:
    """Two recordings for each patient, classes in turn."""
    lines = [f"set{i}.dat,{('NORM', 'MI', 'MI;CD')[i // 2 % 3]},patient {i // 2}" for i in range(count)]
    return "\n".join(["file,labels,patient", *lines, *extra]).encode()


def request_for(table: bytes, **changes: object) -> pb.BuildDatasetRequest:
    fields: dict[str, object] = {
        "name": "set",
        "table": table,
        "columns": COLUMNS,
        "task": dataset_pb2.TASK_MULTI_LABEL,
        "split": pb.Split(validation=0.2, test=0.2, seed=5),
    }
    return pb.BuildDatasetRequest(**{**fields, **changes})  # type: ignore[arg-type]


def built(service: Running, dataset_id: str) -> list[dataset_pb2.Dataset]:
    answers = stream(service.stub.WatchDataset, pb.WatchDatasetRequest(dataset_id=dataset_id), timeout_s=60)
    return [x.dataset for x in answers]


def opened(service: Running, dataset_id: str, folder: Path) -> tuple[DatasetManifest, dict[str, Part]]:
    manifest = download(open_blocking_store(service.store_config), dataset_id, folder)
    return manifest, {part: open_part(folder, manifest, part) for part in manifest.parts}


def test_a_data_set_from_table_to_shards(service: Running, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ecgs = {
        f"set{i}.dat": identified(recording(noise(10 + 5 * (i == 3), 100, seed=i), 100), 0xB00 + i)
        for i in range(40)
    }
    flat = rng.normal(0, 0.001, (12, 5000))
    ecgs["flat.dat"] = identified(recording(flat, 500), 0xBFF)
    service.ingest(ecgs, wait=False)
    table = table_of(40, "flat.dat,NORM,patient 0", "nobody,NORM,patient 0", "set0,NORM,patient 0")
    # Asked for while recordings are still being preprocessed: the build waits for them.
    queued = invoke(service.stub.BuildDataset, request_for(table), timeout_s=30).dataset
    assert list(queued.classes) == ["MI", "NORM", "CD"]
    assert (queued.report.matched, queued.report.unmatched, queued.report.duplicates) == (41, 1, 1)
    assert list(queued.report.unmatched_rows) == [42]
    final = built(service, queued.dataset_id)[-1]
    assert (final.state, final.error, final.progress) == (dataset_pb2.DATASET_STATE_READY, "", 1.0)
    assert [x.row for x in final.report.unusable] == [41]
    assert "not analysable" in final.report.unusable[0].reason

    manifest, parts = opened(service, queued.dataset_id, tmp_path)
    assert sum(len(set(p.recording_ids)) for p in parts.values()) == 40
    patients = [set(p.patient_keys) for p in parts.values()]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 20
    assert patient_key(SITE_KEY, "patient 7") in set().union(*patients)
    for summary in final.parts:
        part = parts[summary.part]
        stored = manifest.parts[summary.part]
        assert (summary.recordings, summary.patients) == (stored.recordings, stored.patients)
        assert summary.recordings == len(set(part.recording_ids))
        first = [part.recording_ids.index(x) for x in dict.fromkeys(part.recording_ids)]
        assert list(summary.positives) == part.labels[first].sum(axis=0).tolist()
        for row, recording_id in enumerate(part.recording_ids):
            number = int(recording_id, 16) - 0xB00
            labels = [manifest.classes[c] for c in np.flatnonzero(part.labels[row])]
            assert ";".join(labels) == ("NORM", "MI", "MI;CD")[number // 2 % 3]
            windows = standardise(ecgs[f"set{number}.dat"])
            which = part.recording_ids[:row].count(recording_id)
            np.testing.assert_array_equal(part.values[row], windows.values[which])
            assert part.age_years[row] == 60

    again = invoke(service.stub.BuildDataset, request_for(table), timeout_s=30).dataset
    assert (again.dataset_id, again.state) == (queued.dataset_id, dataset_pb2.DATASET_STATE_READY)
    other = invoke(
        service.stub.BuildDataset,
        request_for(table, split=pb.Split(validation=0.2, test=0.2, seed=6)),
        timeout_s=30,
    ).dataset
    assert other.dataset_id != queued.dataset_id
    listed = invoke(service.stub.ListDatasets, pb.ListDatasetsRequest()).datasets
    assert queued.dataset_id in [x.dataset_id for x in listed]

    async def stored_request(bus: Bus, store: ObjectStore) -> bytes:
        return await store.get(f"datasets/{queued.dataset_id}/request.json")

    request = service.behind(stored_request)
    assert b"patient 7" not in request
    assert b"set7" not in request


def test_a_part_whose_recordings_are_all_unusable_fails_the_build(service: Running) -> None:
    ecgs = {f"p{i}.dat": identified(recording(noise(10, 100, seed=i), 100), 0xC00 + i) for i in range(4)}
    ecgs["p4.dat"] = identified(recording(noise(1.0, 100), 100), 0xC04)
    service.ingest(ecgs)
    parts = ("train", "train", "validation", "validation", "test")
    lines = [f"p{i},{'AB'[i % 2]},{part}" for i, part in enumerate(parts)]
    table = "\n".join(["file,labels,part", *lines]).encode()
    columns = pb.TableColumns(recording="file", label="labels", part="part")
    queued = invoke(service.stub.BuildDataset, request_for(table, columns=columns), timeout_s=30).dataset
    final = built(service, queued.dataset_id)[-1]
    assert final.state == dataset_pb2.DATASET_STATE_FAILED
    assert "part test is empty" in final.error
    assert "at least 2 s" in final.error
    again = invoke(service.stub.BuildDataset, request_for(table, columns=columns), timeout_s=30).dataset
    assert again.state == dataset_pb2.DATASET_STATE_QUEUED
    assert built(service, again.dataset_id)[-1].state == dataset_pb2.DATASET_STATE_FAILED


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (request_for(b"file,labels,patient\nnobody,A,1\n"), "1 name no known recording"),
        (request_for(b"name,labels,patient\nnobody,A,1\n"), "no column 'file'"),
        (request_for(b"%PDF-1.7\x00\x01"), "CSV UTF-8"),
        (request_for(b"file,labels,patient\n", split=pb.Split(validation=0.49, test=0.49)), "below 0.9"),
        (request_for(b"file,labels,patient\n", split=pb.Split(validation=0.0, test=0.2)), "validation"),
    ],
    ids=["unknown files", "missing column", "no table", "shares", "bounds"],
)
def test_a_wrong_request_says_what_is_wrong(
    service: Running, request_: pb.BuildDatasetRequest, says: str
) -> None:
    with pytest.raises(InvalidArgument, match=says):
        invoke(service.stub.BuildDataset, request_)


def test_watching_what_is_not_there(service: Running) -> None:
    with pytest.raises(NotFound):
        list(stream(service.stub.WatchDataset, pb.WatchDatasetRequest(dataset_id="f" * 64), timeout_s=10))


def report(service: Running, dataset_id: str, kind: dataset_pb2.ReportKind) -> list[str]:
    request = pb.GetDatasetReportRequest(dataset_id=dataset_id, kind=kind)
    answers = stream(service.stub.GetDatasetReport, request, timeout_s=10)
    return b"".join(x.csv for x in answers).decode("utf-8-sig").splitlines()


def test_every_finding_can_be_fetched_and_looks_at_the_test_part_are_counted(service: Running) -> None:
    ecgs = {f"q{i}.dat": identified(recording(noise(10, 100, seed=i), 100), 0xD00 + i) for i in range(20)}
    ecgs["q20.dat"] = identified(recording(np.zeros((12, 5000)), 500), 0xDFF)
    service.ingest(ecgs)
    lines = [f"q{i};{'AB'[i // 2 % 2]};patient {i // 2};{1 + i // 2 % 10}" for i in range(21)]
    table = "\n".join(["file;labels;patient;fold", *lines, "nobody;A;1;1", "q0;B;patient 0;1"]).encode(
        "utf-16"
    )
    columns = pb.TableColumns(
        recording="file",
        label="labels",
        patient="patient",
        part="fold",
        part_values={str(i): "test" if i > 8 else "validation" if i > 6 else "train" for i in range(1, 11)},
    )
    queued = invoke(service.stub.BuildDataset, request_for(table, columns=columns), timeout_s=30).dataset
    final = built(service, queued.dataset_id)[-1]
    assert (final.error, final.test_looks) == ("", 0)
    assert [x.recordings for x in final.parts] == [11, 4, 4]
    counts = {x.kind: x.count for x in final.report.counts}
    assert counts[dataset_pb2.REPORT_KIND_CONTRADICTORY] == 2
    assert counts[dataset_pb2.REPORT_KIND_POOR_QUALITY] == 1
    assert counts[dataset_pb2.REPORT_KIND_UNMATCHED_RECORDING] > 0
    assert not final.report.notes
    head, *contradictory = report(service, queued.dataset_id, dataset_pb2.REPORT_KIND_CONTRADICTORY)
    assert head == "row,recording_id,detail"
    assert [x.split(",")[0] for x in contradictory] == ["1", "23"]
    (poor,) = report(service, queued.dataset_id, dataset_pb2.REPORT_KIND_POOR_QUALITY)[1:]
    assert poor.startswith(f"21,{0xDFF:064x},")
    assert report(service, queued.dataset_id, dataset_pb2.REPORT_KIND_SAME_SIGNAL) == [head]
    with pytest.raises(NotFound):
        report(service, "e" * 64, dataset_pb2.REPORT_KIND_POOR_QUALITY)

    async def look(bus: Bus, store: ObjectStore) -> list[int]:
        facts = bus.facts(TestLooksFact)
        return [
            await record_test_look(facts, queued.dataset_id, by, 1.0) for by in ("run 1", "run 2", "run 1")
        ]

    assert service.behind(look) == [1, 2, 2]

    def looks() -> int:
        listed = invoke(service.stub.ListDatasets, pb.ListDatasetsRequest()).datasets
        return next(x.test_looks for x in listed if x.dataset_id == queued.dataset_id)

    deadline = time.monotonic() + 10
    while looks() != 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert looks() == 2

    async def described(bus: Bus, store: ObjectStore) -> tuple[bytes, list[str]]:
        prefix = f"datasets/{queued.dataset_id}/"
        return await store.get(prefix + "croissant.json"), await store.list(prefix)

    croissant, keys = service.behind(described)
    assert b'"sc:Dataset"' in croissant
    assert not [x for x in keys if x.endswith("progress.json")]
