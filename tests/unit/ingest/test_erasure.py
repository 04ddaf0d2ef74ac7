"""What is left of an erased recording, and of those that show the same signal."""

from __future__ import annotations

import pytest

from exchangeai.bus import Bus
from exchangeai.errors import NotFound
from exchangeai.facts import (
    PreprocessedFact,
    RecordingFact,
    ResultFact,
    RunFact,
    RunState,
    SignalFact,
    TrainingOptions,
)
from exchangeai.results import fact_key, object_key
from exchangeai.store import ObjectStore
from exchangeai.v1 import ingest_service_pb2 as pb
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub
from tests.unit.ingest.ingest_calls import EDF, WFDB, call, contents, upload


async def test_the_same_signal_in_another_file_is_recognised(stub: IngestServiceStub) -> None:
    header, signal = (x.read_bytes() for x in WFDB)
    renamed = {"other.hea": header.replace(b"00004_hr", b"other"), "other.dat": signal}
    first = (await upload(stub, contents(*WFDB)))[0]
    second = (await upload(stub, renamed))[0]
    assert not second.duplicate
    assert second.recording.recording_id != first.recording.recording_id
    assert second.recording.same_signal_as == first.recording.recording_id


async def test_an_erased_recording_is_not_named_by_those_of_the_same_signal(
    stub: IngestServiceStub, bus: Bus
) -> None:
    header, signal = (x.read_bytes() for x in WFDB)
    header = header.replace(b"1000.0", b"1001.0")
    coats = [
        {f"{name}.hea": header.replace(b"00004_hr", name.encode()), f"{name}.dat": signal}
        for name in ("coat_a", "coat_b", "coat_c")
    ]
    ids = [(await upload(stub, x))[0].recording.recording_id for x in coats]
    await call(stub.Delete, pb.DeleteRequest(recording_id=ids[0]))
    facts = await bus.facts(RecordingFact).all()
    assert [facts[x].same_signal_as for x in ids[1:]] == [None, ids[1]]
    await call(stub.Delete, pb.DeleteRequest(recording_id=ids[2]))
    await call(stub.Delete, pb.DeleteRequest(recording_id=ids[1]))
    assert not [
        x for x in (await bus.facts(SignalFact).all()).values() if set(ids) & {x.recording_id, *x.later}
    ]


async def test_what_is_erased_leaves_only_where_it_was_used(
    stub: IngestServiceStub, bus: Bus, store: ObjectStore
) -> None:
    file = {"erased.edf": EDF.read_bytes().replace(b"E07500", b"E07599")}
    key = (await upload(stub, file))[0].recording.recording_id
    await store.put("datasets/d9/request.json", f'{{"rows": ["{key}"]}}'.encode())
    run = RunFact(
        run_id="r9", model_name="m", dataset_id="d9", architecture="a", state=RunState.SUCCEEDED,
        options=TrainingOptions(), model_version=3,
    )  # fmt: skip
    await bus.facts(RunFact).put("r9", run)
    results = [
        ResultFact(
            recording_id=x,
            model_name="m",
            model_version=3,
            model_digest=digest * 32,
            preprocessing_version="1",
            recorded_at=1.0,
        )
        for x in (key, "0" * 64)
        for digest in ("aa", "bb")
    ]
    for result in results:
        await store.put(object_key(result), b"{}")
        await bus.facts(ResultFact).put(fact_key(result), result)
    with pytest.raises(NotFound):
        await call(stub.GetDeletion, pb.GetDeletionRequest(recording_id=key))
    await call(stub.Delete, pb.DeleteRequest(recording_id=key))
    told = await call(stub.GetDeletion, pb.GetDeletionRequest(recording_id=key))
    assert told.deletion.recording_id == key
    assert list(told.deletion.dataset_ids) == ["d9"]
    assert list(told.deletion.run_ids) == ["r9"]
    assert list(told.deletion.model_keys) == ["m.3"]
    for bucket in ("sources", "recordings", "windows", "results"):
        assert not [x for x in await store.list(f"{bucket}/") if key in x]
    left = {x.recording_id for x in (await bus.facts(ResultFact).all()).values()}
    assert left == {"0" * 64}
    assert len(await store.list("results/")) == 2
    for kind in (RecordingFact, PreprocessedFact):
        assert await bus.facts(kind).get(key) is None
    signals = [await bus.facts(SignalFact).get(x) for x in await bus.facts(SignalFact).keys()]
    assert key not in [x.value.recording_id for x in signals if x]
    # It may come back.
    assert not (await upload(stub, file))[0].duplicate
