"""From file to prediction on real servers, every service a process of its own."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from demo.platform import Stubs
from demo.predict import predict
from demo.train import build_dataset, train, wait_until_served
from demo.wfdb_files import write_table, write_wfdb
from exchangeai.errors import NotFound, NotReady
from exchangeai.leads import STANDARD_12
from exchangeai.rpc import invoke, stream
from exchangeai.v1 import (
    inference_service_pb2,
    ingest_service_pb2,
    measurements_pb2,
    model_pb2,
    preprocess_service_pb2,
    recording_pb2,
    run_pb2,
    training_service_pb2,
)
from services.local import Platform
from tests.e2e.conftest import Uploaded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table(uploaded: Uploaded, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    write_table(path, uploaded.records)
    return path.read_bytes()


@pytest.fixture(scope="module")
def run(stubs: Stubs, table: bytes) -> run_pb2.Run:
    dataset = build_dataset(stubs.preprocess, table)
    options = run_pb2.TrainingOptions(max_epochs=2, batch_size=16, seed=1)
    return train(stubs.trainer, dataset.dataset_id, "xresnet1d", options)


@pytest.fixture(scope="module")
def model(stubs: Stubs, run: run_pb2.Run) -> model_pb2.Model:
    return wait_until_served(stubs.inference, run.model_digest)


def test_a_recording_says_what_its_file_said(stubs: Stubs, uploaded: Uploaded) -> None:
    record = uploaded.records[0]
    recording_id = uploaded.ids[record.name]
    found = invoke(stubs.ingest.Get, ingest_service_pb2.GetRequest(recording_id=recording_id)).recording
    assert found.format == "wfdb"
    assert tuple(x.name for x in found.leads) == STANDARD_12
    assert {x.sampling_rate_hz for x in found.leads} == {100.0}
    assert found.patient.age_years == record.age_years
    assert found.preprocessing_state == recording_pb2.PREPROCESSING_STATE_DONE
    request = ingest_service_pb2.GetSignalRequest(recording_id=recording_id)
    leads = [np.frombuffer(x.samples, "<f4") for x in stream(stubs.ingest.GetSignal, request, timeout_s=10)]
    np.testing.assert_allclose(np.stack(leads), record.signal_mv, atol=6e-4)


def test_the_same_file_again_is_the_same_recording(stubs: Stubs, uploaded: Uploaded, tmp_path: Path) -> None:
    files = write_wfdb(tmp_path, uploaded.records[0])
    parts = []
    for path in files:
        parts.append(ingest_service_pb2.UploadRequest(file=ingest_service_pb2.FileStart(name=path.name)))
        parts.append(ingest_service_pb2.UploadRequest(chunk=path.read_bytes()))
    (result,) = invoke(stubs.ingest.Upload, iter(parts), timeout_s=20).results
    assert result.duplicate
    assert result.recording.recording_id == uploaded.ids[uploaded.records[0].name]


def test_measurements_are_plausible(stubs: Stubs, uploaded: Uploaded) -> None:
    rates: list[float] = []
    for recording_id in list(uploaded.ids.values())[:20]:
        request = preprocess_service_pb2.GetMeasurementsRequest(recording_id=recording_id)
        answer = invoke(stubs.preprocess.GetMeasurements, request)
        assert answer.quality.verdict != measurements_pb2.QUALITY_VERDICT_NOT_ANALYSABLE
        assert len(answer.quality.leads) == 12
        rates.append(answer.measurements.heart_rate_bpm)
    assert 50 < np.median(rates) < 110


def test_a_run_reports_every_epoch_and_its_test_metrics(run: run_pb2.Run) -> None:
    assert [e.epoch for e in run.epochs] == [1, 2]
    assert run.test.recordings == 30
    assert run.test.bootstrap_draws == 1000
    assert 0 <= run.test.macro_auroc.low <= run.test.macro_auroc.value <= run.test.macro_auroc.high <= 1
    assert [c.name for c in run.test.classes] == ["NORM", "MI", "STTC", "CD", "HYP"]


def test_both_doors_and_all_forms_agree(
    stubs: Stubs, uploaded: Uploaded, model: model_pb2.Model, tmp_path: Path
) -> None:
    test = [r for r in uploaded.records if r.part == "test"][:10]
    ids = [uploaded.ids[r.name] for r in test]
    predictions = predict(stubs.inference, stubs.protocol, stubs.preprocess, model, ids)
    assert predictions.largest_difference < 1e-6
    files = [
        inference_service_pb2.EcgFile(name=p.name, content=p.read_bytes())
        for p in write_wfdb(tmp_path, test[0])
    ]
    by_id, by_file = (
        invoke(stubs.inference.Predict, request)
        for request in (
            inference_service_pb2.PredictRequest(model_name=model.name, recording_id=ids[0]),
            inference_service_pb2.PredictRequest(
                model_name=model.name, files=inference_service_pb2.EcgFiles(files=files)
            ),
        )
    )
    assert [f.probability for f in by_id.findings] == [f.probability for f in by_file.findings]
    assert by_id.provenance.input_digest == by_file.provenance.input_digest == ids[0]
    for answer in (by_id, by_file):
        assert answer.provenance.model_digest == model.digest
        assert answer.provenance.model_version == model.version
        assert answer.provenance.code_version
        assert answer.provenance.preprocessing_version
        assert answer.provenance.request_id
        assert "not a medical device" in answer.provenance.notice


def test_a_model_travels_and_must_be_approved(
    stubs: Stubs, uploaded: Uploaded, model: model_pb2.Model
) -> None:
    request = inference_service_pb2.ExportModelRequest(name=model.name, version=model.version)
    data = b"".join(x.chunk for x in stream(stubs.inference.ExportModel, request, timeout_s=20))
    source = io.BytesIO(data)
    parts = [inference_service_pb2.ImportModelRequest(name="from-elsewhere")]
    while chunk := source.read(1 << 20):
        parts.append(inference_service_pb2.ImportModelRequest(chunk=chunk))
    imported = invoke(stubs.inference.ImportModel, iter(parts), timeout_s=60).model
    assert imported.state == model_pb2.MODEL_STATE_QUARANTINED
    recording_id = next(iter(uploaded.ids.values()))
    ask = inference_service_pb2.PredictRequest(model_name="from-elsewhere", recording_id=recording_id)
    with pytest.raises((NotReady, NotFound)):
        invoke(stubs.inference.Predict, ask)
    approve = inference_service_pb2.ApproveModelRequest(name=imported.name, version=imported.version)
    invoke(stubs.inference.ApproveModel, approve)
    deadline = time.monotonic() + 10
    while True:
        try:
            theirs = invoke(stubs.inference.Predict, ask)
            break
        except (NotReady, NotFound):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    ours = invoke(
        stubs.inference.Predict,
        inference_service_pb2.PredictRequest(model_name=model.name, recording_id=recording_id),
    )
    assert [f.probability for f in theirs.findings] == [f.probability for f in ours.findings]


def test_the_readme_snippet_runs(platform: Platform, model: model_pb2.Model) -> None:
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (snippet,) = [x for x in snippets if "tritonclient" in x]
    assert model.name in snippet
    # Stock tritonclient brings the protocol's messages under the same names, hence a process of its own.
    here = snippet.replace("127.0.0.1:50054", platform.addresses["inference"])
    ended = subprocess.run(
        [sys.executable, "-c", here], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "[[" in ended.stdout


def test_runs_and_architectures_are_listed(stubs: Stubs, run: run_pb2.Run) -> None:
    runs = invoke(stubs.trainer.ListRuns, training_service_pb2.ListRunsRequest()).runs
    assert run.run_id in [r.run_id for r in runs]
    listed = invoke(
        stubs.trainer.ListArchitectures, training_service_pb2.ListArchitecturesRequest(), timeout_s=60
    ).architectures
    assert listed[0].name == "xresnet1d"  # the one to begin with
    assert {"inception_time", "s4d"} < {a.name for a in listed}
    assert all(a.parameters > 1000 and a.gflops > 0 for a in listed)


def test_a_deleted_recording_is_gone(
    stubs: Stubs, tmp_path: Path, uploaded: Uploaded, run: run_pb2.Run
) -> None:
    recording_id = uploaded.ids[uploaded.records[-1].name]
    answer = invoke(stubs.ingest.Delete, ingest_service_pb2.DeleteRequest(recording_id=recording_id))
    assert run.dataset_id in answer.dataset_ids
    with pytest.raises(NotFound):
        invoke(stubs.ingest.Get, ingest_service_pb2.GetRequest(recording_id=recording_id))
