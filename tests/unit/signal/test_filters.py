"""The block filter is scipy's sosfiltfilt in float64, at every rate, length and offset."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal as _untyped

from exchangeai.errors import InvalidArgument
from exchangeai.signal.filters import zero_phase
from exchangeai.signal.profiles import PROFILES, Profile

scipy_signal: Any = _untyped
Signal = npt.NDArray[np.float32]

BENCHMARK = Profile(name="0.5-40, 50", highpass_hz=0.5, lowpass_hz=40, corner_db=6, notch_hz=50)
CASES = [
    *(x for name, x in PROFILES.items() if name != "model"),
    PROFILES["measure"].with_notch(50.0),
    PROFILES["display 0.05-150"].with_notch(60.0),
    BENCHMARK,
    Profile(name="low-pass only", lowpass_hz=40),
    Profile(name="a pole at zero", lowpass_hz=125, corner_db=6),
    Profile(name="high-pass only", highpass_hz=0.67, order=2),
    Profile(name="notch only", notch_hz=50),
    Profile(name="QRS", highpass_hz=5, lowpass_hz=30, order=2),
    Profile(name="steep", highpass_hz=0.5, lowpass_hz=40, order=5),
]


def wandering(rows: int, samples: int, rate_hz: float) -> Signal:
    rng = np.random.default_rng(samples)
    drift = np.sin(np.arange(samples) / rate_hz * 2)
    return (rng.normal(0, 0.3, (rows, samples)) + rng.normal(0, 2, (rows, 1)) + drift).astype(np.float32)


def by_scipy(x: Signal, rate_hz: float, profile: Profile) -> npt.NDArray[np.float64]:
    sections = profile.sos(rate_hz)
    if not len(profile.zpk(rate_hz)[1]):
        return x.astype(np.float64)
    pad = profile.pad_samples(rate_hz, x.shape[-1])
    return scipy_signal.sosfiltfilt(sections, x.astype(np.float64), padlen=pad)


@pytest.mark.parametrize("rate_hz", [12.8, 62.4725, 100.0, 250.0, 360.0, 500.0, 1000.0, 2000.0])
@pytest.mark.parametrize("profile", CASES, ids=lambda x: x.name)
def test_equals_scipy_in_float64(profile: Profile, rate_hz: float) -> None:
    for samples in (2, 7, int(rate_hz / 2), int(rate_hz * 9.37), int(rate_hz * 10)):
        x = wandering(3, samples, rate_hz)
        expected = by_scipy(x, rate_hz, profile)
        np.testing.assert_allclose(zero_phase(x, rate_hz, profile), expected, atol=5e-5)


def test_within_a_thousandth_of_a_standard_deviation() -> None:
    x = wandering(12, 5000, 500)
    expected = by_scipy(x, 500, BENCHMARK)
    error = np.abs(zero_phase(x, 500, BENCHMARK) - expected).max(axis=-1) / expected.std(axis=-1)
    assert error.max() < 1e-4


def test_the_transfer_function_is_that_of_scipys_butterworth_and_notch() -> None:
    impulse = np.zeros((1, 20_001), np.float32)
    impulse[0, 10_000] = 1
    band = scipy_signal.butter(3, [0.5, 40], "bandpass", fs=500, output="sos")
    notch = scipy_signal.tf2sos(*scipy_signal.iirnotch(50, 30, fs=500))
    at_hz, one_pass = scipy_signal.freqz_sos(np.concatenate([band, notch]), worN=20_001, whole=True, fs=500)
    measured = np.abs(np.fft.fft(zero_phase(impulse, 500, BENCHMARK)[0]))
    assert len(at_hz) == len(measured)
    np.testing.assert_allclose(measured, np.abs(one_pass) ** 2, atol=2e-5)


def test_leads_and_recordings_are_filtered_independently_whatever_the_shape() -> None:
    x = wandering(60, 5000, 500).reshape(5, 12, 5000)
    together = zero_phase(x, 500, BENCHMARK)
    assert together.shape == x.shape
    assert together.dtype == np.float32
    for i, j in ((0, 0), (2, 7), (4, 11)):
        np.testing.assert_allclose(zero_phase(x[i, j], 500, BENCHMARK), together[i, j], atol=1e-5)
    np.testing.assert_array_equal(zero_phase(x[:, ::2], 500, BENCHMARK)[0, 1], together[0, 2])


def test_nothing_is_delayed() -> None:
    t_s = np.arange(5000) / 500
    x = np.exp(-(((t_s - 5) / 0.02) ** 2)).astype(np.float32)
    for profile in CASES:
        y = zero_phase(x, 500, profile)
        if profile.highpass_hz != 5:
            assert abs(int(y.argmax()) - 2500) <= 1


@pytest.mark.parametrize("value", [0.0, 1.0, -300.0])
def test_a_constant_vanishes_in_a_high_pass_and_stays_in_a_low_pass(value: float) -> None:
    x = np.full((2, 4321), value, np.float32)
    assert np.abs(zero_phase(x, 500, BENCHMARK)).max() < 2e-6 * max(1, abs(value))
    low = zero_phase(x, 500, Profile(name="low", lowpass_hz=40, notch_hz=50))
    np.testing.assert_allclose(low, x, rtol=1e-5)


def test_a_large_electrode_offset_costs_less_than_a_microvolt() -> None:
    x = wandering(12, 5000, 500)
    for profile in CASES:
        if profile.highpass_hz:
            difference = zero_phase(x + np.float32(300), 500, profile) - by_scipy(x, 500, profile)
            assert np.abs(difference).max() < 1e-3


def test_a_long_recording_does_not_drift() -> None:
    samples = 3_600_123  # two hours: memories are carried over seven thousand groups of blocks
    x = wandering(1, samples, 500)
    np.testing.assert_allclose(zero_phase(x, 500, BENCHMARK), by_scipy(x, 500, BENCHMARK), atol=2e-5)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 12, 5000)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    assert zero_phase(np.zeros(shape, np.float32), 500, BENCHMARK).shape == shape


def test_a_single_sample_is_a_constant() -> None:
    x = np.full((2, 1), 3, np.float32)
    np.testing.assert_allclose(zero_phase(x, 500, BENCHMARK), 0, atol=1e-6)
    np.testing.assert_allclose(zero_phase(x, 500, Profile(name="low", lowpass_hz=40)), 3, rtol=1e-6)


def test_the_model_profile_gives_a_copy() -> None:
    x = wandering(2, 100, 500)
    y = zero_phase(x, 500, PROFILES["model"])
    np.testing.assert_array_equal(x, y)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(InvalidArgument):
        zero_phase(np.zeros((1, 10), np.float32), rate_hz, BENCHMARK)


def test_a_band_with_a_double_pole_is_refused_and_says_what_to_do() -> None:
    rate_hz, low_hz = 500.0, 5.0
    low = np.tan(np.pi * low_hz / rate_hz)
    high_hz = np.arctan(low * (3 + 2 * np.sqrt(2))) * rate_hz / np.pi
    with pytest.raises(InvalidArgument, match="double pole"):
        zero_phase(
            np.zeros((1, 1000), np.float32),
            rate_hz,
            Profile(name="x", highpass_hz=low_hz, lowpass_hz=high_hz, corner_db=6),
        )


def test_the_result_can_go_where_it_is_wanted() -> None:
    x = wandering(24, 5000, 500).reshape(2, 12, 5000)
    whole = np.zeros((5, 12, 5000), np.float32)
    for profile in (BENCHMARK, PROFILES["model"]):
        returned = zero_phase(x, 500, profile, out=whole[2:4])
        assert np.shares_memory(returned, whole)
        np.testing.assert_array_equal(whole[2:4], zero_phase(x, 500, profile))
        assert not whole[[0, 1, 4]].any()
