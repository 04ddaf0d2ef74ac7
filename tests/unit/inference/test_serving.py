"""Pure parts of serving: the canary's share, the way back, the memory budget, versions and aliases."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from exchangeai.errors import InvalidArgument, NotReady
from exchangeai.facts import ServingFact
from exchangeai.findings import Finding
from services.inference.canary import falls_to_canary
from services.inference.memory import Budget
from services.inference.routing import version_of
from services.inference.serving import promoted, rolled_back, without
from services.inference.shadow import compare

DIGESTS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_a_share_is_kept_and_only_grows(share: float) -> None:
    chosen = {x for x in DIGESTS if falls_to_canary("m", x, share)}
    assert len(chosen) / len(DIGESTS) == pytest.approx(share, abs=0.03)
    more = {x for x in DIGESTS if falls_to_canary("m", x, min(1.0, share + 0.2))}
    assert chosen <= more
    assert not falls_to_canary("m", "", 1.0)


def test_names_try_out_their_canaries_on_different_inputs() -> None:
    one, two = ({x for x in DIGESTS if falls_to_canary(name, x, 0.5)} for name in ("one", "two"))
    assert 0.2 < len(one & two) / len(DIGESTS) < 0.3


def test_the_way_back_goes_over_what_is_approved_and_ends_the_canary() -> None:
    fact = ServingFact(name="m")
    fact = promoted(fact, 1, answering=3)
    fact = promoted(fact, 2, answering=1)
    assert (fact.champion, fact.previous) == (2, (3, 1))
    fact = promoted(replace(fact, canary=4, canary_share=0.3), 4, answering=2)
    assert (fact.champion, fact.previous, fact.canary, fact.canary_share) == (4, (3, 1, 2), 0, 0.0)
    assert promoted(fact, 4, answering=4) == fact
    back = rolled_back(fact, {1, 3, 4})
    assert (back.champion, back.previous) == (1, (3,))
    with pytest.raises(NotReady, match="no champion before"):
        rolled_back(ServingFact(name="m", champion=1), {1})
    gone = without(replace(back, canary=3, canary_share=0.1, shadow=3), 3)
    assert (gone.previous, gone.canary, gone.canary_share, gone.shadow) == ((), 0, 0.0, 0)


def test_the_least_recently_used_goes_and_what_is_kept_stays() -> None:
    budget = Budget(100)
    for key in ("champion", "old", "new"):
        budget.hold(key, 30)
    budget.touch("old")
    assert budget.make_room("next", 30, lambda x: x == "champion") == ["new"]
    assert budget.make_room("next", 10, lambda x: x == "champion") == []
    assert budget.make_room("next", 70, lambda x: x == "champion") == ["new", "old"]
    with pytest.raises(NotReady, match="model_memory_bytes"):
        budget.make_room("next", 71, lambda x: x == "champion")
    assert budget.used_bytes == 90
    budget.release("old")
    assert budget.used_bytes == 60
    assert Budget(0).make_room("any", 1 << 40, lambda _: True) == []


def test_versions_and_aliases_of_stock_clients() -> None:
    assert [version_of(x) for x in ("", "7", "champion", "canary")] == [
        (0, ""),
        (7, ""),
        (0, "champion"),
        (0, "canary"),
    ]
    for text in ("0", "-1", "newest", "version", "1.0", "9" * 10, "٣"):
        with pytest.raises(InvalidArgument):
            version_of(text)


def test_answers_are_compared_over_what_both_decide() -> None:
    def finding(name: str, probability: float) -> Finding:
        return Finding(name=name, probability=probability, threshold=0.5, present=probability >= 0.5)

    answer = [finding("a", 0.4), finding("b", 0.9)]
    assert compare(answer, [finding("a", 0.45)]) == (pytest.approx(0.05), False)
    assert compare(answer, [finding("b", 0.2), finding("a", 0.4)]) == (pytest.approx(0.7), True)
    assert compare(answer, [finding("c", 0.2)]) is None
