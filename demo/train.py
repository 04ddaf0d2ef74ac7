"""From recordings to a published model: build the data set, train, wait until the model can predict."""

from __future__ import annotations

import time

from demo.progress import Progress
from demo.records import CLASSES
from demo.wfdb_files import COLUMNS
from exchangeai.rpc import invoke, stream
from exchangeai.v1 import dataset_pb2, inference_service_pb2, model_pb2, preprocess_service_pb2, run_pb2
from exchangeai.v1 import training_service_pb2 as training
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from exchangeai.v1.preprocess_service_pb2_grpc import PreprocessServiceStub
from exchangeai.v1.training_service_pb2_grpc import TrainingServiceStub

MODEL_NAME = "ptbxl-superclass"
HOUR_S = 3600.0


class DemoFailed(Exception):
    """The platform answered, but not with what the story needs."""


def build_dataset(stub: PreprocessServiceStub, table: bytes) -> dataset_pb2.Dataset:
    """Join the label table to the recordings and follow the build."""
    request = preprocess_service_pb2.BuildDatasetRequest(
        name="PTB-XL superclasses",
        table=table,
        columns=preprocess_service_pb2.TableColumns(
            recording=COLUMNS["recording"],
            label=COLUMNS["label"],
            patient=COLUMNS["patient"],
            part=COLUMNS["part"],
        ),
        task=dataset_pb2.TASK_MULTI_LABEL,
        classes=CLASSES,
        split=preprocess_service_pb2.Split(validation=0.15, test=0.2, seed=1),
    )
    dataset: dataset_pb2.Dataset = invoke(stub.BuildDataset, request, timeout_s=60).dataset
    watch = preprocess_service_pb2.WatchDatasetRequest(dataset_id=dataset.dataset_id)
    with Progress("build data set", 1) as bar:
        for change in stream(stub.WatchDataset, watch, timeout_s=HOUR_S):
            dataset = change.dataset
            bar.update(dataset.progress)
        bar.update(1 if dataset.state == dataset_pb2.DATASET_STATE_READY else dataset.progress)
    if dataset.state != dataset_pb2.DATASET_STATE_READY:
        raise DemoFailed(f"the data set was not built: {dataset.error}")
    return dataset


def train(
    stub: TrainingServiceStub, dataset_id: str, architecture: str, options: run_pb2.TrainingOptions
) -> run_pb2.Run:
    """Start a run and follow it to its end."""
    request = training.StartRunRequest(
        dataset_id=dataset_id, architecture=architecture, model_name=MODEL_NAME, options=options
    )
    run: run_pb2.Run = invoke(stub.StartRun, request).run
    with Progress("train " + architecture, 1) as bar:
        watch = training.WatchRunRequest(run_id=run.run_id)
        for change in stream(stub.WatchRun, watch, timeout_s=24 * HOUR_S):
            run = change.run
            bar.update(run.progress, _describe(run))
        bar.update(1 if run.state == run_pb2.RUN_STATE_SUCCEEDED else run.progress, _describe(run))
    if run.state != run_pb2.RUN_STATE_SUCCEEDED:
        raise DemoFailed(f"the run ended as {run_pb2.RunState.Name(run.state)}: {run.error or run.activity}")
    return run


def _describe(run: run_pb2.Run) -> str:
    if not run.epochs:
        return run.activity
    last = run.epochs[-1]
    auroc = (
        f"  validation AUROC {last.validation_macro_auroc:.3f}"
        if last.HasField("validation_macro_auroc")
        else ""
    )
    eta = f"  {run.eta_s / 60:.1f} min left at most" if run.eta_s else ""
    return f"epoch {last.epoch}{auroc}{eta}"


def wait_until_served(stub: InferenceServiceStub, digest: str, *, timeout_s: float = 60) -> model_pb2.Model:
    """Wait until inference lists the model. TimeoutError when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        models = invoke(stub.ListModels, inference_service_pb2.ListModelsRequest()).models
        for model in models:
            if model.digest == digest:
                return model
        time.sleep(0.2)
    raise TimeoutError(f"the published model did not reach inference within {timeout_s:.0f} s")
