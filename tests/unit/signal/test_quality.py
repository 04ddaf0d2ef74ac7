"""Quality flags and verdicts on synthetic faults and on a real ECG."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.leads import STANDARD_12
from exchangeai.measurements import Quality, Verdict
from exchangeai.recording import Lead, Recording
from exchangeai.signal import assess, measure, resample, standardise
from exchangeai.signal.quality import usable_leads
from exchangeai.signal.windows import Windows
from tests.unit.signal.recordings import noise, of_leads, real_ecg, recording, synthetic_ecg

Signal = npt.NDArray[np.float64]
V2 = STANDARD_12.index("V2")


def quality_of(ecg: Recording) -> Quality:
    return assess(ecg, standardise(ecg))


def flags_of(quality: Quality, lead: str) -> tuple[str, ...]:
    return next(x.flags for x in quality.leads if x.lead == lead)


def stored_eight(x: Signal) -> dict[str, Signal]:
    return {"I": x[0], "II": x[1], **{f"V{i}": x[5 + i] for i in range(1, 7)}}


def test_a_good_ecg_has_no_objections() -> None:
    # LUDB filtered every lead by itself, so that its limb leads do not add up: worth a flag, no objection.
    quality = quality_of(real_ecg()[0])
    assert quality.verdict is Verdict.ANALYSABLE
    assert quality.reasons == ()
    assert quality.flags in {(), ("limb_lead_residual",)}
    assert [x.lead for x in quality.leads] == list(STANDARD_12)
    assert not any(x.flags for x in quality.leads)
    assert quality.acceptable_probability is not None
    assert quality.acceptable_probability > 0.8


@pytest.mark.parametrize("rate_hz", [100, 128, 250, 257, 360, 500, 1000, 2000])
def test_the_rate_makes_no_difference(rate_hz: float) -> None:
    quality = quality_of(recording(synthetic_ecg(10, rate_hz), rate_hz))
    assert quality.verdict is Verdict.ANALYSABLE
    assert quality.flags == ()
    assert not any(x.flags for x in quality.leads)


def flat(x: Signal) -> None:
    x[:] = 0.2


def almost_flat(x: Signal) -> None:
    x[:] = 0.2 + np.random.default_rng(1).normal(0, 0.002, x.size)


def loose_for_three_seconds(x: Signal) -> None:
    x[1000:2500] = x[1000]


def saturated(x: Signal) -> None:
    x[:] = np.clip(x * 20, -2, 2)


def rail_to_rail(x: Signal) -> None:
    x[:] = 40 * np.sign(np.sin(np.arange(x.size) / 150)) + np.random.default_rng(1).normal(0, 0.1, x.size)


def gaps(x: Signal) -> None:
    x[100:200] = np.nan


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        (flat, "flat"),
        (almost_flat, "flat"),
        (loose_for_three_seconds, "flat"),
        (saturated, "saturated"),
        (rail_to_rail, "lead_off"),
        (gaps, "gaps"),
    ],
)
def test_a_faulty_lead_is_flagged_and_limits(fault: Callable[[Signal], None], flag: str) -> None:
    x = synthetic_ecg(10)
    fault(x[V2])
    quality = quality_of(recording(x, 500))
    assert flags_of(quality, "V2") == (flag,)
    assert all(not item.flags for item in quality.leads if item.lead != "V2")
    assert quality.verdict is Verdict.LIMITED
    assert quality.reasons[0] == f"{flag.replace('_', ' ')}: V2"
    assert ("V2" in usable_leads(quality)) == (flag == "gaps")


def wander(x: Signal) -> None:
    x += 1.0 * np.sin(2 * np.pi * 0.3 * np.arange(x.size) / 500)


def mains_50(x: Signal) -> None:
    x += 0.1 * np.sin(2 * np.pi * 50.0 * np.arange(x.size) / 500)


def mains_60(x: Signal) -> None:
    x += 0.1 * np.sin(2 * np.pi * 59.95 * np.arange(x.size) / 500)


def muscle(x: Signal) -> None:
    x += np.random.default_rng(2).normal(0, 0.1, x.size)


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        (wander, "baseline_wander"),
        (mains_50, "mains_noise"),
        (mains_60, "mains_noise"),
        (muscle, "muscle_noise"),
    ],
)
def test_noise_of_one_lead_is_told_by_its_kind(fault: Callable[[Signal], None], flag: str) -> None:
    x = synthetic_ecg(10)
    fault(x[V2])
    quality = quality_of(recording(x, 500))
    assert flags_of(quality, "V2") == (flag,)
    assert all(not item.flags for item in quality.leads if item.lead != "V2")
    assert "V2" in usable_leads(quality)


def test_noise_without_beats_would_be_recorded_again() -> None:
    quality = quality_of(recording(noise(10), 500))
    assert quality.acceptable_probability is not None
    assert quality.acceptable_probability < 0.1
    assert quality.verdict is Verdict.LIMITED
    assert "record it again" in quality.reasons[0]


def test_derived_leads_have_the_flags_of_their_sources() -> None:
    x = synthetic_ecg(10)
    x[1] = 0
    quality = quality_of(of_leads(stored_eight(x), 500))
    assert flags_of(quality, "aVF") == ("derived", "flat")
    assert quality.verdict is Verdict.LIMITED


def test_eight_leads_are_as_good_as_twelve() -> None:
    x = synthetic_ecg(10)
    eight = quality_of(of_leads(stored_eight(x), 500))
    assert eight.verdict is Verdict.ANALYSABLE
    assert flags_of(eight, "III") == ("derived",)
    assert eight.acceptable_probability == quality_of(recording(x, 500)).acceptable_probability


@pytest.mark.parametrize(
    ("ecg", "reason"),
    [
        (recording(synthetic_ecg(1.5), 500), "at least 2 s"),
        (recording(synthetic_ecg(10, 40), 40), "40 Hz"),
        (recording(synthetic_ecg(10) * 1000, 500), "check the unit"),
        (recording(synthetic_ecg(10) / 1000, 500), "check the unit"),
        (of_leads({"V1": noise(10)[0], "V5": noise(10)[1]}, 500), "only 2 of 12 leads"),
        (recording(np.zeros((12, 5000)), 500), "only 0 of 12 leads"),
    ],
    ids=["short", "slow", "unit too large", "unit too small", "two leads", "all flat"],
)
def test_what_no_model_may_see_is_refused(ecg: Recording, reason: str) -> None:
    quality = quality_of(ecg)
    assert quality.verdict is Verdict.NOT_ANALYSABLE
    assert any(reason in x for x in quality.reasons)
    assert ("wrong_unit" in quality.flags) == (reason == "check the unit")
    assert quality.acceptable_probability == 0


def test_a_lead_that_ends_early_has_gaps() -> None:
    leads = dict(zip(STANDARD_12, synthetic_ecg(10), strict=True))
    leads["V6"] = leads["V6"][:2500]
    assert flags_of(quality_of(of_leads(leads, 500)), "V6") == ("gaps",)


def test_the_same_signal_under_two_names() -> None:
    x = synthetic_ecg(10)
    x[V2 + 1] = x[V2]
    quality = quality_of(recording(x, 500))
    assert quality.flags == ("duplicated_leads",)
    assert quality.reasons == ("V2 and V3 are the same signal",)
    assert quality.verdict is Verdict.LIMITED


def test_limb_leads_that_do_not_add_up_are_a_flag_and_no_objection() -> None:
    x = synthetic_ecg(10)
    x[2] *= -1
    quality = quality_of(recording(x, 500))
    assert quality.flags == ("limb_lead_residual",)
    assert quality.verdict is Verdict.ANALYSABLE


def test_leads_of_different_rates_are_judged_together() -> None:
    leads = tuple(
        Lead(name=name, samples=x.astype(np.float32), sampling_rate_hz=rate_hz)
        for name, x, rate_hz in zip(
            STANDARD_12,
            (*synthetic_ecg(10)[:6], *synthetic_ecg(10, 250.0)[6:]),
            (500.0,) * 6 + (250.0,) * 6,
            strict=True,
        )
    )
    quality = quality_of(Recording(format="test", leads=leads))
    assert quality.verdict is Verdict.ANALYSABLE


NO_WINDOWS = Windows(
    values=np.empty((0, 12, 0), np.int16), uv_per_lsb=1.0, valid_samples=np.zeros(0, np.int32)
)


@pytest.mark.parametrize("rate_hz", [12.8, 50.0, 100.0, 500.0, 2000.0])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.5, 1.0, 1.7, 61.0])
@pytest.mark.parametrize("what", ["ecg", "nan", "constant", "infinite", "huge"])
def test_nothing_makes_it_fail(rate_hz: float, seconds: float, what: str) -> None:
    x = synthetic_ecg(seconds, rate_hz)
    x = {
        "ecg": x,
        "nan": x * np.nan,
        "constant": x * 0 + 3,
        "infinite": np.where(np.arange(x.shape[1]) % 2, x, np.inf),
        "huge": x * 1e37,
    }[what]
    for leads in ({"I": x[0]}, {"I": x[0], "II": x[1], "V2": x[7]}, dict(zip(STANDARD_12, x, strict=True))):
        extended = {**leads, "V7": x[0], "V8": x[1], "V9": x[2]}
        for named in (leads, extended):
            quality = assess(of_leads(named, rate_hz), NO_WINDOWS)
            assert [item.lead for item in quality.leads] == list(STANDARD_12)
            if what != "ecg" or seconds < 2 or len(leads) < 6 or rate_hz < 50:
                assert quality.verdict is Verdict.NOT_ANALYSABLE
                assert quality.reasons


def test_hours_are_judged_in_stretches() -> None:
    minute = synthetic_ecg(60, 250.0).astype(np.float32)
    day = np.tile(minute, (1, 30))
    day[V2, : day.shape[1] // 2] = 0
    quality = assess(recording(day, 250.0), NO_WINDOWS)
    assert flags_of(quality, "V2") == ("flat",)
    assert quality.flags == ()


def test_a_bad_part_does_not_condemn_hours() -> None:
    hour = np.tile(synthetic_ecg(60, 250.0).astype(np.float32), (1, 10))
    hour[:, :5000] = noise(20, 250.0)
    probability = assess(recording(hour, 250.0), NO_WINDOWS).acceptable_probability
    assert probability is not None
    assert 0.8 < probability < 0.97


@pytest.mark.parametrize("rate_hz", [140, 250, 500, 1000])
@pytest.mark.parametrize("mains_hz", [50, 60])
def test_mains_is_seen_from_half_a_millimetre_on_whatever_its_phase(rate_hz: int, mains_hz: int) -> None:
    for phase in np.arange(0, 2 * np.pi, 0.8):
        x = synthetic_ecg(10, rate_hz)
        wave = np.sin(2 * np.pi * mains_hz * np.arange(x.shape[1]) / rate_hz + phase)
        x[V2] += 0.04 * wave
        x[V2 + 1] += 0.06 * wave
        quality = quality_of(recording(x, rate_hz))
        assert flags_of(quality, "V2") == ()
        assert flags_of(quality, "V3") == ("mains_noise",)


@pytest.mark.parametrize("rate_hz", [100, 500])
def test_r_peaks_and_heart_rate_of_a_real_ecg(rate_hz: int) -> None:
    ecg, marked = real_ecg()
    leads = np.stack([resample(x.samples, 500, rate_hz) for x in ecg.leads])
    slower = recording(leads, rate_hz)
    windows = standardise(slower)
    measured = measure(windows, assess(slower, windows))
    assert "II" in measured.leads
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
