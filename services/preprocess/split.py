"""Split recordings into three parts by patient: stratified and seeded, or as the table says."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from services.preprocess.join import Member

_SHOWN_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of patients; the rest is for training."""

    validation: float
    test: float
    seed: int


def split(members: Sequence[Member], classes: Sequence[str], shares: Shares, given: bool) -> dict[str, str]:
    """The part of each recording by id; no patient is in two parts.

    `given`: the members' own parts are taken and checked. Raises InvalidArgument when a patient is in two
    given parts, a part is unknown or empty, or a class cannot be learned or judged with this split.
    """
    parts = _as_given(members) if given else _by_patient(members, len(classes), shares)
    _check(members, parts, classes)
    return parts


def _as_given(members: Sequence[Member]) -> dict[str, str]:
    parts: dict[str, str] = {}
    rows_of: dict[str, dict[str, int]] = defaultdict(dict)
    unknown: list[int] = []
    for x in members:
        part = x.part.lower()
        if part not in PARTS:
            unknown.append(x.row)
            continue
        parts[x.recording_id] = part
        rows_of[x.patient_key].setdefault(part, x.row)
    if unknown:
        raise InvalidArgument(
            f"{len(unknown)} rows name no known part (rows {_some(unknown)}); "
            f"the parts are {', '.join(PARTS)}"
        )
    crossing = [sorted(rows.values()) for rows in rows_of.values() if len(rows) > 1]
    if crossing:
        shown = "; ".join("rows " + ", ".join(map(str, x)) for x in sorted(crossing)[:_SHOWN_ROWS])
        raise InvalidArgument(
            f"{len(crossing)} patients are in more than one part ({shown}): results on the other part would "
            "be too good. Put all rows of a patient into one part"
        )
    return parts


def _by_patient(members: Sequence[Member], classes: int, shares: Shares) -> dict[str, str]:
    """Iterative stratification over patients (Sechidis, Tsoumakas, Vlahavas 2011, there over samples).

    The rarest class goes first: each of its patients goes where most of that class is still wanted.
    """
    labels_of: dict[str, set[int]] = defaultdict(set)
    for x in members:
        labels_of[x.patient_key].update((*x.labels, classes))  # one class more that all have: being a patient
    if len(labels_of) < len(PARTS):
        raise InvalidArgument(
            f"a split by patient needs at least {len(PARTS)} patients; there are {len(labels_of)}"
        )
    order = sorted(labels_of)
    random.Random(shares.seed).shuffle(order)
    part_of = _stratified(order, labels_of, _wanted_shares(shares))
    return {x.recording_id: part_of[x.patient_key] for x in members}


def _wanted_shares(shares: Shares) -> dict[str, float]:
    return {
        "train": 1 - shares.validation - shares.test,
        "validation": shares.validation,
        "test": shares.test,
    }


def _stratified(
    order: Sequence[str], labels_of: Mapping[str, set[int]], shares: Mapping[str, float]
) -> dict[str, str]:
    left = Counter(label for patient in order for label in labels_of[patient])
    waiting: dict[int, list[str]] = defaultdict(list)
    for patient in order:
        for label in labels_of[patient]:
            waiting[label].append(patient)
    wanted = {part: {label: share * n for label, n in left.items()} for part, share in shares.items()}
    has: dict[str, Counter[int]] = {part: Counter() for part in PARTS}
    everybody = max(left)
    part_of: dict[str, str] = {}
    while len(part_of) < len(order):
        rarest = min((n, label) for label, n in left.items() if n > 0)[1]
        for patient in waiting[rarest]:
            if patient in part_of:
                continue
            part = max(
                _parts_open_to(labels_of[patient], rarest, left, has),
                key=lambda p: (wanted[p][rarest], wanted[p][everybody], -PARTS.index(p)),
            )
            part_of[patient] = part
            for label in labels_of[patient]:
                left[label] -= 1
                wanted[part][label] -= 1
                has[part][label] += 1
    return part_of


def _parts_open_to(
    labels: set[int], rarest: int, left: Mapping[int, int], has: Mapping[str, Counter[int]]
) -> Sequence[str]:
    """All parts; or, when a class has only as many patients left as parts still lack it, those parts."""
    for label in sorted(labels, key=lambda x: (x != rarest, left[x], x)):
        lacking = [p for p in PARTS if not has[p][label]]
        if lacking and left[label] <= len(lacking):
            return lacking
    return PARTS


def _check(members: Sequence[Member], parts: Mapping[str, str], classes: Sequence[str]) -> None:
    sizes = Counter(parts.values())
    empty = [p for p in PARTS if not sizes[p]]
    if empty:
        raise InvalidArgument(
            f"the part {empty[0]} would be empty; all of {', '.join(PARTS)} need recordings"
        )
    positives = {p: Counter[int]() for p in PARTS}
    for x in members:
        positives[parts[x.recording_id]].update(x.labels)
    for part, why in (("train", "cannot be learned"), ("validation", "cannot get a threshold")):
        absent = [name for i, name in enumerate(classes) if not positives[part][i]]
        if absent:
            raise InvalidArgument(
                f"{len(absent)} classes have no recording in {part} and {why}: "
                f"{', '.join(repr(x) for x in absent[:20])}. Name the classes to keep without "
                "them, or add recordings of at least 3 patients of each"
            )
    always = [name for i, name in enumerate(classes) if positives["train"][i] == sizes["train"]]
    if always:
        raise InvalidArgument(
            f"every recording in train is {always[0]!r}, so there is nothing to tell it from: add recordings "
            "without it and name their class too (rows with none of the classes are left out)"
        )


def _some(rows: Sequence[int]) -> str:
    return ", ".join(str(x) for x in rows[:_SHOWN_ROWS]) + (", ..." if len(rows) > _SHOWN_ROWS else "")
