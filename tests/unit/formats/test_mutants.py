"""500 mutants of each format: a reader fails with our errors or reads on, soon and in little memory.

`make fuzz` runs twenty times as many.
"""

from __future__ import annotations

from functools import cache

import pytest

from exchangeai.formats import readers
from tests.fuzz.children import fuzz
from tests.fuzz.seeds import Seed, seeds

MUTANTS = 500


@cache
def all_seeds() -> dict[str, list[Seed]]:
    return seeds()


def test_each_format_has_a_seed() -> None:
    assert set(all_seeds()) == set(readers())


@pytest.mark.parametrize("name", [*sorted(readers()), "archives"])
def test_only_our_errors_escape(name: str) -> None:
    # The smallest three seeds: time goes into kinds of damage, not into samples.
    figures = fuzz(name, all_seeds().get(name, [])[:3], MUTANTS)
    assert figures.findings == []
    assert figures.mutants == sum(figures.outcomes.values()) == MUTANTS
