"""Quality flags and verdicts on synthetic faults and on a real ECG."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.leads import STANDARD_12
from exchangeai.measurements import Quality, Verdict
from exchangeai.recording import Recording
from exchangeai.signal import assess, measure, resample, standardise
from tests.unit.signal.recordings import noise, of_leads, real_ecg, recording

Signal = npt.NDArray[np.float64]


def quality_of(ecg: Recording) -> Quality:
    return assess(ecg, standardise(ecg))


def flags_of(quality: Quality, lead: str) -> tuple[str, ...]:
    return next(x.flags for x in quality.leads if x.lead == lead)


def test_a_good_ecg_has_no_objections() -> None:
    ecg, _ = real_ecg()
    quality = quality_of(ecg)
    assert quality.verdict is Verdict.ANALYSABLE
    assert quality.reasons == ()
    assert [x.lead for x in quality.leads] == list(STANDARD_12)


def flat(x: Signal) -> None:
    x[:] = 0.2


def almost_flat(x: Signal) -> None:
    x[:] = 0.2 + np.random.default_rng(1).normal(0, 0.002, x.size)


def loose_for_three_seconds(x: Signal) -> None:
    x[1000:2500] = x[1000]


def saturated(x: Signal) -> None:
    x[:] = np.clip(x * 10, -2, 2)
    x[200:300] = 2


def gaps(x: Signal) -> None:
    x[100:200] = np.nan


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        (flat, "flat"),
        (almost_flat, "flat"),
        (loose_for_three_seconds, "flat"),
        (saturated, "saturated"),
        (gaps, "gaps"),
    ],
)
def test_a_faulty_lead_is_flagged_and_limits(fault: Callable[[Signal], None], flag: str) -> None:
    x = noise(10)
    fault(x[7])
    quality = quality_of(recording(x, 500))
    assert flags_of(quality, "V2") == (flag,)
    assert all(not item.flags for item in quality.leads if item.lead != "V2")
    assert quality.verdict is Verdict.LIMITED
    assert quality.reasons == (f"{flag}: V2",)


def test_derived_leads_have_the_flags_of_their_sources() -> None:
    x = noise(10)
    x[1] = 0
    leads = {"I": x[0], "II": x[1], **{f"V{i}": x[5 + i] for i in range(1, 7)}}
    quality = quality_of(of_leads(leads, 500))
    assert flags_of(quality, "aVF") == ("derived", "flat")
    assert quality.verdict is Verdict.LIMITED


def test_eight_leads_are_as_good_as_twelve() -> None:
    x = noise(10)
    quality = quality_of(of_leads({"I": x[0], "II": x[1], **{f"V{i}": x[5 + i] for i in range(1, 7)}}, 500))
    assert quality.verdict is Verdict.ANALYSABLE
    assert flags_of(quality, "III") == ("derived",)


@pytest.mark.parametrize(
    ("ecg", "reason"),
    [
        (recording(noise(1.5), 500), "at least 2 s"),
        (recording(noise(10, 40), 40), "40 Hz"),
        (recording(noise(10) * 1000, 500), "check the unit"),
        (of_leads({"V1": noise(10)[0], "V5": noise(10)[1]}, 500), "only 2 of 12 leads"),
        (recording(np.zeros((12, 5000)), 500), "only 0 of 12 leads"),
    ],
    ids=["short", "slow", "unit", "two leads", "all flat"],
)
def test_what_no_model_may_see_is_refused(ecg: Recording, reason: str) -> None:
    quality = quality_of(ecg)
    assert quality.verdict is Verdict.NOT_ANALYSABLE
    assert any(reason in x for x in quality.reasons)


def test_a_lead_that_ends_early_has_gaps() -> None:
    x = noise(10)
    leads = dict(zip(STANDARD_12, x, strict=True))
    leads["V6"] = x[11][:2500]
    assert flags_of(quality_of(of_leads(leads, 500)), "V6") == ("gaps",)


@pytest.mark.parametrize("rate_hz", [100, 500])
def test_r_peaks_and_heart_rate_of_a_real_ecg(rate_hz: int) -> None:
    ecg, marked = real_ecg()
    leads = np.stack([resample(x.samples, 500, rate_hz) for x in ecg.leads])
    slower = recording(leads, rate_hz)
    windows = standardise(slower)
    measured = measure(windows, assess(slower, windows))
    assert measured.lead == "II"
    found_s = np.array(measured.r_peaks_s)
    off_s = np.array([np.abs(found_s - at / 500).min() for at in marked])
    assert off_s.max() < 0.015
    assert measured.heart_rate_bpm == pytest.approx(60 / np.median(np.diff(marked) / 500), abs=1)


def test_absent_measurements_say_why() -> None:
    ecg = recording(np.zeros((12, 5000)), 500)
    windows = standardise(ecg)
    measured = measure(windows, assess(ecg, windows))
    assert measured.heart_rate_bpm is None
    assert measured.notes
    short = recording(np.stack([x.samples[:1100] for x in real_ecg()[0].leads]), 500)
    windows = standardise(short)
    measured = measure(windows, assess(short, windows))
    assert measured.heart_rate_bpm is None
    assert "at least 3" in measured.notes[0]
