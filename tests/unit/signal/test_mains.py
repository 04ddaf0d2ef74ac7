"""Mains is found where it is, at the frequency that it has, and nowhere else."""

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.signal.filters import zero_phase
from exchangeai.signal.mains import detect
from exchangeai.signal.profiles import PROFILES
from exchangeai.signal.resample import resample
from tests.unit.signal.recordings import noise, real_ecg

Signal = npt.NDArray[np.float32]


def an_ecg(rate_hz: float) -> Signal:
    ecg, _ = real_ecg()
    return resample(np.stack([x.samples for x in ecg.leads]), 500, rate_hz)


def hum(x: Signal, mains_hz: float, rate_hz: float, amplitude_mv: float = 0.03) -> Signal:
    wave = amplitude_mv * np.sin(2 * np.pi * mains_hz * np.arange(x.shape[1]) / rate_hz + 1)
    return (x + wave).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [200.0, 240.0, 250.0, 257.0, 360.0, 500.0, 1000.0, 2000.0])
@pytest.mark.parametrize("off_hz", [-0.2, 0.0, 0.2])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_mains_is_told_by_its_frequency(mains_hz: float, off_hz: float, rate_hz: float) -> None:
    assert detect(hum(an_ecg(rate_hz), mains_hz + off_hz, rate_hz), rate_hz) == mains_hz


@pytest.mark.parametrize("rate_hz", [200.0, 360.0, 500.0])
def test_an_ecg_without_mains_has_none(rate_hz: float) -> None:
    clean = zero_phase(an_ecg(rate_hz), rate_hz, PROFILES["display 0.5-40"].with_notch(50.0))
    assert detect(clean, rate_hz) is None


def test_one_lead_is_enough_and_an_offset_no_hindrance() -> None:
    x = an_ecg(500) + np.float32(100)
    x[5] = hum(x[5:6], 60, 500)[0]
    assert detect(x, 500) == 60


def test_noise_is_no_mains() -> None:
    assert detect(noise(10).astype(np.float32), 500) is None


def test_spikes_that_come_every_second_are_no_mains() -> None:
    x = np.zeros((12, 5000), np.float32)
    x[:, 250::500] = 5
    assert detect(x, 500) is None


@pytest.mark.parametrize("shape", [(12, 0), (12, 1), (12, 499), (0, 5000)])
def test_too_little_to_tell(shape: tuple[int, int]) -> None:
    assert detect(np.ones(shape, np.float32), 500) is None


@pytest.mark.parametrize("rate_hz", [12.8, 100.0, 128.0])
def test_a_rate_at_which_it_cannot_be_seen(rate_hz: float) -> None:
    assert detect(np.ones((12, 5000), np.float32), rate_hz) is None


def test_the_notch_at_what_was_found_takes_it_out() -> None:
    loud = hum(an_ecg(500), 60, 500, amplitude_mv=0.2)
    found = detect(loud, 500)
    assert found == 60
    notch = PROFILES["model"].with_notch(found)
    cured, clean = zero_phase(loud, 500, notch), zero_phase(an_ecg(500), 500, notch)
    assert detect(cured, 500) is None
    # The reflection turns the phase of the hum, and the narrow notch takes most of a second to settle.
    assert np.abs(cured - clean)[:, 500:-500].max() < 0.01
