"""Properties of the split by patient."""

from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from exchangeai.facts import Task
from services.preprocess.members import Member
from services.preprocess.split import Shares, SplitBy, split

CLASSES = ("a", "b", "c")


def member(
    number: int,
    patient: int,
    *labels: int,
    part: str = "",
    time_s: float | None = None,
    values: tuple[float, ...] = (),
) -> Member:
    return Member(
        row=number,
        recording_id=f"r{number}",
        labels=tuple(sorted(labels)),
        patient_key=f"p{patient}",
        part=part,
        time_s=time_s,
        values=values,
    )


@st.composite
def populations(draw: st.DrawFn) -> list[Member]:
    """At least 6 patients, each with 1 to 3 recordings of one class or of several."""
    members: list[Member] = []
    for patient in range(draw(st.integers(6, 60))):
        for _ in range(draw(st.integers(1, 3))):
            labels = draw(st.sets(st.integers(0, 2), min_size=1, max_size=2))
            members.append(member(len(members), patient, *labels))
    return members


shares = st.builds(
    Shares,
    validation=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**64 - 1),
)


def patients_of(members: list[Member], parts: dict[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for x in members:
        found[parts[x.recording_id]].add(x.patient_key)
    return found


@settings(max_examples=150, deadline=None)
@given(populations(), shares)
def test_no_patient_is_on_two_sides_and_the_seed_decides(members: list[Member], wanted: Shares) -> None:
    try:
        parts = split(members, CLASSES, wanted, SplitBy.PATIENT)
    except InvalidArgument:
        assume(False)
        return
    found = patients_of(members, parts)
    assert set(parts) == {x.recording_id for x in members}
    assert sum(len(x) for x in found.values()) == len(set().union(*found.values()))
    assert all(found[p] for p in PARTS)
    assert parts == split(list(reversed(members)), CLASSES, wanted, SplitBy.PATIENT)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=3), shares)
def test_a_class_with_three_patients_is_in_every_part(sizes: list[int], wanted: Shares) -> None:
    members = [member(100 * c + i, 100 * c + i, c) for c, size in enumerate(sizes) for i in range(size)]
    parts = split(members, CLASSES[: len(sizes)], wanted, SplitBy.PATIENT)
    for c in range(len(sizes)):
        assert {parts[x.recording_id] for x in members if c in x.labels} == set(PARTS)


def test_shares_are_kept_in_each_class() -> None:
    members = [member(i, i, i % 10 == 0, *([2] if i % 50 == 0 else [])) for i in range(2000)]
    parts = split(members, CLASSES, Shares(validation=0.1, test=0.2, seed=3), SplitBy.PATIENT)
    for c in range(3):
        counts = Counter(parts[x.recording_id] for x in members if c in x.labels)
        total = sum(counts.values())
        assert counts["validation"] / total == pytest.approx(0.1, abs=0.02)
        assert counts["test"] / total == pytest.approx(0.2, abs=0.02)


def test_other_seeds_give_other_splits() -> None:
    members = [member(i, i, i % 2) for i in range(100)]
    first, second = (
        split(members, CLASSES[:2], Shares(validation=0.2, test=0.2, seed=s), SplitBy.PATIENT) for s in (1, 2)
    )
    assert first != second


WANTED = Shares(validation=0.2, test=0.2, seed=0)


def given_parts(*parts: str) -> list[Member]:
    return [member(i, i, i % 2, part=p) for i, p in enumerate(parts)]


