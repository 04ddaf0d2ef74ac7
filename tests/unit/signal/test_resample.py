"""Resampling keeps amplitude, phase and offset."""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal as _untyped

from exchangeai.errors import InvalidArgument
from exchangeai.signal.gaps import bridge_gaps, gap_share, gaps_at
from exchangeai.signal.resample import KAISER_BETA, ZERO_CROSSINGS, ratio, resample

scipy_signal: Any = _untyped

RATES_HZ = [12.8, 62.4725, 100.0, 250.0, 257.0, 360.0, 500.0, 599.88, 977.0, 1000.0, 2000.0]


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
    out = resample(np.full(4000, 300.0), rate_hz, 500)
    assert np.abs(out - 300).max() < 3e-4  # mV; float32 steps by 3e-5 there


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


def by_scipy(x: npt.NDArray[np.float64], step: Fraction) -> npt.NDArray[np.float64]:
    """The same filter by scipy in float64, without its zeros beyond the ends."""
    up, down = step.numerator, step.denominator
    half = ZERO_CROSSINGS * max(up, down)
    taps = scipy_signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", KAISER_BETA))
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    margin = -(-half // (up * down)) * down  # whole samples on both sides
    padded = np.pad(x, ((0, 0), (margin, margin)), mode="reflect")
    longer = scipy_signal.resample_poly(padded, up, down, axis=1, window=taps / up)
    first = margin * up // down
    return longer[:, first : first + -(-x.shape[1] * up // down)]


@pytest.mark.parametrize(
    "rate_hz", [12.8, 100.0, 128.0, 200.0, 250.0, 256.0, 257.0, 360.0, 1000.0, 1024.0, 2000.0]
)
@pytest.mark.parametrize("seconds", [0.5, 3.3, 10.0, 31.0])
def test_equals_scipy_in_float64(rate_hz: float, seconds: float) -> None:
    x = np.random.default_rng(1).normal(0, 1, (3, round(seconds * rate_hz)))
    np.testing.assert_allclose(resample(x, rate_hz, 500), by_scipy(x, ratio(rate_hz, 500)), atol=5e-6)


def test_leads_and_recordings_are_resampled_independently_whatever_the_shape() -> None:
    x = np.random.default_rng(2).normal(0, 1, (7, 12, 2500)).astype(np.float32)
    together = resample(x, 250, 500)
    assert together.shape == (7, 12, 5000)
    assert together.dtype == np.float32
    np.testing.assert_allclose(resample(x[3, 5], 250, 500), together[3, 5], atol=1e-6)
    np.testing.assert_array_equal(resample(x[:, ::3], 250, 500)[6, 1], together[6, 3])


@pytest.mark.parametrize("rate_hz", [12.8, 39.0625])
def test_nothing_drifts_in_24_hours(rate_hz: float) -> None:
    samples = round(24 * 3600 * rate_hz)
    tone_hz = 3.1
    out = resample(np.sin(2 * np.pi * tone_hz * np.arange(samples) / rate_hz), rate_hz, 500)
    assert out.size == int(np.ceil(samples * 500 / rate_hz))
    at = np.arange(out.size - 3000, out.size - 1500)
    np.testing.assert_allclose(out[at], np.sin(2 * np.pi * tone_hz * at / 500), atol=1e-3)


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
    for rate_hz in (12.8, 100, 599.88, 2000):
        out = resample(np.ones((2, samples)), rate_hz, 500)
        assert out.shape == (2, -(-samples * 500 // rate_hz))
        np.testing.assert_allclose(out, 1, atol=1e-6)


def test_gaps_are_bridged_by_straight_lines() -> None:
    x = np.array([np.nan, 1, np.nan, np.nan, 4, np.inf], np.float32)
    assert bridge_gaps(x).tolist() == [1, 1, 2, 3, 4, 4]
    assert gap_share(x) == pytest.approx(4 / 6)
    assert bridge_gaps(np.full(3, np.nan, np.float32)).tolist() == [0, 0, 0]
    assert gap_share(np.empty(0, np.float32)) == 1
    several = bridge_gaps(np.stack([x, np.arange(6, dtype=np.float32), np.full(6, np.nan, np.float32)]))
    assert several.tolist() == [[1, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 5], [0] * 6]
    assert bridge_gaps(np.empty((2, 0), np.float32)).shape == (2, 0)
    assert np.isnan(x).sum() == 3  # the recording stays as it was


def test_gaps_are_found_at_the_other_rate() -> None:
    x = np.ones(1000, np.float32)
    assert gaps_at(x, 100, 500, 5000) is None
    x[200:300] = np.nan
    found = gaps_at(x, 100, 500, 5000)
    assert found is not None
    assert found.sum() == pytest.approx(500, abs=5)
    assert found[1005:1495].all()
    ended = gaps_at(np.ones(400, np.float32), 100, 500, 5000)
    assert ended is not None
    assert np.flatnonzero(ended).tolist() == list(range(2000, 5000))
