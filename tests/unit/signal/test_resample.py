"""Resampling keeps amplitude, phase and offset."""

import numpy as np
import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.signal.gaps import bridge_gaps, gap_share
from exchangeai.signal.resample import ratio, resample

RATES_HZ = [12.8, 62.4725, 100.0, 250.0, 257.0, 360.0, 500.0, 599.88, 977.0, 1000.0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("of_nyquist", [0.1, 0.5, 0.8])
def test_a_sine_keeps_amplitude_and_phase(rate_hz: float, of_nyquist: float) -> None:
    tone_hz = of_nyquist * min(rate_hz, 500) / 2
    t_s = np.arange(round(20 * rate_hz)) / rate_hz
    out = resample(np.sin(2 * np.pi * tone_hz * t_s + 0.3), rate_hz, 500)
    expected = np.sin(2 * np.pi * tone_hz * np.arange(out.size) / 500 + 0.3)
    inner = slice(out.size // 8, -out.size // 8)
    assert np.abs(out - expected)[inner].max() < 1e-3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_an_electrode_offset_neither_ripples_nor_rings(rate_hz: float) -> None:
    assert np.abs(resample(np.full(4000, 300.0), rate_hz, 500) - 300).max() < 1e-9


def test_what_is_above_the_new_nyquist_frequency_is_removed() -> None:
    t_s = np.arange(20_000) / 1000
    out = resample(np.sin(2 * np.pi * 330 * t_s), 1000, 500)
    assert np.abs(out[100:-100]).max() < 1e-3


def test_ends_stay_within_the_range_of_the_signal() -> None:
    x = np.zeros(1000)
    x[-3:] = [0.2, 1.0, 1.5]  # a QRS cut by the end of the recording
    out = resample(x, 100, 500)
    assert out.max() < 1.6
    assert out.min() > -0.15


@pytest.mark.parametrize(("rate_hz", "up", "down"), [(100, 5, 1), (12.8, 625, 16), (599.88, 12500, 14997)])
def test_the_ratio_is_exact(rate_hz: float, up: int, down: int) -> None:
    step = ratio(rate_hz, 500)
    assert (step.numerator, step.denominator) == (up, down)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf"), 1 / 60])
def test_impossible_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(InvalidArgument):
        resample(np.zeros(10), rate_hz, 500)


@pytest.mark.parametrize("samples", [0, 1, 2, 7])
def test_tiny_signals(samples: int) -> None:
    assert resample(np.ones(samples), 100, 500).size == 5 * samples


def test_gaps_are_bridged_by_straight_lines() -> None:
    x = np.array([np.nan, 1, np.nan, np.nan, 4, np.inf], np.float32)
    assert bridge_gaps(x).tolist() == [1, 1, 2, 3, 4, 4]
    assert gap_share(x) == pytest.approx(4 / 6)
    assert bridge_gaps(np.full(3, np.nan, np.float32)).tolist() == [0, 0, 0]
    assert gap_share(np.empty(0, np.float32)) == 1
