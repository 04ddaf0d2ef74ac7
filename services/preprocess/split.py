"""Split recordings into three parts, never a patient into two: at random, by time, or as the table says."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from exchangeai.facts import Task
from services.preprocess.members import Member

_SHOWN_ROWS = 10
_FIFTHS = np.array([0.2, 0.4, 0.6, 0.8])


class SplitBy(StrEnum):
    """What decides the part of a recording."""

    PATIENT = "patient"
    """At random by patient, stratified and seeded."""
    COLUMN = "column"
    """The column of parts."""
    TIME = "time"
    """The earliest patients train, the latest test."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of patients; the rest is for training."""

    validation: float
    test: float
    seed: int


def split(
    members: Sequence[Member],
    classes: Sequence[str],
    shares: Shares,
    by: SplitBy,
    *,
    task: Task = Task.MULTI_LABEL,
    part_of_value: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The part of each recording by id; no patient is in two parts.

    `part_of_value` says which part each value of the column of parts means, for example of PTB-XL's
    `strat_fold`; without it the values are the parts. Raises InvalidArgument when a patient is in two given
    parts, a part is unknown or empty, or a class cannot be learned or judged with this split.
    """
    match by:
        case SplitBy.COLUMN:
            parts = _as_given(members, part_of_value or {x: x for x in PARTS})
        case SplitBy.TIME:
            parts = _by_time(members, shares)
        case SplitBy.PATIENT:
            parts = _by_patient(members, strata(members, task), shares)
    _check(members, parts, classes, task)
    return parts


def _as_given(members: Sequence[Member], part_of_value: Mapping[str, str]) -> dict[str, str]:
    folded = {value.strip().casefold(): part for value, part in part_of_value.items()}
    parts: dict[str, str] = {}
    rows_of: dict[str, dict[str, int]] = defaultdict(dict)
    unknown: dict[int, str] = {}
    for x in members:
        part = folded.get(x.part.casefold())
        if part is None:
            unknown[x.row] = x.part
            continue
        parts[x.recording_id] = part
        rows_of[x.patient_key].setdefault(part, x.row)
    if unknown:
        raise InvalidArgument(
            f"{len(unknown)} rows name no known part (rows {_some(list(unknown))}): their column says "
            f"{_values(unknown.values())}; known are {_values(part_of_value)}. "
            "State which part each value means"
        )
    crossing = [sorted(rows.values()) for rows in rows_of.values() if len(rows) > 1]
    if crossing:
        shown = "; ".join("rows " + ", ".join(map(str, x)) for x in sorted(crossing)[:_SHOWN_ROWS])
        raise InvalidArgument(
            f"{len(crossing)} patients are in more than one part ({shown}): results on the other part would "
            "be too good. Put all rows of a patient into one part"
        )
    return parts


def _by_patient(
    members: Sequence[Member], strata_of: Mapping[str, frozenset[int]], shares: Shares
) -> dict[str, str]:
    """Iterative stratification over patients (Sechidis, Tsoumakas, Vlahavas 2011, there over samples).

    The rarest class goes first: each of its patients goes where most of that class is still wanted.
    """
    order = sorted(strata_of)
    _require_patients(len(order))
    random.Random(shares.seed).shuffle(order)
    kinds = set(strata_of.values())
    everybody = 1 + max((x for labels in kinds for x in labels), default=-1)
    with_everybody = {labels: labels | {everybody} for labels in kinds}
    labels_of = {patient: with_everybody[strata_of[patient]] for patient in order}
    part_of = _stratified(order, labels_of, _wanted_shares(shares))
    return {x.recording_id: part_of[x.patient_key] for x in members}


def _by_time(members: Sequence[Member], shares: Shares) -> dict[str, str]:
    """Training comes before validation and validation before test.

    A patient goes by their latest recording, so that nothing that happened later is trained on; patients of
    the same time go together.
    """
    latest: dict[str, float] = {}
    for x in members:
        if x.time_s is None:
            raise InvalidArgument("a split by time needs a column that says when each recording was made")
        latest[x.patient_key] = max(x.time_s, latest.get(x.patient_key, x.time_s))
    _require_patients(len(latest))
    times = sorted(latest.values())
    ends = [len(times) * (1 - shares.validation - shares.test), len(times) * (1 - shares.test)]
    validation_s, test_s = (times[min(round(x), len(times) - 1)] for x in ends)
    if times[0] == validation_s or validation_s == test_s:
        raise InvalidArgument(
            "too many patients have the same time to split by it: give times that differ, for example days "
            "instead of years, or split by patient"
        )
    return {x.recording_id: _side(latest[x.patient_key], validation_s, test_s) for x in members}


def _side(time_s: float, validation_s: float, test_s: float) -> str:
    return "train" if time_s < validation_s else "validation" if time_s < test_s else "test"


def _require_patients(count: int) -> None:
    if count < len(PARTS):
        raise InvalidArgument(f"a split by patient needs at least {len(PARTS)} patients; there are {count}")


def strata(members: Sequence[Member], task: Task) -> dict[str, frozenset[int]]:
    """What is to be spread evenly, by patient: classes, or for regression the fifths of each target.

    Patients of the same strata share one set.
    """
    if task is not Task.REGRESSION:
        return _united((x.patient_key, x.labels) for x in members)
    values = np.array([x.values for x in members], np.float64)
    edges = [np.nanquantile(v, _FIFTHS) if not np.isnan(v).all() else _FIFTHS for v in values.T]
    fifths = np.empty(values.shape, np.int64)
    for t, edge in enumerate(edges):
        fifths[:, t] = np.searchsorted(edge, values[:, t]) + t * (len(_FIFTHS) + 1)
    there = ~np.isnan(values)
    return _united(
        (x.patient_key, tuple(fifth[known].tolist()))
        for x, fifth, known in zip(members, fifths, there, strict=True)
    )


def _united(labels_of: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, frozenset[int]]:
    sets: dict[tuple[int, ...], frozenset[int]] = {}
    shared: dict[frozenset[int], frozenset[int]] = {}
    found: dict[str, frozenset[int]] = {}
    for patient, labels in labels_of:
        here = sets.get(labels)
        if here is None:
            made = frozenset(labels)
            here = sets[labels] = shared.setdefault(made, made)
        before = found.setdefault(patient, here)
        if not here <= before:
            union = before | here
            found[patient] = shared.setdefault(union, union)
    return found


def _wanted_shares(shares: Shares) -> dict[str, float]:
    return {
        "train": 1 - shares.validation - shares.test,
        "validation": shares.validation,
        "test": shares.test,
    }


def _stratified(
    order: Sequence[str], labels_of: Mapping[str, frozenset[int]], shares: Mapping[str, float]
) -> dict[str, str]:
    left: Counter[int] = Counter()
    for labels, n in Counter(labels_of.values()).items():
        left.update(dict.fromkeys(labels, n))
    waiting: dict[int, list[str]] = defaultdict(list)
    for patient in order:
        for label in labels_of[patient]:
            waiting[label].append(patient)
    wanted = {part: {label: share * n for label, n in left.items()} for part, share in shares.items()}
    has: dict[str, Counter[int]] = {part: Counter() for part in PARTS}
    lacked = set(left)
    everybody = max(left)
    part_of: dict[str, str] = {}
    while len(part_of) < len(order):
        rarest = min((n, label) for label, n in left.items() if n > 0)[1]
        for patient in waiting[rarest]:
            if patient in part_of:
                continue
            labels = labels_of[patient]
            # Of equals the first is taken.
            part = max(
                PARTS if lacked.isdisjoint(labels) else _parts_open_to(labels, rarest, left, has),
                key=lambda p: (wanted[p][rarest], wanted[p][everybody]),
            )
            part_of[patient] = part
            for label in labels:
                left[label] -= 1
                wanted[part][label] -= 1
                has[part][label] += 1
                if label in lacked and all(has[p][label] for p in PARTS):
                    lacked.remove(label)
    return part_of


def _parts_open_to(
    labels: frozenset[int], rarest: int, left: Mapping[int, int], has: Mapping[str, Counter[int]]
) -> Sequence[str]:
    """All parts; or, when a class has only as many patients left as parts still lack it, those parts."""
    for label in sorted(labels, key=lambda x: (x != rarest, left[x], x)):
        lacking = [p for p in PARTS if not has[p][label]]
        if lacking and left[label] <= len(lacking):
            return lacking
    return PARTS


def _check(members: Sequence[Member], parts: Mapping[str, str], classes: Sequence[str], task: Task) -> None:
    sizes = Counter(parts.values())
    empty = [p for p in PARTS if not sizes[p]]
    if empty:
        raise InvalidArgument(
            f"the part {empty[0]} would be empty; all of {', '.join(PARTS)} need recordings"
        )
    if task is Task.REGRESSION:
        _check_targets([x for x in members if parts[x.recording_id] == "train"], classes)
        return
    positives = {p: Counter[int]() for p in PARTS}
    for (part, labels), n in Counter((parts[x.recording_id], x.labels) for x in members).items():
        positives[part].update(dict.fromkeys(labels, n))
    for part, why in (("train", "cannot be learned"), ("validation", "cannot get a threshold")):
        absent = [name for i, name in enumerate(classes) if not positives[part][i]]
        if absent:
            raise InvalidArgument(
                f"{len(absent)} classes have no recording in {part} and {why}: "
                f"{', '.join(repr(x) for x in absent[:20])}. Leave out classes of few patients, name the "
                "classes to keep without them, or add recordings of at least 3 patients of each"
            )
    always = [name for i, name in enumerate(classes) if positives["train"][i] == sizes["train"]]
    if always:
        raise InvalidArgument(
            f"every recording in train is {always[0]!r}, so there is nothing to tell it from: add recordings "
            "without it and name their class too (rows with none of the classes are left out)"
        )


def _check_targets(train: Sequence[Member], targets: Sequence[str]) -> None:
    for i, name in enumerate(targets):
        values = {x.values[i] for x in train if not np.isnan(x.values[i])}
        if len(values) < 2:
            raise InvalidArgument(
                f"the target {name!r} has {len(values) or 'no'} different values in train, so there is "
                "nothing to learn: is it the right column?"
            )


def _values(found: Iterable[str]) -> str:
    shown = list(dict.fromkeys(repr(x[:40]) for x in found))
    return ", ".join(shown[:_SHOWN_ROWS]) + (", ..." if len(shown) > _SHOWN_ROWS else "")


def _some(rows: Sequence[int]) -> str:
    return ", ".join(str(x) for x in rows[:_SHOWN_ROWS]) + (", ..." if len(rows) > _SHOWN_ROWS else "")
