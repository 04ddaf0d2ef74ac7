"""What is measured on the median beat, against beats whose landmarks are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.leads import STANDARD_12
from exchangeai.measurements import Measurements
from exchangeai.recording import Lead, Recording
from exchangeai.signal import assess, measure, standardise
from tests.unit.signal.recordings import recording

RATE_HZ = 500
# Amplitudes in I and II (mV) of P, R and T; the other leads follow as on a healthy frontal plane.
P, R, T = (0.10, 0.15), (0.8, 1.1), (0.25, 0.35)
CHEST = {"V1": 0.4, "V2": 0.8, "V3": 1.2, "V4": 1.4, "V5": 1.2, "V6": 0.9}


def ecg(
    rr_s: float = 0.8, seconds: float = 10, *, p: bool = True, noise_mv: float = 0.005, jitter_s: float = 0.0
) -> npt.NDArray[np.float32]:
    """[12, samples]: P 160 to 60 ms before R, QRS 40 ms around it, T with its end 330 ms after (by eye)."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    at = np.arange(0.5, seconds, rr_s) + rng.uniform(-jitter_s, jitter_s, len(np.arange(0.5, seconds, rr_s)))
    waves = np.zeros((3, t.size))
    for x in at:
        waves[0] += np.exp(-(((t - x + 0.11) / 0.022) ** 2)) if p else 0
        waves[1] += np.maximum(1 - np.abs(t - x) / 0.04, 0)
        waves[2] += np.exp(-(((t - x - 0.25) / 0.045) ** 2))
    one, two = (np.stack([P, R, T]).T @ waves).astype(np.float32)
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    chest = [two * factor for factor in CHEST.values()]
    x = np.stack([*limb, *chest])
    return (x + rng.normal(scale=noise_mv, size=x.shape)).astype(np.float32)


def measured(x: npt.NDArray[np.float32]) -> Measurements:
    ecg_recording = recording(x, RATE_HZ)
    windows = standardise(ecg_recording)
    return measure(windows, assess(ecg_recording, windows))


@pytest.mark.parametrize("rr_s", [0.5, 0.6, 0.8, 1.0, 1.4])
def test_intervals_of_a_known_beat_at_any_rate(rr_s: float) -> None:
    found = measured(ecg(rr_s))
    timed = found.intervals
    assert timed is not None
    assert found.heart_rate_bpm == pytest.approx(60 / rr_s, rel=0.01)
    # Filters widen corners that are sharper than any heart makes them by 10 ms on either side.
    assert timed.qrs_ms == pytest.approx(90, abs=12)
    assert timed.pr_ms == pytest.approx(105, abs=15)
    assert timed.qt_ms == pytest.approx(50 + 250 + 75, abs=20)
    assert found.beats_used >= 5
    assert not found.notes


def test_each_correction_is_its_formula() -> None:
    timed = measured(ecg(0.64)).intervals
    assert timed is not None
    assert timed.qt_ms is not None
    rr_s = timed.rr_ms / 1e3
    assert timed.qtc_bazett_ms == pytest.approx(timed.qt_ms / np.sqrt(rr_s))
    assert timed.qtc_fridericia_ms == pytest.approx(timed.qt_ms / np.cbrt(rr_s))
    assert timed.qtc_framingham_ms == pytest.approx(timed.qt_ms + 154 * (1 - rr_s))
    assert timed.qtc_hodges_ms == pytest.approx(timed.qt_ms + 1.75 * (60 / rr_s - 60))


def test_axes_point_where_the_leads_do() -> None:
    axes = measured(ecg()).axes
    assert axes is not None
    for found, (one, two) in ((axes.p_deg, P), (axes.qrs_deg, R), (axes.t_deg, T)):
        # Einthoven's triangle: a vector of angle a is cos(a) in I and cos(60 - a) in II.
        angle = np.degrees(np.arctan2((2 * two - one) / np.sqrt(3), one))
        assert found == pytest.approx(angle, abs=6)


def test_heights_lead_by_lead() -> None:
    heights = {x.lead: x for x in measured(ecg()).amplitudes}
    assert heights["II"].r_mv == pytest.approx(1.1, abs=0.08)
    assert heights["aVR"].r_mv < 0.05
    assert heights["V4"].r_mv == pytest.approx(1.4 * 1.1, abs=0.12)
    assert set(heights) <= set(STANDARD_12)


