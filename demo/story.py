"""From file to prediction: the whole path on real, labelled ECGs, with a verdict at the end."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo import baselines, compare
from demo.platform import Stubs
from demo.predict import Predictions, predict
from demo.records import Record
from demo.train import build_dataset, train, wait_until_served
from demo.upload import upload, wait_until_preprocessed
from demo.wfdb_files import write_table
from exchangeai.rpc import invoke
from exchangeai.v1 import inference_service_pb2, model_pb2, run_pb2

DOORS_AGREE = 1e-5
"""How far the two doors may differ in a probability."""
SERVED_AS_TRAINED = 2e-3
"""How far the macro-AUROC of served predictions may be from the trainer's own."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What came out."""

    table: str
    objections: tuple[str, ...]
    """Why the story did not end well; empty when it did."""
    card: inference_service_pb2.GetModelCardResponse
    """Of the model that was made."""


def tell(
    stubs: Stubs, records: Sequence[Record], architecture: str, options: run_pb2.TrainingOptions
) -> Ending:
    """Walk the path. Raises DemoFailed, TimeoutError or ExchangeaiError where it breaks off."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="exchangeai-files-") as folder:
        uploaded = upload(stubs.ingest, records, Path(folder))
        table_path = Path(folder) / "labels.csv"
        write_table(table_path, records)
        table = table_path.read_bytes()
    for problem in uploaded.problems:
        say(f"not readable: {problem}")
    failed = wait_until_preprocessed(stubs.ingest, len(uploaded.ids))
    say(f"{len(uploaded.ids)} recordings are ready, {failed} could not be preprocessed")
    dataset = build_dataset(stubs.preprocess, table)
    for part in dataset.parts:
        say(f"  {part.part:<11}{part.recordings:>7} recordings of {part.patients} patients")
    run = train(stubs.trainer, dataset.dataset_id, architecture, options)
    model = wait_until_served(stubs.inference, run.model_digest)
    say(f"model {model.name} version {model.version}, kept from epoch {run.best_epoch}, is served")

    test = [r for r in records if r.part == "test" and r.name in uploaded.ids]
    ids = [uploaded.ids[r.name] for r in test]
    predictions = predict(stubs.inference, stubs.protocol, stubs.preprocess, model, ids)
    say(f"probabilities of the two APIs differ by {predictions.largest_difference:.1e} at most")
    asked = inference_service_pb2.GetModelCardRequest(name=model.name, version=model.version)
    card: inference_service_pb2.GetModelCardResponse = invoke(stubs.inference.GetModelCard, asked)
    ending = _compare(model, run, predictions, records, [test[i] for i in predictions.analysed], card)
    say(f"the whole path took {(time.monotonic() - begin) / 60:.1f} min\n")
    return ending


def _compare(
    model: model_pb2.Model,
    run: run_pb2.Run,
    predictions: Predictions,
    records: Sequence[Record],
    test: list[Record],
    card: inference_service_pb2.GetModelCardResponse,
) -> Ending:
    """The model and both baselines on the same test recordings."""
    train_part, validation = ([r for r in records if r.part == part] for part in ("train", "validation"))
    labels = baselines.labels_of(test).astype(np.bool_)
    validation_labels = baselines.labels_of(validation).astype(np.bool_)
    patients = [r.patient for r in test]
    chosen = {c.name: c.threshold for c in model.classes}
    thresholds = [chosen[name] for name in baselines.CLASSES]
    best = compare.judge(run.architecture, predictions.probabilities, labels, patients, thresholds)
    others: list[tuple[compare.Row, compare.Estimate]] = []
    objections: list[str] = []
    for name, fit in (
        ("class frequencies", baselines.class_frequencies),
        ("logistic regression", baselines.logistic_regression),
    ):
        scores = fit(train_part, validation, test)
        cut = compare.thresholds_on(scores.validation, validation_labels)
        row = compare.judge(name, scores.test, labels, patients, cut)
        gain = compare.difference(best, row)
        others.append((row, gain))
        if gain.low is None or gain.low <= 0:
            objections.append(f"the model does not clearly beat: {name}")
    if predictions.largest_difference > DOORS_AGREE:
        objections.append(f"the two doors differ by {predictions.largest_difference:.1e}")
    served = best.report.macro_auroc.value
    if served is None or abs(served - run.test.macro_auroc.value) > SERVED_AS_TRAINED:
        objections.append(
            f"served predictions reach AUROC {served}, the trainer says {run.test.macro_auroc.value}"
        )
    return Ending(table=compare.table(best, others), objections=tuple(objections), card=card)


def say(line: str) -> None:
    """A line beside the progress bars."""
    print(line, file=sys.stderr, flush=True)
