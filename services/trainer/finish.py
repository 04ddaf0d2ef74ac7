"""The end of a run: calibrate, choose thresholds, test, export, and leave the model and its result."""

from __future__ import annotations

from pathlib import Path

from exchangeai.dataset import DatasetManifest
from exchangeai.model_file import Manifest, ModelClass, TrainingData, model_digest
from services.trainer.evaluate import Predictions, by_recording, choose_thresholds, fit_temperature, report
from services.trainer.export import export
from services.trainer.job import MODEL_FILE, Job, Result, write_result
from services.trainer.network import Network
from services.trainer.report import Activity, Finished, emit


def finish(
    folder: Path,
    job: Job,
    manifest: DatasetManifest,
    network: Network,
    best_epoch: int,
    validation: Predictions,
    test: Predictions,
) -> None:
    """Write `model.onnx`, then `result.json`. Raises ContractViolation when the export is not faithful."""
    temperature = fit_temperature(validation.logits, validation.labels, job.task)
    thresholds = choose_thresholds(by_recording(validation, job.task, temperature))
    tested = report(by_recording(test, job.task, temperature), job.classes, thresholds, seed=job.options.seed)
    emit(Activity(text="Exporting the model"))
    data = export(
        network,
        job.task,
        temperature,
        Manifest(
            name=job.model_name,
            architecture=job.architecture,
            task=job.task,
            classes=tuple(
                ModelClass(name=n, threshold=t) for n, t in zip(job.classes, thresholds, strict=True)
            ),
            training=_trained_on(job, manifest),
            test=tested,
            parent_digest=job.base_digest,
            run_id=job.run_id,
            code_version=job.code_version,
            preprocessing_version=manifest.preprocessing_version,
            licence=job.licence,
        ),
    )
    (folder / MODEL_FILE).write_bytes(data)
    write_result(folder, Result(digest=model_digest(data), test=tested, best_epoch=best_epoch))
    emit(Finished())


def _trained_on(job: Job, manifest: DatasetManifest) -> TrainingData:
    part = manifest.parts["train"]
    return TrainingData(
        dataset_id=job.dataset_id,
        recordings=part.recordings,
        patients=part.patients,
        positives=part.positives,
    )
