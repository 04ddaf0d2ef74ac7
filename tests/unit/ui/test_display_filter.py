"""Display filters: what they show, what they say of themselves, and that they touch nothing else."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from services.ui.figures.display_filter import DEFAULT, UNFILTERED, choices, filter_leads
from services.ui.figures.geometry import PaperLead
from services.ui.gateway import Gateway

RATE_HZ = 500.0
TIME_S = np.arange(5000) / RATE_HZ


def lead(samples: np.ndarray, rate_hz: float = RATE_HZ) -> PaperLead:
    return PaperLead(samples_mv=samples.astype(np.float32), sampling_rate_hz=rate_hz)


def sine(frequency_hz: float, height_mv: float = 1.0) -> np.ndarray:
    return height_mv * np.sin(2 * np.pi * frequency_hz * TIME_S)


def test_the_diagnostic_band_is_the_default_and_no_filter_is_a_choice():
    offered = choices()
    assert next(iter(offered)) == UNFILTERED
    assert offered[DEFAULT] == "0.05–150 Hz"
    assert "0.5–40 Hz" in offered.values()


def test_no_filter_draws_the_stored_samples():
    x = lead(sine(7))
    shown = filter_leads({"I": x}, UNFILTERED)
    assert shown.leads["I"] is x
    assert shown.words == "Filter: none"


@pytest.mark.parametrize("choice", [c for c in choices() if c != UNFILTERED])
def test_what_is_given_stays_as_it_is(choice):
    x = lead(sine(1.2) + sine(90, 0.2))
    before = x.samples_mv.copy()
    x.samples_mv.flags.writeable = False
    shown = filter_leads({"II": x}, choice)
    assert np.array_equal(x.samples_mv, before)
    assert shown.leads["II"].samples_mv is not x.samples_mv
    assert shown.words == f"Filter: {choices()[choice]}"


def test_forty_hertz_takes_muscle_noise_and_leaves_the_wave_where_it_was():
    wave, noise = sine(5), sine(90, 0.3)
    shown = filter_leads({"I": lead(wave + noise)}, "display 0.5-40").leads["I"].samples_mv
    middle = slice(1000, 4000)
    assert np.abs(shown[middle] - wave[middle]).max() < 0.02


def test_mains_is_taken_out_only_where_it_is_found_and_said():
    humming = filter_leads({"I": lead(sine(3) + sine(50, 0.2))}, DEFAULT)
    assert humming.words == "Filter: 0.05–150 Hz, 50 Hz notch"
    # Ends of the signal leave a slow drift of the lowest limit; what was asked is gone.
    left = humming.leads["I"].samples_mv[1000:4000]
    assert 2 * np.abs(np.fft.rfft(left))[50 * 3000 // 500] / 3000 < 0.005
    assert "notch" not in filter_leads({"I": lead(sine(3))}, DEFAULT).words


def test_gaps_stay_gaps_and_an_empty_lead_stays_empty():
    x = sine(2)
    x[2000:2100] = np.nan
    empty = np.full(5000, np.nan)
    shown = filter_leads({"I": lead(x), "II": lead(empty)}, DEFAULT).leads
    assert np.array_equal(np.isnan(shown["I"].samples_mv), np.isnan(x))
    assert np.isnan(shown["II"].samples_mv).all()


def test_a_limit_above_what_was_sampled_is_not_claimed():
    slow = {"I": lead(np.sin(TIME_S), 100.0)}
    assert filter_leads(slow, DEFAULT).words == "Filter: from 0.05 Hz"
    assert filter_leads({"I": lead(np.ones(20), 0.05)}, DEFAULT).words.startswith("Filter: none")


def test_neighbouring_sheets_of_a_long_recording_agree():
    x = lead(np.random.default_rng(5).normal(0, 0.1, 60_000).cumsum() / 30)
    first = filter_leads({"I": x}, "display 0.5-40", 30).leads["I"].samples_mv
    second = filter_leads({"I": x}, "display 0.5-40", 40).leads["I"].samples_mv
    at = round(40 * RATE_HZ)
    assert np.abs(first[at - 50 : at + 50] - second[at - 50 : at + 50]).max() < 0.005


def test_neither_measuring_nor_predicting_can_be_asked_with_a_display_filter():
    for call in (Gateway.measured, Gateway.predict, Gateway.signal):
        assert not [p for p in inspect.signature(call).parameters if "filter" in p or "band" in p]
