"""Beats are found on all leads together, where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.formats import read_records
from exchangeai.signal.rpeaks import CHUNK_S, find_r_peaks
from tests.samples import GOLDEN

RATE_HZ = 500


def beats(at_s: npt.ArrayLike, seconds: float, rate_hz: float = RATE_HZ) -> npt.NDArray[np.float32]:
    """A lead with a complex of 80 ms and a T wave 300 ms later at each of the given times."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    out = np.zeros(t.size)
    for x in np.asarray(at_s, np.float64):
        out += 1.2 * np.exp(-(((t - x) / 0.012) ** 2)) - 0.3 * np.exp(-(((t - x - 0.03) / 0.01) ** 2))
        out += 0.3 * np.exp(-(((t - x - 0.3) / 0.05) ** 2))
    return out.astype(np.float32)


def noise(shape: tuple[int, ...], mv: float) -> npt.NDArray[np.float32]:
    return np.random.default_rng(7).normal(scale=mv, size=shape).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [100, 250, 360, 500, 1000])
@pytest.mark.parametrize("bpm", [20, 40, 75, 180, 250])
def test_every_beat_once_at_any_rate(bpm: int, rate_hz: int) -> None:
    at_s = np.arange(0.7, 29.5, 60 / bpm)
    found = find_r_peaks(beats(at_s, 30, rate_hz), rate_hz)
    assert found.leads == (0,)
    np.testing.assert_allclose(found.samples / rate_hz, at_s, atol=0.02)


def test_leads_of_noise_and_flat_leads_do_not_vote() -> None:
    at_s = np.arange(0.5, 9.9, 0.9)
    x = np.stack([noise((5000,), 0.4), beats(at_s, 10) + noise((5000,), 0.02), np.zeros(5000, np.float32)])
    found = find_r_peaks(x, RATE_HZ)
    assert found.leads == (1,)
    np.testing.assert_allclose(found.samples / RATE_HZ, at_s, atol=0.02)


def test_a_beat_that_one_lead_hides_is_found_on_another() -> None:
    at_s = np.arange(0.5, 9.9, 0.8)
    first, second = beats(at_s, 10), beats(at_s, 10)
    first[1800:2200] = second[3000:3400] = 0
    found = find_r_peaks(np.stack([first, second]), RATE_HZ)
    np.testing.assert_allclose(found.samples / RATE_HZ, at_s, atol=0.02)


def test_a_small_beat_where_one_is_overdue() -> None:
    x = beats([0.5, 1.3, 2.1, 3.7, 4.5, 5.3, 6.1, 6.9, 7.7, 8.5], 10) + 0.3 * beats([2.9], 10)
    assert find_r_peaks(x, RATE_HZ).samples.size == 11


def test_samples_without_a_value_cost_only_themselves() -> None:
    at_s = np.arange(0.5, 9.9, 0.8)
    x = np.tile(beats(at_s, 10), (3, 1))
    x[0] = np.nan
    x[1, 2000:2300] = np.inf
    found = find_r_peaks(x, RATE_HZ)
    assert found.leads == (1, 2)
    np.testing.assert_allclose(found.samples / RATE_HZ, at_s, atol=0.02)


@pytest.mark.parametrize("at_s", [np.arange(0.5, 12, 0.8), np.r_[0.5:10:0.8, 20.1:29.5:0.8]])
def test_standstill_hides_no_beats_and_makes_none(at_s: npt.NDArray[np.float64]) -> None:
    x = beats(at_s, 30) + noise((15000,), 0.01)
    np.testing.assert_allclose(find_r_peaks(x, RATE_HZ).samples / RATE_HZ, at_s, atol=0.02)


def test_tremor_in_one_lead_for_a_while_makes_no_beats() -> None:
    at_s = np.arange(0.5, 29.5, 0.8)
    x = np.stack([beats(at_s, 30), beats(at_s, 30)]) + noise((2, 15000), 0.01)
    x[1, 5000:7500] += noise((2500,), 1.5)
    np.testing.assert_allclose(find_r_peaks(x, RATE_HZ).samples / RATE_HZ, at_s, atol=0.02)


@pytest.mark.parametrize("offset_s", [-0.16, -0.04])
def test_pacing_spikes_before_beats_are_not_beats(offset_s: float) -> None:
    at_s = np.arange(0.5, 9.9, 0.8)
    x = beats(at_s, 10)
    x[np.rint((at_s + offset_s) * RATE_HZ).astype(int)] += 5
    assert find_r_peaks(x, RATE_HZ).samples.size == at_s.size


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0, 5000)),
        np.full((12, 5000), np.nan),
        noise((12, 5000), 0.1),
        np.zeros((12, 5000)),
        np.zeros(0),
        noise((500,), 1),
    ],
)
def test_no_beats_in_noise_flat_lines_and_snippets(x: npt.NDArray[np.float32]) -> None:
    assert find_r_peaks(x, RATE_HZ).samples.size == 0


def test_pieces_of_a_long_recording_meet_without_a_gap_or_a_double() -> None:
    seconds = 2.6 * CHUNK_S
    at_s = np.arange(0.4, seconds - 0.5, 0.83)
    found = find_r_peaks(beats(at_s, seconds, 250), 250)
    np.testing.assert_allclose(found.samples / 250, at_s, atol=0.02)


def test_the_annotated_beats_of_mit_bih_100() -> None:
    files = {x.name: x.read_bytes() for x in (GOLDEN / "wfdb").glob("100.*")}
    recording = read_records(files)[0].recording
    truth = [x.onset_s for x in recording.annotations if x.label in "NAV"]
    x = np.stack([lead.samples for lead in recording.leads])
    found = find_r_peaks(np.nan_to_num(x), 360).samples / 360
    assert len(truth) == found.size == 2273
    assert np.abs(found - truth).max() < 0.05
