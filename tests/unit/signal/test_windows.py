"""The tensor contract: windows, padding, derived leads, quantisation, bytes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Lead, Recording
from exchangeai.signal import standardise
from exchangeai.signal.windows import Gap, from_bytes, to_bytes
from tests.unit.signal.recordings import noise, of_leads, real_ecg, recording


@pytest.mark.parametrize(
    ("seconds", "valid"),
    [
        (0.4, [200]),
        (9, [4500]),
        (10, [5000]),
        (10.9, [5000]),
        (11, [5000, 500]),
        (25, [5000, 5000, 2500]),
    ],
)
@pytest.mark.parametrize("rate_hz", [100.0, 500.0, 1000.0])
def test_counts_of_windows(seconds: float, valid: list[int], rate_hz: float) -> None:
    windows = standardise(recording(noise(seconds, rate_hz), rate_hz))
    assert windows.values.shape == (len(valid), 12, 5000)
    assert windows.values.dtype == np.int16
    assert windows.valid_samples.tolist() == valid
    assert not windows.values[-1, :, valid[-1] :].any()


def test_samples_keep_their_place_across_windows() -> None:
    x = noise(25)
    windows = standardise(recording(x, 500))
    for row, lead in enumerate(STANDARD_12):
        np.testing.assert_allclose(windows.continuous_mv(lead)[0], x[row], atol=0.00051)


@pytest.mark.parametrize("stride", [1, 499, 2500, 4999, 5000])
@pytest.mark.parametrize("samples", [200, 5000, 5010, 7499, 7500, 12_345])
def test_windows_that_overlap_tell_the_same_story(samples: int, stride: int) -> None:
    x = noise(samples / 500)[:, : samples if stride > 1 else min(samples, 5010)]
    windows = standardise(recording(x, 500), stride_samples=stride)
    assert windows.stride_samples == stride
    for i, window in enumerate(windows.millivolts()):
        part = x[:, i * stride : i * stride + 5000]
        assert windows.valid_samples[i] == part.shape[1]
        np.testing.assert_allclose(window[:, : part.shape[1]], part, atol=0.00051)
        assert not window[:, part.shape[1] :].any()
    covered = windows.continuous_mv("V3")[0]
    np.testing.assert_allclose(covered, x[8, : covered.size], atol=0.00051)
    assert x.shape[1] - covered.size < 500


@pytest.mark.parametrize(
    ("samples", "stride", "count"),
    [
        (5000, 2500, 1),
        (7499, 2500, 2),
        (7500, 2500, 2),
        (10_000, 2500, 3),
        (10_400, 2500, 3),
        (10_500, 2500, 4),
    ],
)
def test_counts_of_overlapping_windows(samples: int, stride: int, count: int) -> None:
    assert len(standardise(recording(noise(21)[:, :samples], 500), stride_samples=stride)) == count


@pytest.mark.parametrize("stride", [0, -1, 5001])
def test_a_stride_that_leaves_something_out_is_refused(stride: int) -> None:
    with pytest.raises(InvalidArgument, match="begin every"):
        standardise(recording(noise(10), 500), stride_samples=stride)


def test_gaps_are_reported_where_they_are() -> None:
    x = noise(25, 250)
    x[1, 2000:3000] = np.nan  # lead II, seconds 8 to 12
    windows = standardise(of_leads({"I": x[0], "II": x[1], "V1": x[2, :5000]}, 250))
    found = {(x.window, x.lead): x.samples for x in windows.gaps}
    of_two = {key: n for key, n in found.items() if key[1] != "V1"}
    assert set(of_two) == {(i, lead) for i in (0, 1) for lead in ("II", "III", "aVR", "aVL", "aVF")}
    assert all(n == pytest.approx(1000, abs=2) for n in of_two.values())
    assert found[2, "V1"] == 2500
    bridge = windows.continuous_mv("II")[0, 4100:5900]
    assert np.abs(np.diff(bridge)).max() <= 0.0021
    assert not standardise(recording(noise(10), 250)).gaps


def test_leads_of_different_rates_lie_on_one_axis_of_time() -> None:
    t_s = {rate: np.arange(10 * rate) / rate for rate in (250, 500, 1000)}
    leads = {"I": np.sin(5 * t_s[250]), "II": np.sin(5 * t_s[500]), "V1": np.sin(5 * t_s[1000])}
    rates = dict(zip(leads, t_s, strict=True))
    ecg = Recording(
        format="test",
        leads=tuple(
            Lead(name=n, samples=x.astype(np.float32), sampling_rate_hz=rates[n]) for n, x in leads.items()
        ),
    )
    windows = standardise(ecg).millivolts()[0]
    for lead in leads:
        inner = windows[STANDARD_12.index(lead), 100:-100]
        np.testing.assert_allclose(inner, np.sin(5 * t_s[500])[100:-100], atol=0.002)


@pytest.mark.parametrize("rate_hz", [12.8, 100.0, 360.0, 599.88, 2000.0])
@pytest.mark.parametrize("seconds", [0.5, 11.0])
def test_any_rate_and_length_becomes_the_contract(rate_hz: float, seconds: float) -> None:
    windows = standardise(recording(noise(seconds, rate_hz), rate_hz))
    samples = round(seconds * rate_hz)
    assert windows.millivolts().dtype == np.float32
    assert windows.valid_samples.sum() == -(-samples * 500 // rate_hz)


def test_a_constant_stays_a_constant_and_infinity_is_a_gap() -> None:
    x = np.full((12, 5000), 1.25)
    x[4, 100] = np.inf
    windows = standardise(recording(x, 500))
    assert (windows.continuous_mv("aVL") == np.float32(1.25)).all()
    assert [(x.lead, x.samples) for x in windows.gaps] == [("aVL", 1)]


def test_limb_leads_are_derived_and_said_to_be() -> None:
    x = noise(10)
    windows = standardise(of_leads({"V2": x[0], "II": x[1], "I": x[2]}, 500))
    assert windows.derived == ("III", "aVR", "aVL", "aVF")
    assert windows.missing == ("V1", "V3", "V4", "V5", "V6")
    one, two, three, avr, avl, avf, *_ = windows.millivolts()[0]
    step_mv = 0.0021
    np.testing.assert_allclose(three, two - one, atol=step_mv)
    np.testing.assert_allclose(avr + avl + avf, 0, atol=step_mv)
    np.testing.assert_allclose(avr, -(one + two) / 2, atol=step_mv)
    assert not windows.values[:, STANDARD_12.index("V1")].any()


def test_stored_limb_leads_are_not_replaced() -> None:
    x = noise(10)
    windows = standardise(recording(x, 500))
    assert windows.derived == ()
    np.testing.assert_allclose(windows.continuous_mv("III")[0], x[2], atol=0.00051)


def test_a_lead_without_values_is_missing_and_nothing_is_derived_from_it() -> None:
    x = noise(10)
    x[0] = np.nan
    windows = standardise(of_leads({"I": x[0], "II": x[1], "V1": x[2]}, 500))
    assert "I" in windows.missing
    assert windows.derived == ()


def test_large_offsets_make_the_step_coarser_and_nothing_wraps() -> None:
    x = noise(10)
    x[3] += 300
    windows = standardise(recording(x, 500))
    assert windows.uv_per_lsb == 10
    np.testing.assert_allclose(windows.continuous_mv("aVR")[0], x[3], atol=0.0051)


def test_equal_recordings_give_equal_bytes_that_read_back() -> None:
    ecg, _ = real_ecg()
    first, second = to_bytes(standardise(ecg)), to_bytes(standardise(ecg))
    assert first == second
    back = from_bytes(first)
    np.testing.assert_array_equal(back.values, standardise(ecg).values)
    assert (back.uv_per_lsb, back.missing, back.derived) == (1.0, (), ())


def test_stride_and_gaps_are_stored() -> None:
    x = noise(15)
    x[3, 100:200] = np.nan
    windows = standardise(recording(x, 500), stride_samples=2500)
    back = from_bytes(to_bytes(windows))
    assert (back.stride_samples, back.gaps) == (2500, windows.gaps)
    assert back.gaps == (Gap(window=0, lead="aVR", samples=100),)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"PK\x03\x04" + b"\0" * 50])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        from_bytes(data)


def test_no_standard_lead_is_refused_and_says_what_was_found() -> None:
    with pytest.raises(InvalidArgument, match="MLII"):
        standardise(of_leads({"MLII": noise(10)[0]}, 360))


def test_only_millivolts_are_leads_and_derived_ones_stay_derived() -> None:
    names: tuple[str, ...] = ("I", "II", "V1", "V2", "III")
    signals: dict[str, npt.NDArray[np.float64]] = dict(zip(names, noise(10.0), strict=False))
    leads = {x.name: x for x in of_leads(signals, 500.0).leads}
    leads["V2"] = replace(leads["V2"], unit="mmHg")
    leads["III"] = replace(leads["III"], derived=True, samples=leads["II"].samples - leads["I"].samples)
    windows = standardise(Recording(format="test", leads=tuple(leads.values())))
    assert windows.derived == ("III", "aVR", "aVL", "aVF")
    assert "V2" in windows.missing
    with pytest.raises(InvalidArgument, match="millivolts"):
        standardise(Recording(format="test", leads=(replace(leads["I"], unit=""),)))
