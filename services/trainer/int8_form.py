"""The form in numbers of eight bits that a run makes beside its model when it was asked to."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from exchangeai.dataset import DatasetManifest
from exchangeai.errors import ExchangeaiError
from exchangeai.int8 import INT8_SUFFIX, Int8Form
from exchangeai.model_file import parse_model, read_manifest
from services.trainer.job import INT8_FOLDER, MODEL_FILE, Job, Result, read_result
from services.trainer.judge_anew import FinishedRun
from services.trainer.latency import each_in_turn_ms
from services.trainer.quantise import quantise


def make(folder: Path, job: Job, data: DatasetManifest, made: Result) -> Int8Form:
    """Make it of the model in the run's folder, in a folder of its own there.

    A form that loses too much is no failure of the run: then the answer says so, and there are no files.
    """
    model = (folder / MODEL_FILE).read_bytes()
    named = replace(job, model_name=job.model_name + INT8_SUFFIX)
    run = FinishedRun(
        job=named,
        data=model,
        manifest=read_manifest(parse_model(model)),
        best_epoch=made.best_epoch,
        data_manifest=data,
    )
    try:
        lost = quantise(run, folder / INT8_FOLDER)
    except ExchangeaiError as e:
        return Int8Form(reason=str(e))
    small = read_result(folder / INT8_FOLDER)
    assert small is not None
    own_ms, float32_ms = each_in_turn_ms(
        [(folder / INT8_FOLDER / MODEL_FILE).read_bytes(), model], time.perf_counter
    )
    return Int8Form(
        digest=small.digest,
        model_name=named.model_name,
        loss=lost,
        inference_ms=own_ms,
        float32_ms=float32_ms,
    )
