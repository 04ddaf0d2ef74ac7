"""A profile's band is what it says, at every rate."""

import re
from pathlib import Path

import numpy as np
import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.signal.profiles import HIGHEST_OF_NYQUIST, PROFILES, Profile

BANDS = [x for x in PROFILES.values() if x.highpass_hz]


@pytest.mark.parametrize("rate_hz", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize("profile", BANDS, ids=lambda x: x.name)
def test_three_decibels_are_gone_at_the_ends_after_both_passes(profile: Profile, rate_hz: float) -> None:
    assert profile.highpass_hz is not None
    assert profile.lowpass_hz is not None
    low, high = profile.response(np.array([profile.highpass_hz, profile.lowpass_hz]), rate_hz)
    assert low == pytest.approx(np.sqrt(0.5), abs=0.01)
    if profile.lowpass_hz < HIGHEST_OF_NYQUIST * rate_hz / 2 * 0.8:
        assert high == pytest.approx(np.sqrt(0.5), abs=0.01)


@pytest.mark.parametrize("profile", BANDS, ids=lambda x: x.name)
def test_the_middle_passes_and_a_constant_does_not(profile: Profile) -> None:
    constant, middle = profile.response(np.array([0.0, 5.0]), 500)
    assert constant < 1e-12
    assert middle == pytest.approx(1, abs=0.005)


def test_six_decibels_are_those_of_scipys_filtfilt() -> None:
    profile = Profile(name="x", highpass_hz=0.5, lowpass_hz=40, corner_db=6)
    assert profile.response(np.array([0.5, 40.0]), 500) == pytest.approx(0.5, abs=1e-6)


def test_the_notch_is_narrow() -> None:
    at = PROFILES["measure"].with_notch(50.0).response(np.array([45.0, 48.9, 50.0, 51.1, 55.0]), 500)
    assert at[2] < 1e-9
    assert (at[[1, 3]] < 0.71).all()
    assert (at[[1, 3]] > 0.5).all()
    assert (at[[0, 4]] > 0.95).all()


def test_what_the_sampling_has_limited_already_is_not_limited_again() -> None:
    at_100_hz = PROFILES["measure"].with_notch(60.0)
    zeros, poles, _ = at_100_hz.zpk(100.0)
    assert len(zeros) == len(poles) == 3
    assert at_100_hz.response(np.array([48.0]), 100.0) == pytest.approx(1, abs=1e-6)


def test_only_the_platforms_own_profiles_and_displays_are_named() -> None:
    others = {x for x in PROFILES if not x.startswith("display ")}
    assert others == {"model", "measure"}
    assert all(name == profile.name for name, profile in PROFILES.items())


def test_the_model_profile_filters_nothing() -> None:
    assert PROFILES["model"].response(np.array([0.0, 1.0, 249.0]), 500).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("low", "high"), [(40.0, 0.5), (0.0, 40.0), (-1.0, 40.0), (300.0, None), (5.0, 5.0)])
def test_an_empty_band_is_refused(low: float, high: float | None) -> None:
    with pytest.raises(InvalidArgument, match="nothing between"):
        Profile(name="x", highpass_hz=low, lowpass_hz=high, corner_db=6).zpk(500.0)


@pytest.mark.parametrize("samples", [1, 2, 250, 5000])
def test_the_reflection_fits_into_the_signal(samples: int) -> None:
    for profile in PROFILES.values():
        for rate_hz in (12.8, 500.0, 2000.0):
            assert 0 <= profile.pad_samples(rate_hz, samples) < samples


@pytest.mark.parametrize(
    "folder", ["exchangeai", "services/preprocess", "services/trainer", "services/inference"]
)
def test_display_filters_reach_neither_measurements_nor_models(folder: str) -> None:
    root = Path(__file__).parents[3]
    own = root / "exchangeai" / "signal" / "profiles.py"
    modules = [x for x in (root / folder).rglob("*.py") if x != own]
    assert modules
    assert [x for x in modules if re.search(r"""["']display """, x.read_text("utf-8"))] == []
