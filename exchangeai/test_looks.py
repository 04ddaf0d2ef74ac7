"""Counts every look at the frozen test part of a data set, once for each that looked."""

from __future__ import annotations

from dataclasses import replace

from exchangeai.bus import Facts
from exchangeai.errors import Conflict
from exchangeai.facts import TestLook, TestLooksFact


async def record_test_look(facts: Facts[TestLooksFact], dataset_id: str, by: str, at_s: float) -> int:
    """Note that `by` (a run's id or a model's digest) has metrics on the test part; returns the count.

    The same `by` counts once, however often this is repeated after a crash.
    """
    look = TestLook(by=by, at=at_s)

    def edit(known: TestLooksFact) -> TestLooksFact:
        if any(x.by == by for x in known.looks):
            return known
        return replace(known, looks=(*known.looks, look))

    try:
        await facts.create(dataset_id, TestLooksFact(dataset_id=dataset_id, looks=(look,)))
    except Conflict:
        return len((await facts.change(dataset_id, edit)).looks)
    return 1
