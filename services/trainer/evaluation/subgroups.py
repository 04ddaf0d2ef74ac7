"""The score of some of the recordings: by sex, by age and by the device that recorded them.

A group of fewer than 20 patients is left out: its interval would say nothing, and it could point at persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from exchangeai.facts import Task
from exchangeai.metrics import Subgroup
from services.trainer.evaluation.intervals import estimate, overall
from services.trainer.evaluation.predictions import Scores

FEWEST_PATIENTS = 20
AGES = ((0, 39, "under 40"), (40, 64, "40 to 64"), (65, 79, "65 to 79"), (80, 200, "80 and over"))


def subgroups(scores: Scores, task: Task, draws: int, seed: int) -> tuple[Subgroup, ...]:
    """Each group that is large enough, with its interval."""
    found: list[Subgroup] = []
    for kind, name, members in _groups(scores):
        part = scores.of(np.array(members, bool))
        patients = len(set(part.patients))
        if patients >= FEWEST_PATIENTS:
            score = estimate(overall(part, task), part, draws, seed)
            if score.value is not None:
                found.append(
                    Subgroup(kind=kind, name=name, recordings=sum(members), patients=patients, score=score)
                )
    return tuple(found)


def _groups(scores: Scores) -> Iterator[tuple[str, str, list[bool]]]:
    for code, name in (("F", "female"), ("M", "male")):
        if scores.sex:
            yield "sex", name, [x == code for x in scores.sex]
    for model in sorted({x for x in scores.device_model if x}):
        yield "device", model, [x == model for x in scores.device_model]
    for low, high, name in AGES:
        if scores.age_years:
            yield "age", name, _where(scores.age_years, lambda x, a=low, b=high: a <= x <= b)


def _where(values: Sequence[int | None], holds: Callable[[int], bool]) -> list[bool]:
    return [x is not None and holds(x) for x in values]
