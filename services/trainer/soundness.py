"""What a data set must be before anything is learnt from it, whoever built it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from exchangeai.dataset import Part
from exchangeai.errors import ContractViolation
from exchangeai.facts import Task

NEEDED = ("train", "validation")
EXAMPLES = 2


def require_sound(parts: Mapping[str, Part], task: Task, processes: int) -> None:
    """Refuse parts that cannot be trained with or whose numbers would not be honest.

    The training part's labels are judged where the objective is fitted to those that are learnt from.
    Raises ContractViolation.
    """
    for name in NEEDED:
        if len(parts[name]) < processes:
            raise ContractViolation(f"the data set's {name} part has too few recordings to train with")
    _refuse_leaks(parts)
    _refuse_one_class(parts["validation"], task)


def _refuse_leaks(parts: Mapping[str, Part]) -> None:
    """A network knows its patients again, so that they must not be asked about those it learnt from."""
    held = {name: (set(part.patient_keys), set(part.recording_ids)) for name, part in parts.items()}
    both = {
        (one, other): (held[one][0] & held[other][0], held[one][1] & held[other][1])
        for one, other in combinations(held, 2)
    }
    leaked = {key: places for places, (patients, _) in both.items() for key in patients}
    if leaked:
        examples = [f"{key} in {one} and {other}" for key, (one, other) in sorted(leaked.items())[:EXAMPLES]]
        raise ContractViolation(
            f"{_number(len(leaked), 'patient')} in more than one part of the data set "
            f"({'; '.join(examples)}): its test would flatter the model. Build the data set "
            "anew, with each patient in one part"
        )
    count = len(set[str]().union(*(recordings for _, recordings in both.values())))
    if count:
        raise ContractViolation(
            f"{_number(count, 'recording')} in more than one part of the data set: its test would flatter "
            "the model. Build the data set anew"
        )


def _refuse_one_class(validation: Part, task: Task) -> None:
    """Epochs are chosen, and thresholds and calibration fitted, on the validation part."""
    labels = validation.labels
    if task is Task.REGRESSION:
        if np.isnan(labels).all():
            raise ContractViolation("no target has a value in the validation part, so nothing can be judged")
    elif not (labels.any(axis=0) & ~labels.all(axis=0)).any():
        raise ContractViolation(
            "the validation part has one class only: none is present in some recordings and absent in "
            "others, so no epoch can be told from another. Take more recordings, or fewer and "
            "more common classes"
        )


def _number(count: int, noun: str) -> str:
    return f"1 {noun} is" if count == 1 else f"{count} {noun}s are"
