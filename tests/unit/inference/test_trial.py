"""The trial rules that no file can show: a slow model by an injected clock, outputs that are declared."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from exchangeai.errors import ContractViolation
from exchangeai.model_file import ABSENT_KEY
from exchangeai.testing.models import tiny_graph, tiny_manifest, tiny_model
from services.inference.sessions import Session
from services.inference.trial import MAX_ANSWER_S, try_out

SESSION = Session(tiny_model(), threads=1)
MANIFEST = tiny_manifest(tiny_graph())


def test_a_model_that_keeps_the_rules_passes() -> None:
    try_out(SESSION, MANIFEST)


def test_a_model_slower_than_a_window_may_take_is_refused() -> None:
    ticks = count(0.0, MAX_ANSWER_S + 0.5)
    with pytest.raises(ContractViolation, match=r"takes 5\.5 s for one window"):
        try_out(SESSION, MANIFEST, clock=lambda: next(ticks))


def test_a_machine_that_stumbles_once_is_forgiven() -> None:
    readings = iter((0.0, 60.0, 60.0, 60.2))
    try_out(SESSION, MANIFEST, clock=lambda: next(readings))


def test_an_output_declared_absent_that_is_there_is_refused() -> None:
    with pytest.raises(ContractViolation, match=r"'embedding' .*absent"):
        try_out(SESSION, replace(MANIFEST, extra={ABSENT_KEY: "embedding"}))
