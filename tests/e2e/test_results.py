"""A real ECG through the whole platform: its result is kept, exported, and erased with it."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

from demo.platform import Stubs
from exchangeai.__main__ import main
from exchangeai.errors import NotFound, NotReady
from exchangeai.rpc import invoke
from exchangeai.testing.models import tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import ingest_service_pb2
from services.local import Platform
from tests.samples import GOLDEN

ECG = GOLDEN / "edf" / "E07500_12lead_edfplus.edf"
MODEL = "kept"


def test_a_result_is_kept_exported_and_erased_with_its_recording(
    platform: Platform, stubs: Stubs, tmp_path: Path
) -> None:
    recording_id = _upload(stubs, ECG.read_bytes().replace(b"E07500", b"E07577"))
    invoke(
        stubs.inference.ImportModel,
        iter([pb.ImportModelRequest(name=MODEL, chunk=tiny_model(name=MODEL, seed=77))]),
        timeout_s=60,
    )
    invoke(stubs.inference.ApproveModel, pb.ApproveModelRequest(name=MODEL, version=1), timeout_s=20)
    asked = pb.PredictRequest(model_name=MODEL, recording_id=recording_id, record_result=True)
    answer = _when_ready(stubs, asked)
    assert answer.findings

    to = ["results", "export", "--from", platform.addresses["inference"], "--out", str(tmp_path)]
    assert main([*to, "--to", "csv", "--recording", recording_id]) == 0
    rows = list(csv.DictReader((tmp_path / "results.csv").open(newline="", encoding="utf-8")))
    assert [x["finding"] for x in rows] == [x.name for x in answer.findings]
    assert [float(x["probability"]) for x in rows] == [x.probability for x in answer.findings]
    assert {x["model_digest"] for x in rows} == {answer.provenance.model_digest}

    invoke(stubs.ingest.Delete, ingest_service_pb2.DeleteRequest(recording_id=recording_id), timeout_s=20)
    left = pb.ListResultsRequest(filter=pb.ResultFilter(recording_id=recording_id))
    assert not invoke(stubs.inference.ListResults, left).results


def _upload(stubs: Stubs, data: bytes) -> str:
    def parts() -> Iterator[ingest_service_pb2.UploadRequest]:
        yield ingest_service_pb2.UploadRequest(file=ingest_service_pb2.FileStart(name="kept.edf"))
        yield ingest_service_pb2.UploadRequest(chunk=data)

    sent = invoke(stubs.ingest.Upload, parts(), timeout_s=20).results[0]
    return str(sent.recording.recording_id)


def _when_ready(stubs: Stubs, request: pb.PredictRequest) -> pb.PredictResponse:
    until = time.monotonic() + 30
    while True:
        try:
            return invoke(stubs.inference.Predict, request, timeout_s=20)
        except (NotReady, NotFound):
            if time.monotonic() > until:
                raise
        time.sleep(0.1)