def test_given_parts_are_taken() -> None:
    members = given_parts("Train", "train", "validation", "validation", "TEST", "test")
    parts = split(members, CLASSES[:2], WANTED, SplitBy.COLUMN)
    assert parts == {f"r{i}": x.part.lower() for i, x in enumerate(members)}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([*given_parts("train", "train", "validation"), member(3, 1, 0, part="test")], "rows 1, 3"),
        (given_parts("train", "dev", "fold 9", ""), r"3 rows name no known part \(rows 1, 2, 3\)"),
        (given_parts("train", "train", "validation", "validation"), "part test would be empty"),
        (given_parts("train", "validation", "train", "test"), "no recording in train"),
        (given_parts("train", "train", "validation", "test"), "no recording in validation"),
    ],
)
def test_given_parts_that_cannot_be_judged_are_refused(members: list[Member], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        split(members, CLASSES[:2], WANTED, SplitBy.COLUMN)


def test_too_few_patients_and_nothing_to_tell_apart() -> None:
    with pytest.raises(InvalidArgument, match="at least 3 patients"):
        split([member(i, i % 2, 0) for i in range(9)], CLASSES[:1], WANTED, SplitBy.PATIENT)
    with pytest.raises(InvalidArgument, match="nothing to tell it from"):
        split([member(i, i, 0) for i in range(9)], CLASSES[:1], WANTED, SplitBy.PATIENT)


def test_values_of_a_column_mean_parts() -> None:
    members = [member(i, i, i // 10 % 2, part=str(1 + i % 10)) for i in range(40)]
    meant = {str(i): "train" for i in range(1, 9)} | {"9": "validation", "10": "test"}
    parts = split(members, CLASSES[:2], WANTED, SplitBy.COLUMN, part_of_value=meant)
    assert Counter(parts.values()) == {"train": 32, "validation": 4, "test": 4}
    assert {parts[x.recording_id] for x in members if x.part == "10"} == {"test"}
    with pytest.raises(InvalidArgument, match=r"column says '10'; known are '1', .* State which part"):
        split(
            members,
            CLASSES[:2],
            WANTED,
            SplitBy.COLUMN,
            part_of_value={k: meant[k] for k in meant if k != "10"},
        )


def test_by_time_nothing_later_is_trained_on() -> None:
    members = [member(i, i % 50, i % 2, time_s=float((i * 37) % 101)) for i in range(150)]
    parts = split(members, CLASSES[:2], WANTED, SplitBy.TIME)
    latest: dict[str, float] = defaultdict(float)
    for x in members:
        latest[x.patient_key] = max(latest[x.patient_key], x.time_s or 0)
    times = {p: [latest[x.patient_key] for x in members if parts[x.recording_id] == p] for p in PARTS}
    assert max(times["train"]) < min(times["validation"])
    assert max(times["validation"]) < min(times["test"])
    patients = {p: {x.patient_key for x in members if parts[x.recording_id] == p} for p in PARTS}
    assert sum(map(len, patients.values())) == 50
    assert len(patients["test"]) == pytest.approx(10, abs=2)


def test_times_that_cannot_split() -> None:
    with pytest.raises(InvalidArgument, match="same time to split"):
        split([member(i, i, i % 2, time_s=2019.0) for i in range(9)], CLASSES[:2], WANTED, SplitBy.TIME)
    with pytest.raises(InvalidArgument, match="when each recording was made"):
        split([member(i, i, i % 2) for i in range(9)], CLASSES[:2], WANTED, SplitBy.TIME)


def test_numeric_targets_are_spread_evenly() -> None:
    members = [member(i, i, values=(float(i), float("nan") if i % 2 else 1.0 + i)) for i in range(500)]
    parts = split(members, ("a", "b"), WANTED, SplitBy.PATIENT, task=Task.REGRESSION)
    for low in range(0, 500, 100):
        fifth = Counter(parts[f"r{i}"] for i in range(low, low + 100))
        assert fifth["test"] == pytest.approx(20, abs=3)
    constant = [member(i, i, values=(4.0,)) for i in range(20)]
    with pytest.raises(InvalidArgument, match="nothing to learn"):
        split(constant, ("a",), WANTED, SplitBy.PATIENT, task=Task.REGRESSION)


def test_a_hundred_thousand_patients_are_split_quickly_enough() -> None:
    members = [member(i, i, i % 3, *([1] if i % 7 == 0 else [])) for i in range(100_000)]
    parts = split(members, CLASSES, Shares(validation=0.1, test=0.1, seed=1), SplitBy.PATIENT)
    assert Counter(parts.values())["test"] == pytest.approx(10_000, rel=0.01)
