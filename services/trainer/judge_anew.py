"""Judges a model that was made of finished runs as a run's own model is judged, and writes the same files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from exchangeai.dataset import MANIFEST_FILE, PARTS, DatasetManifest, decode_manifest, open_part
from exchangeai.errors import InvalidArgument
from exchangeai.model_file import Manifest, parse_model, read_manifest, write_manifest
from services.trainer import label_share, network
from services.trainer.evaluation import novelty, onnx_file
from services.trainer.export import golden, session, synthetic_window
from services.trainer.finish import Trained, finish
from services.trainer.job import MODEL_FILE, Job, read_job, read_result, write_job, write_result
from services.trainer.scope import scope


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a finished run has left in its folder."""

    job: Job
    data: bytes
    """The model file."""
    manifest: Manifest
    best_epoch: int
    data_manifest: DatasetManifest
    """Of what it learned from, whose shards lie where the job says."""


def finished(folder: Path) -> FinishedRun:
    """Read the folder of a run. Raises InvalidArgument when it is not finished."""
    result = read_result(folder)
    if result is None:
        raise InvalidArgument(f"the run in {folder.name} is not finished")
    data = (folder / MODEL_FILE).read_bytes()
    known = read_manifest(parse_model(data))
    job = read_job(folder)
    if result.learning_rate:
        job = replace(job, options=replace(job.options, learning_rate=result.learning_rate))
    return FinishedRun(
        job=job,
        data=data,
        manifest=known,
        best_epoch=result.best_epoch,
        data_manifest=decode_manifest((job.data_folder / MANIFEST_FILE).read_bytes()),
    )


def judge_anew(
    out: Path,
    run: FinishedRun,
    make: Callable[[float], bytes],
    *,
    architecture: str,
    best_epoch: int,
    extra: Mapping[str, str],
    parent_digest: str = "",
) -> None:
    """Fit on validation what a model fits there, judge on test, write model, card, scores, job and result.

    `make` gives the model, without a manifest, for a temperature; it learned from the data of `run`. `extra`
    goes into the manifest.
    """
    job, described, untempered = run.job, run.data_manifest, make(1.0)
    parts = {p: open_part(job.data_folder, described, p) for p in PARTS}
    rows = label_share.rows(parts["train"], job.task, job.options.label_share, job.options.seed)
    predict, everyone = onnx_file.own(untempered, 0), range(len(job.classes))
    trained = Trained(
        learned_from=run.manifest.training,
        best_epoch=best_epoch,
        validation=onnx_file.predictions(predict, parts["validation"], everyone, everyone),
        test=onnx_file.predictions(predict, parts["test"], everyone, everyone),
        scope=run.manifest.scope
        or scope(
            parts["train"],
            rows,
            novelty.looked_at(rows),
            lead_loss="lead_loss" in job.options.augmentations,
            crop_s=network.build(job.architecture, 1).encoder.crop_s,
        ),
        novelty=novelty.detector(
            parts["train"],
            rows,
            parts["validation"],
            lambda part, chosen, orders: onnx_file.embeddings(untempered, part, chosen, 0, orders),
        ),
        extra=extra,
    )

    def export(manifest: Manifest) -> bytes:
        data = make(manifest.temperature)
        record = golden(session(data), synthetic_window())
        return write_manifest(parse_model(data), replace(manifest, golden=record))

    made = replace(job, architecture=architecture, base_digest=parent_digest)
    out.mkdir(parents=True, exist_ok=True)
    write_job(out, made)
    write_result(out, finish(out, made, described, trained, export))
