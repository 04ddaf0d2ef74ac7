"""A share of the training patients: what a run learns from when labels are rationed.

Shapes: N windows, n chosen windows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.dataset import Part, PartManifest
from exchangeai.facts import Task
from exchangeai.model_file import TrainingData

DECILES = 10


def rows(part: Part, task: Task, share: float, seed: int) -> npt.NDArray[np.int64]:
    """The windows of so many of the patients, int64 [n], ascending; all for a share of 1.

    Patients are drawn systematically from strata (Madow 1949): a stratum holds those whose rarest class is
    the same, or in regression those of one decile of the first target. Member i of n of a stratum comes at
    (i + u) / n with one u in [0, 1) for the stratum, so that every beginning of the sequence has nearly the
    share of each stratum. Shares are beginnings of one sequence: with equal seeds 1 % lies inside 10 %.
    """
    everyone = np.arange(len(part.labels), dtype=np.int64)
    if share >= 1:
        return everyone
    names, member = np.unique(np.asarray(part.patient_keys, dtype=np.str_), return_inverse=True)
    strata = _strata(np.asarray(part.labels), member, len(names), task)
    random = np.random.default_rng((seed, len(names)))
    place = np.empty(len(names))
    for stratum in np.unique(strata):
        here = random.permutation(np.flatnonzero(strata == stratum))
        place[here] = (np.arange(len(here)) + random.uniform()) / len(here)
    first = np.argsort(place, kind="stable")[: max(1, math.ceil(share * len(names)))]
    return everyone[np.isin(member, first)]


def training_data(
    dataset_id: str, whole: PartManifest, part: Part, chosen: npt.NDArray[np.int64]
) -> TrainingData:
    """What is learned from, for the model's manifest: counts of recordings and patients, not of windows."""
    if len(chosen) == len(part.labels):
        recordings, patients, positives = whole.recordings, whole.patients, whole.positives
    else:
        places: list[int] = chosen.tolist()
        _, first = np.unique(np.array([part.recording_ids[i] for i in places]), return_index=True)
        recordings, patients = len(first), len({part.patient_keys[i] for i in places})
        labels = np.asarray(part.labels)[chosen[first]]
        held = ~np.isnan(labels) if labels.dtype == np.float32 else labels > 0
        positives = tuple(int(x) for x in held.sum(axis=0))
    return TrainingData(dataset_id=dataset_id, recordings=recordings, patients=patients, positives=positives)


def _strata(
    labels: npt.NDArray[Any], member: npt.NDArray[np.int64], patients: int, task: Task
) -> npt.NDArray[np.int64]:
    """The stratum of each patient, int64 [patients]."""
    if task is Task.REGRESSION:
        known = ~np.isnan(labels[:, 0])
        number = np.bincount(member[known], minlength=patients)
        total = np.bincount(member[known], weights=labels[known, 0], minlength=patients)
        mean = np.divide(total, number, out=np.full(patients, np.nan), where=number > 0)
        valued = mean[number > 0]
        bounds = np.quantile(valued, np.arange(1, DECILES) / DECILES) if len(valued) else np.empty(0)
        return np.where(number > 0, np.searchsorted(bounds, mean), -1).astype(np.int64)
    holds = np.zeros((patients, labels.shape[1]), np.bool_)
    np.logical_or.at(holds, member, labels > 0)
    rarest_first = np.argsort(holds.sum(axis=0), kind="stable")
    sorted_holds = holds[:, rarest_first]
    return np.where(holds.any(axis=1), rarest_first[sorted_holds.argmax(axis=1)], -1).astype(np.int64)
