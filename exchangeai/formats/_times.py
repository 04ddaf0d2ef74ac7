"""A column of times into a sampling rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader

PER_S = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "ms": 1e3, "msec": 1e3, "millis": 1e3, "millisecond": 1e3, "milliseconds": 1e3,
    "us": 1e6, "µs": 1e6, "μs": 1e6, "usec": 1e6, "microsecond": 1e6, "microseconds": 1e6,
    "ns": 1e9, "nanosecond": 1e9, "nanoseconds": 1e9, "min": 1 / 60, "minutes": 1 / 60,
}  # fmt: skip
"""How many of a unit of time make a second."""
_WORDS = {1.0: "seconds", 1e3: "milliseconds", 1e6: "microseconds"}
_POSSIBLE_HZ = (20.0, 20_000.0)
"""Spans a factor of a thousand, so that one unit at most makes a rate of an ECG of a given step."""
_DIGITS = 6


def rate_of_times(times: npt.NDArray[Any], per_s: float) -> tuple[float, list[str]]:
    """Rate in Hz of increasing times [samples] in units of 1/`per_s` seconds, and warnings.

    Raises InvalidHeader for times that do not increase, or with gaps.
    """
    with np.errstate(all="ignore"):
        t = times.astype(np.float64) / per_s
        steps = np.diff(t)
    if steps.size == 0 or not np.isfinite(t).all() or t[-1] <= t[0]:
        raise InvalidHeader("the column of times does not increase; remove it and state `sampling_rate_hz`")
    span = float(t[-1] - t[0])
    step = span / steps.size
    line = t[0] + step * np.arange(t.size)
    away = float(np.abs(t - line).max())
    # Against the straight line too, because single steps vary by the rounding of written times.
    if away > 1.01 * step or steps.min() < 0 or steps.max() > 2.5 * float(np.median(steps)):
        raise InvalidHeader("the samples are not evenly spaced in time; resample them before the upload")
    unit = _written_step(t, step)
    warnings: list[str] = []
    if away > max(unit, 0.01 * step):
        warnings.append("the times of the samples are slightly uneven; the mean rate is used")
    if float(steps.max() - steps.min()) <= 1e-6 * step:
        return _short(1 / step), warnings
    return _simplest(steps.size / (span + unit), 1 / step, steps.size / max(span - unit, step)), warnings


def deduced_unit(times: npt.NDArray[Any]) -> tuple[float | None, str]:
    """Units per second of times that state none, where only one is possible, with a word on it.

    Whole numbers stay undecided, because they may as well count samples: the word is then a guess for a
    message. Returns (None, "") when nothing fits.
    """
    if times.size < 3:
        return None, ""
    t = times.astype(np.float64)
    step = float(t[-1] - t[0]) / (t.size - 1)
    low, high = _POSSIBLE_HZ
    for per_s, word in _WORDS.items():
        if step > 0 and low < per_s / step < high:
            if not (t % 1).any():
                guess = f" (a guess, not applied: {_short(per_s / step):g}, if the times are {word})"
                return None, "" if step == 1 else guess
            return per_s, f"the times state no unit; only {word} make a possible rate"
    return None, ""


def is_count(values: npt.NDArray[Any]) -> bool:
    """Whether values count samples: 0, 1, 2, ... or from another whole number."""
    return values.size > 1 and bool(np.isfinite(values[0])) and bool((np.diff(values) == 1).all())


def _written_step(t: npt.NDArray[np.float64], step: float) -> float:
    """The last decimal place that the times use, in seconds; 0 when they use all that a number has."""
    part = t[:2000]
    for digits in range(7):
        scaled = part * 10**digits
        if np.abs(scaled - np.rint(scaled)).max() < 1e-4:
            return min(10.0**-digits, step)
    return 0.0


def _simplest(low: float, middle: float, high: float) -> float:
    for digits in range(_DIGITS):
        rounded = round(middle, digits)
        if low <= rounded <= high and rounded > 0:
            return rounded
    return _short(middle)


def _short(rate_hz: float) -> float:
    # Times are written with few digits, so that 500 Hz must not become 499.999999.
    return float(f"{rate_hz:.{_DIGITS}g}")
