"""Regular rhythms, rhythms with a pattern, and those without any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.signal.rhythm import Regularity, regularity, rr_irregularity

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("rr", "expected"),
    [
        (np.full(12, 400), Regularity.REGULAR),
        (400 + np.rint(12 * np.sin(np.arange(12))).astype(int), Regularity.REGULAR),
        (np.array([400, 402, 398, 400, 250, 550, 400, 401, 397, 400, 400]), Regularity.IRREGULAR),
        (np.array([300, 500] * 6), Regularity.IRREGULAR),
        (RANDOM.integers(250, 600, 14), Regularity.IRREGULARLY_IRREGULAR),
        (np.array([400, 300, 500]), None),
        (np.empty(0, np.int64), None),
    ],
)
def test_verdicts(rr: npt.NDArray[np.int64], expected: Regularity | None) -> None:
    assert regularity(rr) is expected


def test_irregularity_is_the_stated_formula() -> None:
    rr = np.array([400, 300, 500, 400])
    assert rr_irregularity(rr) == pytest.approx(np.sqrt((100**2 + 200**2 + 100**2) / 3) / 400)