def test_without_p_waves_there_is_no_pr_but_a_reason() -> None:
    found = measured(ecg(p=False, jitter_s=0.1))
    assert found.intervals is not None
    assert found.intervals.pr_ms is None
    assert found.intervals.qt_ms is not None
    assert found.axes is not None
    assert found.axes.p_deg is None
    assert any("P wave" in x for x in found.notes)
    assert found.rr_irregularity is not None
    assert found.rr_irregularity > 0.1


def test_an_ectopic_beat_is_left_out() -> None:
    x = ecg(0.8)
    wide = ecg(0.8)[:, 1500:1900].repeat(2, axis=1)[:, 100:500] * -1.4
    x[:, 3500:3900] = wide
    usual, found = measured(ecg(0.8)).intervals, measured(x).intervals
    assert usual is not None
    assert found is not None
    assert found.qrs_ms == pytest.approx(usual.qrs_ms, abs=6)


@pytest.mark.parametrize("seconds", [0.5, 1.2, 2.5, 60])
def test_any_length_gives_values_or_reasons(seconds: float) -> None:
    found = measured(ecg(0.8, seconds))
    assert (found.intervals is not None) or found.notes


@pytest.mark.parametrize("leads", [("II",), ("I", "II", "V1"), ("V2", "V5")])
def test_few_leads_give_values_or_reasons(leads: tuple[str, ...]) -> None:
    x = ecg()
    few = Recording(
        format="test",
        leads=tuple(
            Lead(name=n, samples=x[STANDARD_12.index(n)], sampling_rate_hz=float(RATE_HZ)) for n in leads
        ),
    )
    windows = standardise(few)
    found = measure(windows, assess(few, windows))
    assert found.intervals is not None
    assert found.intervals.qrs_ms == pytest.approx(90, abs=12)
    assert any("axes" in n for n in found.notes) != {"I", "II"}.issubset(leads)


@pytest.mark.parametrize("x", [np.zeros((12, 5000)), np.full((12, 5000), 3.0), np.full((12, 5000), np.nan)])
def test_nothing_is_measured_on_nothing(x: npt.NDArray[np.float64]) -> None:
    ecg_recording = recording(x.astype(np.float32), RATE_HZ)
    if np.isnan(x).all():
        return
    windows = standardise(ecg_recording)
    found = measure(windows, assess(ecg_recording, windows))
    assert found.heart_rate_bpm is None
    assert found.notes


def test_a_pacing_spike_is_neither_a_beat_nor_part_of_one() -> None:
    x = ecg(0.8)
    for at_s in np.arange(0.5, 10, 0.8):
        x[:, round((at_s - 0.07) * RATE_HZ)] += 1.0
    usual, found = measured(ecg(0.8)), measured(x)
    assert usual.intervals is not None
    assert found.intervals is not None
    assert len(found.r_peaks_s) == len(usual.r_peaks_s)
    assert found.intervals.qrs_ms == pytest.approx(usual.intervals.qrs_ms, abs=8)


def hump(at_s: float, width_s: float, rr_s: float) -> npt.NDArray[np.float32]:
    """[samples]: so long after each R peak, of height 1."""
    t = np.arange(10 * RATE_HZ) / RATE_HZ
    after = (t - 0.5) % rr_s
    return np.exp(-(((after - at_s) / width_s) ** 2)).astype(np.float32)


def test_a_t_wave_of_two_humps_ends_with_the_second() -> None:
    x = ecg(0.9)
    height = np.float32(0.15) * (x.max(axis=1, keepdims=True) - x.min(axis=1, keepdims=True))
    second = (x - height * hump(0.345, 0.035, 0.9)).astype(np.float32)
    one, two = measured(x).intervals, measured(second).intervals
    assert one is not None
    assert two is not None
    assert one.qt_ms is not None
    assert two.qt_ms is not None
    assert 25 < two.qt_ms - one.qt_ms < 100


def test_a_small_u_wave_is_not_the_t_wave() -> None:
    x = ecg(1.1)
    with_u = (x + 0.03 * hump(0.48, 0.04, 1.1)).astype(np.float32)
    usual, found = measured(x).intervals, measured(with_u).intervals
    assert usual is not None
    assert found is not None
    assert found.qt_ms == pytest.approx(usual.qt_ms, abs=12)
