"""What one training run is to do: the file `job.json` in its folder, read by every rank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from exchangeai.facts import Task, TrainingOptions
from exchangeai.int8 import Int8Form
from exchangeai.metrics import TestReport

JOB_FILE = "job.json"
CHECKPOINT_FILE = "checkpoint.pt"
BASE_FILE = "base.onnx"
MODEL_FILE = "model.onnx"
FIGURE_SUFFIX = ".svg"
INT8_FOLDER = "int8"
"""Holds the model in eight bits with its card, scores and result, as a run's folder does."""
RESULT_FILE = "result.json"

STOPPED = 75
"""Exit code of a rank that was asked to stop and has saved its checkpoint (EX_TEMPFAIL)."""
GAVE_UP = 65
"""Exit code of a rank that has told why it cannot go on: repeating it would not help (EX_DATAERR)."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run. Paths are this machine's and are written anew for each attempt."""

    run_id: str
    model_name: str
    dataset_id: str
    data_folder: Path
    architecture: str
    task: Task
    classes: tuple[str, ...]
    options: TrainingOptions
    base_digest: str = ""
    """Digest of the model whose weights to start from, stored beside the job; empty for none."""
    code_version: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished run leaves beside its model."""

    digest: str
    test: TestReport
    best_epoch: int
    inference_ms: float = 0.0
    """Median time for one window in ONNX Runtime on one thread."""
    learning_rate: float = 0.0
    """At its peak, as stated or as found; 0 in what earlier versions left."""
    int8_form: Int8Form | None = None
    """What became of the form in eight bits; None when none was asked for."""


def checkpoint_key(run_id: str) -> str:
    """Where the store keeps the run's checkpoint."""
    return f"runs/{run_id}/{CHECKPOINT_FILE}"


def write_job(folder: Path, job: Job) -> None:
    """Store the job in the run's folder."""
    _write(folder / JOB_FILE, msgspec.json.encode(job, enc_hook=str))


def read_job(folder: Path) -> Job:
    """Read the job of the run's folder."""
    return msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job, dec_hook=_path)


def write_result(folder: Path, result: Result) -> None:
    """Store the result; its presence means that the model beside it is whole."""
    _write(folder / RESULT_FILE, msgspec.json.encode(result))


def read_result(folder: Path) -> Result | None:
    """Read the result, or None when the run has not come so far."""
    try:
        return msgspec.json.decode((folder / RESULT_FILE).read_bytes(), type=Result)
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(path)


def _path(kind: type, value: str) -> Path:
    if kind is not Path:
        raise NotImplementedError(f"a job has no fields of {kind}")
    return Path(value)
