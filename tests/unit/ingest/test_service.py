"""The ingest service on real servers: through gRPC, and what it leaves in store, facts and queue."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exchangeai.bus import Bus, Delivery
from exchangeai.errors import InvalidArgument, NotFound, TooLarge
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import (
    PreprocessedFact,
    RecordingFact,
)
from exchangeai.formats import ReadOptions, read_records
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.keys import name_key, patient_key
from exchangeai.leads import STANDARD_12
from exchangeai.recording import from_bytes, source_digest
from exchangeai.rpc import stream
from exchangeai.store import ObjectStore
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1 import recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.ingest.catalogue import open_catalogue
from services.ingest.ingest import Ingest
from services.ingest.receiving import UploadedFile
from services.ingest.sweeper import Sweeper
from tests.unit.ingest.ingest_calls import DICOM, EDF, GOLDEN, SECRET, WFDB, call, contents, signal, upload


async def events(bus: Bus, durable: str, wait_s: float = 1.0) -> list[str]:
    """Recording ids on the work queue; takes them off."""
    seen: list[str] = []

    async def note(event: RecordingIngested, delivery: Delivery) -> None:
        seen.append(event.recording_id)

    consumer = asyncio.create_task(bus.consume(RecordingIngested, durable, note, concurrency=4))
    await asyncio.sleep(wait_s)
    consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)
    return seen


async def test_the_whole_life_of_recordings(stub: IngestServiceStub, bus: Bus, store: ObjectStore) -> None:
    text = {"letter.dcm": b"Dear colleague,\nthe ECG is normal.\n"}
    results = await upload(stub, {**contents(EDF, *WFDB, DICOM), **text})
    assert [list(x.file_names) for x in results] == [
        [EDF.name], [x.name for x in WFDB], [DICOM.name], ["letter.dcm"],
    ]  # fmt: skip
    assert [x.recording.format for x in results] == ["edf", "wfdb", "dicom", ""]
    assert not any(x.duplicate for x in results)
    unreadable = results[3].recording
    assert unreadable.state == recording_pb2.RECORDING_STATE_UNREADABLE
    assert unreadable.error.reason == "UnknownFormat"

    # De-identified: keys, and no identifier or name in fact or recording.
    dicom = results[2].recording
    assert dicom.recording_id == source_digest(contents(DICOM))
    assert dicom.patient.patient_key == patient_key(SECRET, "642341")
    fact = await bus.facts(RecordingFact).get(dicom.recording_id)
    assert fact is not None
    assert name_key(SECRET, "waveform_ecg") in fact.value.name_keys
    assert name_key(SECRET, "waveform_ecg.dcm") in fact.value.name_keys
    kept = await store.get(f"recordings/{dicom.recording_id}.npz")
    for secret in (b"642341", b"waveform_ecg"):
        assert secret not in kept
        assert secret.decode() not in repr(fact.value)
    assert from_bytes(kept).patient.patient_key == dicom.patient.patient_key
    assert await store.get(f"sources/{dicom.recording_id}/0.bin") == DICOM.read_bytes()
    assert json.loads(await store.get(f"sources/{dicom.recording_id}/link.json"))["patient_id"] == "642341"

    # The queue holds the readable ones, once; sending again changes nothing.
    readable = {x.recording.recording_id for x in results[:3]}
    again = await upload(stub, contents(EDF, *WFDB))
    assert all(x.duplicate for x in again)
    assert [x.recording for x in again] == [x.recording for x in results[:2]]
    assert sorted(await events(bus, "preprocess-RecordingIngested")) == sorted(readable)
    unreadable_again = await upload(stub, text)
    assert unreadable_again[0].duplicate
    assert unreadable_again[0].recording == unreadable

    listed = await call(stub.List, pb.ListRequest(page_size=3))
    assert (listed.total, len(listed.recordings)) == (4, 3)
    rest = await call(stub.List, pb.ListRequest(page_size=3, page_token=listed.next_page_token))
    assert len(rest.recordings) == 1
    wanted = pb.ListFilter(state=recording_pb2.RECORDING_STATE_UNREADABLE)
    only = await call(stub.List, pb.ListRequest(filter=wanted))
    assert [x.recording_id for x in only.recordings] == [unreadable.recording_id]

    wfdb = results[1].recording.recording_id
    pieces = await signal(stub, wfdb, "V6")
    assert {x.lead for x in pieces} == {"V6"}
    samples = np.frombuffer(b"".join(x.samples for x in pieces), "<f4")
    assert samples[[0, 2500]].tolist() == pytest.approx([-0.175, -0.295])

    with pytest.raises(NotFound, match="no signal"):
        await signal(stub, unreadable.recording_id)

    await store.put("datasets/d1/request.json", f'{{"recordings":["{wfdb}"]}}'.encode())
    await store.put("datasets/d2/request.json", b"{}")
    deleted = await call(stub.Delete, pb.DeleteRequest(recording_id=wfdb))
    assert list(deleted.dataset_ids) == ["d1"]
    assert await store.list(f"sources/{wfdb}/") == []
    assert not await store.exists(f"recordings/{wfdb}.npz")
    with pytest.raises(NotFound):
        await call(stub.Get, pb.GetRequest(recording_id=wfdb))
    with pytest.raises(NotFound):
        await call(stub.Delete, pb.DeleteRequest(recording_id=wfdb))
    # Sent again after deletion it is new, and is preprocessed again.
    back = await upload(stub, contents(*WFDB))
    assert not back[0].duplicate
    assert await events(bus, "preprocess-RecordingIngested") == [wfdb]


async def test_refusals_are_typed_and_leave_nothing(stub: IngestServiceStub, store: ObjectStore) -> None:
    before = await store.list("sources/")
    begin = time.monotonic()
    with pytest.raises(TooLarge, match="1 MiB"):
        await upload(stub, {"big.edf": b"x"}, announced=200 << 20)
    with pytest.raises(TooLarge):
        await upload(stub, {"big.edf": bytes((1 << 20) + 1)}, announced=0)
    with pytest.raises(InvalidArgument, match="no files"):
        await upload(stub, {})
    with pytest.raises(InvalidArgument):
        await call(stub.Get, pb.GetRequest(recording_id="../../etc"))
    assert time.monotonic() - begin < 4
    assert await store.list("sources/") == before
    empty = await upload(stub, {"a.edf": b""})
    assert empty[0].recording.error.reason == "EmptyFile"


async def test_the_same_file_many_times_at_once_is_one_recording(stub: IngestServiceStub, bus: Bus) -> None:
    files = {"t.edf": EDF.read_bytes().replace(b"E07500", b"E07599")}
    await events(bus, "preprocess-RecordingIngested", 0.5)
    every = await asyncio.gather(*(upload(stub, files) for _ in range(12)))
    ids = {x[0].recording.recording_id for x in every}
    assert len(ids) == 1
    assert sum(not x[0].duplicate for x in every) == 1
    assert await events(bus, "preprocess-RecordingIngested") == list(ids)


async def test_a_cut_off_upload_is_completed_by_a_retry_or_the_sweeper(
    bus: Bus, store: ObjectStore, tmp_path: Path
) -> None:
    now = [1000.0]
    reader = SandboxedReader()
    ingest = Ingest(store, bus, reader, reader, site_key=SECRET, keep_sources=False, now=lambda: now[0])
    data = EDF.read_bytes().replace(b"E07500", b"E07501")
    file = UploadedFile(name="a.edf", data=data, options=ReadOptions())
    facts, preprocessed = bus.facts(RecordingFact), bus.facts(PreprocessedFact)
    try:
        # As if killed between fact and event: the fact is there, no event ever was.
        outcome = (await ingest.upload([file]))[0]
        key = outcome.fact.recording_id
        await events(bus, "preprocess-RecordingIngested")
        assert await store.list(f"sources/{key}/") == []
        await facts.put(key, dataclasses.replace(outcome.fact, ingested_at=999.0))
        assert (await ingest.upload([file]))[0].duplicate
        assert await events(bus, "preprocess-RecordingIngested") == [key]

        async with open_catalogue(bus, tmp_path / "index.sqlite") as catalogue:
            sweeper = Sweeper(ingest, catalogue, bus, lambda: now[0])
            others = set(await facts.keys()) - {key}
            assert await sweeper.sweep() == 0
            now[0] = 1040.0
            await sweeper.sweep()
            swept = await events(bus, "preprocess-RecordingIngested")
            assert key in swept
            assert set(swept) <= {key, *others}
            assert await sweeper.sweep() == 0
            await preprocessed.put(
                key, PreprocessedFact(recording_id=key, preprocessing_version="1", error="x")
            )
            async with asyncio.timeout(5):
                while key in [x.recording_id for x in await catalogue.waiting(10_000)]:
                    await asyncio.sleep(0.01)
            now[0] = 9000.0
            await sweeper.sweep()
            assert key not in await events(bus, "preprocess-RecordingIngested")
    finally:
        await reader.close()


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


async def test_an_archive_gives_each_record_its_result(stub: IngestServiceStub, store: ObjectStore) -> None:
    members = {f"ward/{x.name}": x.read_bytes() for x in WFDB}
    members |= {"ward/b.dcm": DICOM.read_bytes(), "README.txt": b"Dear colleague,\nhere they are.\n"}
    answer = await upload(stub, {"three.zip": packed(members)})
    by_name = {tuple(x.file_names): x.recording for x in answer}
    assert set(by_name) == {
        ("three.zip/ward/00004_hr.hea", "three.zip/ward/00004_hr.dat"),
        ("three.zip/ward/b.dcm",),
        ("three.zip/README.txt",),
    }
    wfdb = by_name["three.zip/ward/00004_hr.hea", "three.zip/ward/00004_hr.dat"]
    # The same record alone has the same id, so it is known.
    again = await upload(stub, contents(*WFDB))
    assert (again[0].recording.recording_id, again[0].duplicate) == (wfdb.recording_id, True)
    assert by_name[("three.zip/README.txt",)].error.reason == "UnknownFormat"
    assert len(await store.list(f"sources/{wfdb.recording_id}/")) == 3


async def test_a_signal_file_of_two_headers_is_two_records(stub: IngestServiceStub) -> None:
    files = contents(
        *(GOLDEN / "wfdb" / x for x in ("test01_00s.dat", "test01_00s.hea", "test01_00s_skew.hea"))
    )
    found = await upload(stub, files)
    assert len({x.recording.recording_id for x in found}) == 2
    assert all(x.recording.state == recording_pb2.RECORDING_STATE_READABLE for x in found)


async def test_a_container_gives_several_recordings(
    stub: IngestServiceStub, bus: Bus, store: ObjectStore
) -> None:
    options = recording_pb2.ReadOptions(
        sampling_rate_hz=400, unit=recording_pb2.UNIT_MILLIVOLT, leads=STANDARD_12
    )
    data = (GOLDEN / "hdf5/code15_layout.hdf5").read_bytes()
    answer = await upload(stub, {"exams.hdf5": data}, stated=options)
    ids = [x.recording.recording_id for x in answer]
    assert len(set(ids)) == 2
    source_id = source_digest({"exams.hdf5": data})
    assert source_id not in ids
    # Joined to label tables by the file's own names for its records.
    facts = [await bus.facts(RecordingFact).get(x) for x in ids]
    for name, fact in zip(("1001", "1002"), facts, strict=True):
        assert fact is not None
        assert name_key(SECRET, name) in fact.value.name_keys
    assert await store.list(f"sources/{source_id}/") == [f"sources/{source_id}/0.bin"]
    again = await upload(stub, {"exams.hdf5": data}, stated=options)
    assert [x.duplicate for x in again] == [True, True]
    # One person's erasure takes the common source with it and leaves the other recording.
    await call(stub.Delete, pb.DeleteRequest(recording_id=ids[0]))
    assert await store.list(f"sources/{source_id}/") == []
    kept = await call(stub.Get, pb.GetRequest(recording_id=ids[1]))
    assert kept.recording.state == recording_pb2.RECORDING_STATE_READABLE


async def test_recordings_are_exported_as_files_of_another_format(stub: IngestServiceStub) -> None:
    sent = await upload(stub, {"a.edf": EDF.read_bytes(), "b.dcm": DICOM.read_bytes()})
    ids = [x.recording.recording_id for x in sent]
    request = pb.ExportRequest(recording_ids=[*ids, "0" * 64], format="wfdb")
    parts = await asyncio.to_thread(lambda: list(stream(stub.Export, request, timeout_s=60)))
    files: dict[str, bytes] = {}
    name = ""
    for part in parts:
        if part.HasField("file"):
            name = part.file.name
            files[name] = b""
        elif part.HasField("chunk"):
            files[name] += part.chunk
    assert [x.problem.recording_id for x in parts if x.HasField("problem")] == ["0" * 64]
    assert {x.partition(".")[0] for x in files} == {x[:16] for x in ids}
    back = read_records({x: y for x, y in files.items() if x.startswith(ids[1][:16])})[0].recording
    own = read_records({"b.dcm": DICOM.read_bytes()})[0].recording
    assert back.lead_names == own.lead_names
    assert np.abs(back.signal("V2") - own.signal("V2")).max() < 0.001
    wrong = pb.ExportRequest(recording_ids=ids, format="bmp")
    with pytest.raises(InvalidArgument, match="writer"):
        await asyncio.to_thread(lambda: list(stream(stub.Export, wrong, timeout_s=60)))
