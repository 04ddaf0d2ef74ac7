"""The ingest service on real servers: through gRPC, and what it leaves in store, facts and queue."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from exchangeai.bus import Bus, Delivery, open_index
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import InvalidArgument, NotFound, TooLarge
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.formats import ReadOptions
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.keys import name_key, patient_key
from exchangeai.recording import from_bytes, source_digest
from exchangeai.rpc import invoke, open_channel, stream
from exchangeai.store import ObjectStore
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1 import recording_pb2
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.ingest.catalogue import open_catalogue
from services.ingest.ingest import Ingest
from services.ingest.main import Config, run
from services.ingest.receiving import UploadedFile
from services.ingest.sweeper import Sweeper

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
SECRET = "5a" * 32
EDF = GOLDEN / "edf/E07500_12lead_edfplus.edf"
DICOM = GOLDEN / "dicom/waveform_ecg.dcm"
WFDB = [GOLDEN / "wfdb/00004_hr.hea", GOLDEN / "wfdb/00004_hr.dat"]


@pytest.fixture
async def stub(bus_config: BusConfig, store_config: StoreConfig) -> AsyncIterator[IngestServiceStub]:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = Config(
        bus=bus_config, store=store_config, site_key=SECRET, readers=1, max_file_bytes=1 << 20, max_files=50
    )
    service = asyncio.create_task(run(config, stop, port.set_result))
    channel: grpc.Channel | None = None
    try:
        await asyncio.wait([service, port], return_when=asyncio.FIRST_COMPLETED)
        channel = open_channel(f"127.0.0.1:{port.result()}")
        yield IngestServiceStub(channel)
    finally:
        if channel is not None:
            channel.close()
        stop.set()
        await service


def parts(files: dict[str, bytes], announced: int | None = None) -> Iterator[pb.UploadRequest]:
    for name, data in files.items():
        size = len(data) if announced is None else announced
        yield pb.UploadRequest(file=pb.FileStart(name=name, size_bytes=size))
        for at in range(0, len(data), 1 << 16):
            yield pb.UploadRequest(chunk=data[at : at + (1 << 16)])


async def upload(
    stub: IngestServiceStub, files: dict[str, bytes], announced: int | None = None
) -> list[pb.UploadResult]:
    answer = await asyncio.to_thread(invoke, stub.Upload, parts(files, announced), timeout_s=30)
    return list(answer.results)


async def call(method: Any, request: Message) -> Any:
    return await asyncio.to_thread(invoke, method, request, timeout_s=10)


async def signal(stub: IngestServiceStub, recording_id: str, *leads: str) -> list[pb.GetSignalResponse]:
    request = pb.GetSignalRequest(recording_id=recording_id, leads=leads)
    return await asyncio.to_thread(lambda: list(stream(stub.GetSignal, request, timeout_s=10)))


def contents(*paths: Path) -> dict[str, bytes]:
    return {x.name: x.read_bytes() for x in paths}


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
    ingest = Ingest(store, bus, reader, site_key=SECRET, keep_sources=False, now=lambda: now[0])
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

        async with (
            open_catalogue(bus, tmp_path / "index.sqlite") as catalogue,
            open_index(preprocessed) as made,
        ):
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
            await made.wait(key, lambda x: x is not None)
            now[0] = 9000.0
            await sweeper.sweep()
            assert key not in await events(bus, "preprocess-RecordingIngested")
    finally:
        await reader.close()
