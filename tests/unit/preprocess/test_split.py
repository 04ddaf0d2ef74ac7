"""Properties of the split by patient."""

from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchangeai.dataset import PARTS
from exchangeai.errors import InvalidArgument
from services.preprocess.join import Member
from services.preprocess.split import Shares, split

CLASSES = ("a", "b", "c")


def member(number: int, patient: int, *labels: int, part: str = "") -> Member:
    return Member(
        row=number,
        recording_id=f"r{number}",
        labels=tuple(sorted(labels)),
        patient_key=f"p{patient}",
        part=part,
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
        parts = split(members, CLASSES, wanted, given=False)
    except InvalidArgument:
        assume(False)
        return
    found = patients_of(members, parts)
    assert set(parts) == {x.recording_id for x in members}
    assert sum(len(x) for x in found.values()) == len(set().union(*found.values()))
    assert all(found[p] for p in PARTS)
    assert parts == split(list(reversed(members)), CLASSES, wanted, given=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=3), shares)
def test_a_class_with_three_patients_is_in_every_part(sizes: list[int], wanted: Shares) -> None:
    members = [member(100 * c + i, 100 * c + i, c) for c, size in enumerate(sizes) for i in range(size)]
    parts = split(members, CLASSES[: len(sizes)], wanted, given=False)
    for c in range(len(sizes)):
        assert {parts[x.recording_id] for x in members if c in x.labels} == set(PARTS)


def test_shares_are_kept_in_each_class() -> None:
    members = [member(i, i, i % 10 == 0, *([2] if i % 50 == 0 else [])) for i in range(2000)]
    parts = split(members, CLASSES, Shares(validation=0.1, test=0.2, seed=3), given=False)
    for c in range(3):
        counts = Counter(parts[x.recording_id] for x in members if c in x.labels)
        total = sum(counts.values())
        assert counts["validation"] / total == pytest.approx(0.1, abs=0.02)
        assert counts["test"] / total == pytest.approx(0.2, abs=0.02)


def test_other_seeds_give_other_splits() -> None:
    members = [member(i, i, i % 2) for i in range(100)]
    first, second = (
        split(members, CLASSES[:2], Shares(validation=0.2, test=0.2, seed=s), given=False) for s in (1, 2)
    )
    assert first != second


WANTED = Shares(validation=0.2, test=0.2, seed=0)


def given_parts(*parts: str) -> list[Member]:
    return [member(i, i, i % 2, part=p) for i, p in enumerate(parts)]


def test_given_parts_are_taken() -> None:
    members = given_parts("Train", "train", "validation", "validation", "TEST", "test")
    parts = split(members, CLASSES[:2], WANTED, given=True)
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
        split(members, CLASSES[:2], WANTED, given=True)


def test_too_few_patients_and_nothing_to_tell_apart() -> None:
    with pytest.raises(InvalidArgument, match="at least 3 patients"):
        split([member(i, i % 2, 0) for i in range(9)], CLASSES[:1], WANTED, given=False)
    with pytest.raises(InvalidArgument, match="nothing to tell it from"):
        split([member(i, i, 0) for i in range(9)], CLASSES[:1], WANTED, given=False)
