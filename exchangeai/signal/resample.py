"""Change the sampling rate of many leads at once by a polyphase FIR filter of an exact rational ratio.

The anti-alias filter is a windowed sinc (Kaiser) that ends at the lower of the two Nyquist frequencies:
see the response in docs/filters.md. Each branch is scaled to a gain of exactly 1 at 0 Hz, because
otherwise an electrode offset of some hundred mV would come back as a ripple at the old sampling rate.
Beyond the ends the signal is mirrored: zeros would make a step that rings, and odd reflection
(2 x[0] - x[k]) doubles a QRS that is cut by the end of the recording.

Some dozen outputs at a time are one matrix product with the inputs around them, which uses the processor
better than a sum over taps for each output, although most of the matrix is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import InvalidArgument

_filters: Any = _untyped

Float32 = npt.NDArray[np.float32]

ZERO_CROSSINGS = 16
"""Half length of the filter in samples of the lower of the two rates."""
KAISER_BETA = 6.0
"""About 63 dB of stop-band attenuation; with 16 crossings the pass band ends at 0.87 of Nyquist."""
MAX_FACTOR = 15_000
"""Bound of the smaller factor of the ratio: 599.88 Hz to 500 Hz (12500 / 14997) is still exact, and any
other ratio is off by less than one sample in 14 million."""
MIN_RATE_HZ = 5.0
MAX_RATE_HZ = 1_000_000.0
OUTPUTS = 50
"""Made by one product; measured. It divides 5000, so that a window of 10 s needs no cutting."""
CHUNK_SAMPLES = 120_000
"""Inputs or outputs worked on at a time, so that they stay in a core's cache."""


def ratio(from_hz: float, to_hz: float) -> Fraction:
    """The factor between two rates as a fraction whose smaller part is at most `MAX_FACTOR`.

    Raises InvalidArgument for a rate that is not between 5 Hz and 1 MHz.
    """
    if not (MIN_RATE_HZ <= from_hz <= MAX_RATE_HZ):
        raise InvalidArgument(
            f"a sampling rate of {from_hz:g} Hz cannot be resampled: it must be between "
            f"{MIN_RATE_HZ:g} Hz and {MAX_RATE_HZ:g} Hz; check the rate that the file or the caller states"
        )
    exact = Fraction(repr(float(to_hz))) / Fraction(repr(float(from_hz)))
    if exact <= 1:
        return exact.limit_denominator(MAX_FACTOR) or Fraction(1, MAX_FACTOR)
    return 1 / (1 / exact).limit_denominator(MAX_FACTOR)


def resample(samples_mv: npt.NDArray[np.floating], from_hz: float, to_hz: float) -> Float32:
    """Resample along the last axis without delay; float32 [..., ceil(samples * to_hz / from_hz)], mV.

    Sample 0 stays at time 0. Samples must be finite (see `gaps.bridge_gaps`). Content up to 0.87 of the
    lower Nyquist frequency keeps its amplitude within 0.2 %. Raises InvalidArgument as `ratio` does.
    """
    x = np.ascontiguousarray(samples_mv, np.float32)
    step = ratio(from_hz, to_hz)
    if step == 1 or x.size == 0:
        return np.repeat(x, step.numerator, axis=-1) if x.size == 0 else x.copy()
    plan = _plan(step.numerator, step.denominator)
    samples = x.shape[-1]
    rows = x.reshape(-1, samples)
    wanted = -(-samples * step.numerator // step.denominator)
    periods = -(-wanted // plan.outputs)
    plan = replace(plan, parts=tuple(x for x in plan.parts if x[0] < wanted))
    out = np.empty((len(rows), periods * plan.outputs), np.float32)
    many = max(1, CHUNK_SAMPLES // max(samples, out.shape[1]))
    for first in range(0, len(rows), many):
        _convert(rows[first : first + many], plan, out[first : first + many])
    return np.ascontiguousarray(out[:, :wanted]).reshape(*x.shape[:-1], wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What repeats every `inputs` samples of the input, which are `outputs` samples of the output."""

    inputs: int
    outputs: int
    reach: int
    """Samples that the filter takes from before the first input and after the last."""
    parts: tuple[tuple[int, int, Float32], ...]
    """First output, first input (counted from `reach` before), and float32 [inputs, outputs]."""


def _convert(x: Float32, plan: _Plan, out: Float32) -> None:
    rows, periods = len(x), out.shape[1] // plan.outputs
    padded = _mirrored(x, plan.reach, periods * plan.inputs + plan.reach)
    by_period = out.reshape(rows, periods, plan.outputs)
    some = max(1, CHUNK_SAMPLES // plan.outputs // rows)
    for begin in range(0, periods, some):
        count = min(some, periods - begin)
        for first_output, first_input, matrix in plan.parts:
            width, made = matrix.shape
            around = np.lib.stride_tricks.sliding_window_view(
                padded[:, begin * plan.inputs + first_input :], width, axis=1
            )[:, :: plan.inputs][:, :count]
            target = by_period[:, begin : begin + count, first_output : first_output + made]
            np.matmul(np.ascontiguousarray(around), matrix, out=target)


def _mirrored(x: Float32, before: int, after: int) -> Float32:
    """[rows, before + after] with sample 0 at `before`, mirrored at the ends as far as the filter reaches."""
    samples = x.shape[1]
    out = np.zeros((len(x), before + max(after, samples + before)), np.float32)
    out[:, before : before + samples] = x
    if samples > before:
        out[:, :before] = x[:, before:0:-1]
        out[:, before + samples : 2 * before + samples] = x[:, -2 : -before - 2 : -1]
    else:
        mode = "reflect" if samples > 1 else "edge"
        out[:, : 2 * before + samples] = np.pad(x, ((0, 0), (before, before)), mode=mode)
    return out


@lru_cache(maxsize=16)
def _plan(up: int, down: int) -> _Plan:
    taps, half = anti_alias(up, down)
    reach = -(-half // up)
    repeats = max(1, OUTPUTS // up)
    outputs = repeats * up
    parts: list[tuple[int, int, Float32]] = []
    for first in range(0, outputs, OUTPUTS):
        last = min(first + OUTPUTS, outputs) - 1
        begin, end = -((half - first * down) // up), (last * down + half) // up
        inputs: npt.NDArray[np.int64] = np.arange(begin, end + 1, dtype=np.int64)[:, None] * up
        tap = half + np.arange(first, last + 1, dtype=np.int64) * down - inputs
        used = (tap >= 0) & (tap < len(taps))
        matrix = np.where(used, taps[np.clip(tap, 0, len(taps) - 1)], 0).astype(np.float32)
        parts.append((first, begin + reach, matrix))
    return _Plan(inputs=repeats * down, outputs=outputs, reach=reach, parts=tuple(parts))


def anti_alias(up: int, down: int) -> tuple[npt.NDArray[np.float64], int]:
    """The filter for the factor up / down: (taps at `up` times the input's rate, index of the middle one)."""
    widest = max(up, down)
    half = ZERO_CROSSINGS * widest
    taps = np.asarray(_filters.firwin(2 * half + 1, 1 / widest, window=("kaiser", KAISER_BETA)), np.float64)
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    return taps, half
