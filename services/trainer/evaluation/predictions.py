"""A model's outputs with what belongs to them: by window as they come, by recording as they are judged.

Shapes: W windows, N recordings, C classes or targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.facts import Task
from services.trainer.evaluation.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Logits on one part, [W, C], with what belongs to each window."""

    logits: Floats
    """float64 [W, C]; in regression the numbers themselves."""
    labels: npt.NDArray[Any]
    """bool [W, C]; float [W, C] in regression, NaN = no value."""
    recordings: Sequence[str]
    patients: Sequence[str]
    sex: Sequence[str | None] = ()
    age_years: Sequence[int | None] = ()
    device_model: Sequence[str | None] = ()


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Probabilities, or numbers, by recording, [N, C]."""

    probabilities: Floats
    labels: npt.NDArray[Any]
    """As in `Predictions`, [N, C]."""
    patients: Sequence[str]
    recordings: Sequence[str] = ()
    sex: Sequence[str | None] = ()
    age_years: Sequence[int | None] = ()
    device_model: Sequence[str | None] = ()

    def of(self, chosen: npt.NDArray[np.bool_]) -> Scores:
        """Only the chosen recordings, bool [N]."""
        return replace(
            self,
            probabilities=self.probabilities[chosen],
            labels=self.labels[chosen],
            **{name: _of(getattr(self, name), chosen) for name in _SEQUENCES},
        )


_SEQUENCES = ("patients", "recordings", "sex", "age_years", "device_model")


def probabilities(logits: Floats, task: Task, temperature: float) -> Floats:
    """Sigmoid (multi-label), softmax (single-label) of logits / temperature, or numbers as they are."""
    if task is Task.REGRESSION:
        return logits
    z = logits / temperature
    if task is Task.MULTI_LABEL:
        return 1 / (1 + np.exp(-np.clip(z, -60, 60)))
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_recording(predictions: Predictions, task: Task, temperature: float) -> Scores:
    """Mean over the windows of each recording, in the order of their first window."""
    _, first, member = np.unique(
        np.asarray(predictions.recordings, dtype=np.str_), return_index=True, return_inverse=True
    )
    windows = np.bincount(member, minlength=len(first)).astype(np.float64)
    p = probabilities(predictions.logits, task, temperature)
    sums = np.zeros((len(first), p.shape[1]))
    np.add.at(sums, member, p)
    order = np.argsort(first, kind="stable")
    places = [int(i) for i in first[order]]
    return Scores(
        probabilities=(sums / windows[:, None])[order],
        labels=predictions.labels[first[order]],
        **{
            name: [getattr(predictions, name)[i] for i in places]
            for name in _SEQUENCES
            if name == "patients" or getattr(predictions, name)
        },
    )


def _of(values: Sequence[Any], chosen: npt.NDArray[np.bool_]) -> list[Any]:
    return [x for x, taken in zip(values, chosen, strict=True) if taken] if values else []
