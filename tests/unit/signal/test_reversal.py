"""Exchanged electrodes: the algebra of the leads, and what is said of a real ECG with each exchange."""

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.leads import STANDARD_12, derive_limb_leads
from exchangeai.measurements import Quality, Verdict
from exchangeai.signal import assess
from exchangeai.signal.reversal import Exchange, exchange_matrix, stored_weights
from exchangeai.signal.windows import Windows
from tests.unit.signal.recordings import real_ecg, recording

NO_WINDOWS = Windows(
    values=np.empty((0, 12, 0), np.int16), uv_per_lsb=1.0, valid_samples=np.zeros(0, np.int32)
)
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def judged(eight: npt.NDArray[np.float32]) -> Quality:
    stored: dict[str, npt.NDArray[np.float32]] = dict(zip(EIGHT, eight, strict=True))
    twelve = {**stored, **derive_limb_leads(stored)}
    return assess(recording(np.stack([twelve[name] for name in STANDARD_12]), 500), NO_WINDOWS)


def real_eight() -> npt.NDArray[np.float32]:
    ecg, _ = real_ecg()
    return np.stack([ecg.signal(name) for name in EIGHT])


def test_matrices_are_those_of_the_textbook() -> None:
    one, two, *chest = np.eye(8)
    three = two - one
    for electrodes, expected in {
        ("RA", "LA"): (-one, three),
        ("RA", "LL"): (-three, -two),
        ("LA", "LL"): (two, one),
        ("RA", "RL"): (-three, 0 * one),
        ("LA", "RL"): (two, two),
    }.items():
        np.testing.assert_allclose(exchange_matrix(electrodes)[:2], expected, atol=1e-6)
    np.testing.assert_allclose(exchange_matrix(("RA", "LA"))[2:], chest, atol=1e-6)
    np.testing.assert_allclose(exchange_matrix(("V1", "V2"))[2:4], [chest[1], chest[0]], atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.matrix_power(exchange_matrix(("RA", "LA", "LL")), 3), np.eye(8), atol=1e-5
    )


def test_correct_electrodes_are_not_flagged() -> None:
    assert not [x for x in judged(real_eight()).flags if x.startswith("exchanged")]


@pytest.mark.parametrize("electrodes", [("RA", "LA"), ("RA", "LL"), ("RA", "LA", "LL"), ("RA", "LL", "LA")])
def test_exchanged_limb_electrodes_are_refused(electrodes: tuple[str, ...]) -> None:
    quality = judged(exchange_matrix(electrodes) @ real_eight())
    assert quality.verdict is Verdict.NOT_ANALYSABLE
    assert "limb electrodes seem to be exchanged" in quality.reasons[-1]
    assert any(x.startswith("exchanged_") for x in quality.flags)


def test_a_suspected_exchange_limits_and_a_very_probable_one_refuses() -> None:
    normal = real_eight()
    exchanged: npt.NDArray[np.float32] = exchange_matrix(("RA", "LA")) @ normal
    # Between the right place and the wrong one there is where the suspicion begins.
    unsuspected, suspected = 0.0, 1.0
    for _ in range(12):
        share = (unsuspected + suspected) / 2
        quality = judged((exchanged * share + normal * (1 - share)).astype(np.float32))
        if any(x.startswith("exchanged") for x in quality.flags):
            suspected = share
        else:
            unsuspected = share
    quality = judged((exchanged * suspected + normal * (1 - suspected)).astype(np.float32))
    assert quality.verdict is Verdict.LIMITED
    assert quality.reasons[-1].startswith("limb electrodes may be exchanged")
    assert judged(exchanged).verdict is Verdict.NOT_ANALYSABLE


def test_exchanged_chest_electrodes_limit() -> None:
    quality = judged(exchange_matrix(("V1", "V3")) @ real_eight())
    assert quality.verdict is Verdict.LIMITED
    assert quality.flags == ("exchanged_V1_V3",)


def test_only_those_that_turn_the_frontal_plane_refuse() -> None:
    refusing = {x.electrodes for x in stored_weights().exchanges if x.misleads}
    assert ("RA", "LA") in refusing
    assert not any(x[0].startswith("V") for x in refusing)
    assert not Exchange(electrodes=("LA", "LL")).misleads
