"""Pacing spikes: found in an ECG with them, not in one without, whatever pops or trembles."""

import numpy as np
import pytest

from exchangeai.signal.pacing import pacing_spikes, without_spikes
from exchangeai.signal.quality import MIN_SPIKES
from tests.unit.signal.recordings import real_ecg, synthetic_ecg


@pytest.mark.parametrize("rate_hz", [250.0, 500.0, 1000.0])
def test_spikes_before_each_beat_are_found(rate_hz: float) -> None:
    x = synthetic_ecg(10, rate_hz)
    true_s = 0.1 + 0.4 + 0.8 * np.arange(11) - 0.16
    for at_s in true_s:
        at = round(at_s * rate_hz)
        x[:, at : at + max(1, round(0.002 * rate_hz))] += np.linspace(0.4, 1.2, 12)[:, None]
    found_s = pacing_spikes(x.astype(np.float32), rate_hz) / rate_hz
    assert found_s.size == true_s.size
    np.testing.assert_allclose(found_s, true_s, atol=0.006)


def test_beats_alone_have_none() -> None:
    assert pacing_spikes(synthetic_ecg(10).astype(np.float32), 500).size == 0
    real = np.stack([lead.samples for lead in real_ecg()[0].leads])
    # One sharp notch is no pacemaker: the flag takes four.
    assert pacing_spikes(real, 500).size < MIN_SPIKES


def test_a_pop_of_one_electrode_is_none() -> None:
    x = synthetic_ecg(10)
    x[7, 1000::500] += 5
    assert pacing_spikes(x.astype(np.float32), 500).size == 0


def test_slow_recordings_and_no_leads_have_none() -> None:
    assert pacing_spikes(synthetic_ecg(10, 100).astype(np.float32), 100).size == 0
    assert pacing_spikes(np.zeros((0, 5000), np.float32), 500).size == 0
    assert pacing_spikes(np.zeros((12, 3), np.float32), 500).size == 0


@pytest.mark.parametrize("width_s", [0.002, 0.026])
def test_spikes_are_taken_out_and_the_rest_is_left(width_s: float) -> None:
    x = synthetic_ecg(10).astype(np.float32)
    paced = x.copy()
    for at_s in 0.4 + 0.8 * np.arange(11):
        at = round(at_s * 500)
        paced[:, at : at + round(width_s * 500)] += np.linspace(0.3, 0.9, 12, dtype=np.float32)[:, None]
    found = without_spikes(paced, 500)
    # A straight line over 20 to 50 ms before the complex: less than a tenth of the spikes.
    assert np.abs(found - x).max() < 0.05
    np.testing.assert_array_equal(without_spikes(x, 500), x)


def test_a_jump_of_one_lead_stays() -> None:
    x = synthetic_ecg(10).astype(np.float32)
    x[7, 2000:] += 1
    np.testing.assert_array_equal(without_spikes(x, 500), x)


def test_nothing_is_taken_out_of_slow_or_empty_recordings() -> None:
    for x, rate_hz in ((synthetic_ecg(10, 100), 100), (np.zeros((0, 5000)), 500), (np.zeros((12, 3)), 500)):
        np.testing.assert_array_equal(without_spikes(x.astype(np.float32), rate_hz), x.astype(np.float32))
