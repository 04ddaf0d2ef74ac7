"""The tensor contract: windows, padding, derived leads, quantisation, bytes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Recording
from exchangeai.signal import standardise
from exchangeai.signal.windows import from_bytes, to_bytes
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
        np.testing.assert_allclose(windows.continuous_mv(lead), x[row], atol=0.00051)


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
    np.testing.assert_allclose(windows.continuous_mv("III"), x[2], atol=0.00051)


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
    np.testing.assert_allclose(windows.continuous_mv("aVR"), x[3], atol=0.0051)


def test_equal_recordings_give_equal_bytes_that_read_back() -> None:
    ecg, _ = real_ecg()
    first, second = to_bytes(standardise(ecg)), to_bytes(standardise(ecg))
    assert first == second
    back = from_bytes(first)
    np.testing.assert_array_equal(back.values, standardise(ecg).values)
    assert (back.uv_per_lsb, back.missing, back.derived) == (1.0, (), ())


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
