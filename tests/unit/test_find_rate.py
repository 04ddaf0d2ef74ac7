"""The search for a learning rate on losses whose best rate is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.trainer.find_rate import HIGHEST, LOWEST, SAFETY, STEPS, search


def alone(flag: bool) -> bool:
    return flag


def test_it_chooses_where_the_loss_falls_and_stops_where_it_diverges() -> None:
    def loss(rate: float) -> float:
        # falls around 1e-3, shoots up at 0.1
        return 1 / (1 + math.exp(2 * math.log(rate / 1e-3))) + (rate / 0.1) ** 4

    found = search(loss, 0.5, alone)
    assert found.divergence is not None
    assert 0.05 < found.divergence < 0.5
    assert found.steepest is not None
    assert 3e-4 < found.steepest < 1e-2
    assert found.chosen == min(found.steepest, found.divergence / SAFETY)
    assert len(found.rates) == len(found.losses) < STEPS
    assert found.rates[0] == pytest.approx(LOWEST)


def test_the_usual_rate_stays_where_nothing_falls() -> None:
    found = search(lambda rate: 1.0, 3e-3, alone)
    assert (found.steepest, found.divergence, found.chosen) == (None, None, 3e-3)
    assert len(found.rates) == STEPS
    assert found.rates[-1] == pytest.approx(HIGHEST)


def test_batches_that_differ_are_not_taken_for_learning() -> None:
    random = np.random.default_rng(0)
    found = search(lambda rate: 1.0 + 0.1 * random.normal(), 3e-3, alone)
    assert found.steepest is None or found.steepest > 1e-5
    assert found.chosen > 1e-5


def test_a_loss_that_is_no_number_ends_the_search_and_the_rate_stays_below() -> None:
    found = search(lambda rate: math.nan if rate > 1e-4 else 1.0, 3e-3, alone)
    assert found.divergence is not None
    assert found.chosen == pytest.approx(found.divergence / SAFETY)
    assert all(math.isfinite(x) for x in found.losses)


def test_it_ends_when_another_rank_has_seen_divergence() -> None:
    asked: list[bool] = []

    def agreed(flag: bool) -> bool:
        asked.append(flag)
        return len(asked) == 20

    assert len(search(lambda rate: 1.0, 3e-3, agreed).rates) == 20
