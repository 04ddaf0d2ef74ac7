"""A run's scores by recording, kept beside its result: what comparisons draw their bootstraps from.

One `.npz` without pickles. For each part (`validation`, `test`; the latter is absent when there is none):
`<part>_probabilities` float64 [N, C], `<part>_labels` bool [N, C] (regression: float [N, C], NaN = no value),
`<part>_patients` and `<part>_recordings` text [N], `<part>_draws` float64 [D], the score of each draw of the
bootstrap; and `thresholds` float64 [C] (empty in regression), `learned_from` int64 [2]: recordings, patients.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from services.trainer.evaluation import metrics
from services.trainer.evaluation.intervals import DRAWS, overall
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Scores

SCORES_FILE = "scores.npz"
SEED = 0
"""Of the bootstrap: the same for all runs, so that each draw takes the same patients."""


@dataclass(frozen=True, kw_only=True)
class PartDraws:
    """Calibrated scores of one run on one part."""

    scores: Scores
    draws: Floats
    """float64 [D]: macro-AUROC, or error over spread, of each draw over patients; NaN where not defined.

    The draws are the same for all runs on a data set, so that differences of runs are paired.
    """


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """What one run leaves."""

    validation: PartDraws
    test: PartDraws | None
    thresholds: tuple[float, ...]
    """Fixed on validation; empty in regression."""
    recordings: int
    """Learned from; so are `patients`."""
    patients: int


def drawn(scores: Scores, task: Task, draws: int = DRAWS) -> PartDraws:
    """The scores with their draws; costs as much as one interval of the report."""
    measure = overall(scores, task)
    weights = metrics.bootstrap_weights(scores.patients, draws, SEED)
    return PartDraws(scores=scores, draws=np.concatenate([np.empty(0), *(measure(w) for w in weights)]))


def scores_key(run_id: str) -> str:
    """Where the store keeps a run's scores."""
    return f"runs/{run_id}/{SCORES_FILE}"


def write_scores(folder: Path, scores: RunScores) -> None:
    """Write `scores.npz` into the run's folder."""
    arrays: dict[str, Any] = {
        "thresholds": np.asarray(scores.thresholds, np.float64),
        "learned_from": np.asarray([scores.recordings, scores.patients], np.int64),
    }
    for part, kept in (("validation", scores.validation), ("test", scores.test)):
        if kept is not None:
            held = kept.scores
            arrays[f"{part}_draws"] = kept.draws
            arrays[f"{part}_probabilities"] = held.probabilities
            arrays[f"{part}_labels"] = held.labels
            arrays[f"{part}_patients"] = np.asarray(held.patients, np.str_)
            arrays[f"{part}_recordings"] = np.asarray(held.recordings, np.str_)
    np.savez_compressed(folder / SCORES_FILE, **arrays)


def read_scores(data: bytes) -> RunScores:
    """The scores in the bytes of a `scores.npz`. Raises ContractViolation when they are none."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            recordings, patients = arrays["learned_from"].tolist()
            return RunScores(
                validation=_part(arrays, "validation"),
                test=_part(arrays, "test") if "test_labels" in arrays else None,
                thresholds=tuple(arrays["thresholds"].tolist()),
                recordings=recordings,
                patients=patients,
            )
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise ContractViolation("the scores of a run are damaged; train it again") from e


def _part(arrays: Any, part: str) -> PartDraws:
    scores = Scores(
        probabilities=arrays[f"{part}_probabilities"],
        labels=arrays[f"{part}_labels"],
        patients=arrays[f"{part}_patients"].tolist(),
        recordings=arrays[f"{part}_recordings"].tolist(),
    )
    return PartDraws(scores=scores, draws=arrays[f"{part}_draws"])
