"""Draw the responses in docs/filters.md from the filters themselves: `python -m docs.plot_filters`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from scipy import signal as scipy_signal

from exchangeai.signal.filters import zero_phase
from exchangeai.signal.profiles import PROFILES, Profile
from exchangeai.signal.resample import KAISER_BETA, ZERO_CROSSINGS

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "tests" / "golden" / "signal" / "ludb_record.npz"
RATE_HZ = 500.0
COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#8d6a9f", "#6c757d", "#d4a017")
Axis = npt.NDArray[np.float64]


def main() -> None:
    """Write the four drawings beside the page."""
    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "filters",
            "path.simplify_threshold": 1.0,
            "font.size": 9,
            "axes.grid": True,
            "grid.alpha": 0.3,
        }
    )
    from matplotlib import pyplot as untyped

    plt: Any = untyped
    for name, draw in (("bands", _bands), ("notch", _notch), ("resampling", _resampling), ("ecg", _ecg)):
        figure, axes = plt.subplots(figsize=(7, 2.9), layout="constrained")
        draw(axes)
        axes.legend(fontsize=8)
        figure.savefig(HERE / f"filters_{name}.svg", metadata={"Date": None})
        plt.close(figure)


def _decibel(gain: Axis) -> Axis:
    return 20 * np.log10(np.maximum(gain, 1e-6))


def _bands(axes: Any) -> None:
    at_hz = np.geomspace(0.01, 249, 240)
    for profile, colour in zip([x for x in PROFILES.values() if x.highpass_hz], COLOURS, strict=True):
        axes.semilogx(at_hz, _decibel(profile.response(at_hz, RATE_HZ)), color=colour, label=profile.name)
    axes.axhline(-3, color="black", lw=0.6, ls=":")
    axes.set(ylim=(-60, 3), xlabel="frequency (Hz), at 500 Hz sampling", ylabel="gain, both passes (dB)")


def _notch(axes: Any) -> None:
    at_hz = np.linspace(40, 70, 241)
    for mains_hz, colour in ((50.0, COLOURS[0]), (60.0, COLOURS[1])):
        notch = Profile(name="notch", notch_hz=mains_hz)
        axes.plot(
            at_hz, _decibel(notch.response(at_hz, RATE_HZ)), color=colour, label=f"notch {mains_hz:g} Hz"
        )
    axes.axhline(-3, color="black", lw=0.6, ls=":")
    axes.set(ylim=(-60, 3), xlabel="frequency (Hz), at 500 Hz sampling", ylabel="gain, both passes (dB)")


def _resampling(axes: Any) -> None:
    """The prototype is the same for every ratio when the axis is relative to the lower rate."""
    factor = 25
    filters: Any = scipy_signal
    taps = filters.firwin(2 * ZERO_CROSSINGS * factor + 1, 1 / factor, window=("kaiser", KAISER_BETA))
    of_nyquist = np.linspace(0.6, 1.6, 241)
    _, response = filters.freqz(taps, worN=of_nyquist / factor * np.pi)
    label = f"Kaiser {KAISER_BETA:g}, {ZERO_CROSSINGS} crossings to either side"
    axes.plot(of_nyquist, _decibel(np.abs(response)), color=COLOURS[0], label=label)
    axes.set(ylim=(-90, 3), xlabel="frequency / Nyquist frequency of the lower rate", ylabel="gain (dB)")


def _ecg(axes: Any) -> None:
    with np.load(GOLDEN) as stored:
        lead = np.cumsum(stored["first_differences"][7], dtype=np.int16) * np.float32(0.005)
    shown = slice(1000, 1700, 2)
    t_s = np.arange(5000)[shown] / RATE_HZ
    axes.plot(t_s, (lead - np.median(lead))[shown], color="#bbbbbb", lw=2.5, label="as recorded (V2)")
    for name, colour in (("measure", COLOURS[0]), ("display 0.5-25", COLOURS[1])):
        axes.plot(t_s, zero_phase(lead, RATE_HZ, PROFILES[name])[shown], color=colour, lw=1, label=name)
    axes.set(xlabel="time (s)", ylabel="mV")


if __name__ == "__main__":
    main()
