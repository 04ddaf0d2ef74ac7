"""The end of a run: decide on validation, test, export, and leave the model with its card and its scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.dataset import DatasetManifest
from exchangeai.model_file import CARD_FILE, Manifest, ModelClass, Scope, TrainingData, model_digest
from exchangeai.novelty import Detector
from services.trainer.evaluation.card import card
from services.trainer.evaluation.figures import figures
from services.trainer.evaluation.predictions import Predictions, by_recording
from services.trainer.evaluation.report import fix, report
from services.trainer.job import FIGURE_SUFFIX, MODEL_FILE, Job, Result
from services.trainer.latency import inference_ms
from services.trainer.scores import RunScores, drawn, write_scores

NUMBER_THRESHOLD = 0.0
"""Stands in the manifest where a number is predicted, which nothing is decided from."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training leaves to be judged, beside the network itself."""

    learned_from: TrainingData
    best_epoch: int
    validation: Predictions
    test: Predictions
    """Without rows when the data set has no test part."""
    scope: Scope
    novelty: Detector | None
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else the manifest says."""


def finish(
    folder: Path, job: Job, manifest: DatasetManifest, trained: Trained, export: Callable[[Manifest], bytes]
) -> Result:
    """Write `model.onnx`, `card.md` and `scores.npz`; whoever calls writes the result, which comes last.

    The model does not say which run made it: equal options on equal data give equal bytes. A data set
    without a test part is reported on validation, and the report says so. `export` makes the model file of
    its manifest, into which it puts the golden record; it may raise ContractViolation.
    """
    learned_from, validation, test = trained.learned_from, trained.validation, trained.test
    fixed = fix(validation, job.task)
    judged, part = (test, "test") if len(test.logits) else (validation, "validation")
    scores, validated = (by_recording(x, job.task, fixed.temperature) for x in (judged, validation))
    tested = report(scores, job.classes, fixed, job.task, part=part, seed=job.options.seed)
    thresholds = fixed.thresholds or (NUMBER_THRESHOLD,) * len(job.classes)
    described = Manifest(
        name=job.model_name,
        architecture=job.architecture,
        task=job.task,
        classes=tuple(ModelClass(name=n, threshold=t) for n, t in zip(job.classes, thresholds, strict=True)),
        training=learned_from,
        temperature=fixed.temperature,
        test=tested,
        conformal=fixed.conformal,
        scope=trained.scope,
        novelty=trained.novelty,
        extra=dict(trained.extra),
        parent_digest=job.base_digest,
        code_version=job.code_version,
        preprocessing_version=manifest.preprocessing_version,
        licence=job.licence,
    )
    data = export(described)
    digest = model_digest(data)
    (folder / MODEL_FILE).write_bytes(data)
    images: dict[str, str] = {}
    for name, svg in figures(tested).items():
        images[name] = f"{name}{FIGURE_SUFFIX}"
        (folder / images[name]).write_bytes(svg)
    (folder / CARD_FILE).write_text(card(described, digest, manifest, job.options, images), encoding="utf-8")
    write_scores(
        folder,
        RunScores(
            validation=drawn(validated, job.task),
            test=drawn(scores, job.task) if len(test.logits) else None,
            thresholds=fixed.thresholds,
            recordings=learned_from.recordings,
            patients=learned_from.patients,
        ),
    )
    needed_ms = inference_ms(data, time.perf_counter)
    return Result(
        digest=digest,
        test=tested,
        best_epoch=trained.best_epoch,
        inference_ms=needed_ms,
        learning_rate=job.options.learning_rate,
    )
