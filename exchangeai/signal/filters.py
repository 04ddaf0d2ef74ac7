"""Run a profile's filter over many leads at once, forwards and backwards, without delay.

A recursive filter is a loop over samples, which numpy cannot do and a library does one lead at a time in
float64. Here time is cut into blocks and the loop becomes matrix products (Burrus 1972, Block realization
of digital filters): a block's output is a matrix times its input, plus a matrix times the few numbers that
the blocks before and after it leave behind. Float32 is enough, because no rounding error is carried on for
longer than the filter remembers. The result is that of `scipy.signal.sosfiltfilt` with point reflection by
`Profile.pad_samples` at both ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.signal.filter_plan import GROUPS_AT_ONCE, Plan, plan_for
from exchangeai.signal.profiles import Profile

Float32 = npt.NDArray[np.float32]

CHUNK_SAMPLES = 120_000
"""Samples filtered at a time, two ECGs of 12 x 5000: with its products it stays in a core's cache."""
ROWS_AT_ONCE = 60
"""Blocks multiplied at once: below a hundred BLAS does not copy the matrices first."""


def zero_phase(
    x_mv: npt.NDArray[np.float32], rate_hz: float, profile: Profile, out: Float32 | None = None
) -> npt.NDArray[np.float32]:
    """Filter along the last axis; float32 of the same shape [..., samples], mV.

    Samples must be finite: what a file has no value for is bridged by the caller (`gaps.bridge_gaps`).
    `out` takes the result: C-contiguous, of that shape, and not `x_mv` itself. Within 1e-5 of the largest
    sample of the same in float64. Raises InvalidArgument when the rate or the profile's band is impossible.
    """
    x = np.ascontiguousarray(x_mv, np.float32)
    out = np.empty_like(x) if out is None else out
    samples = x.shape[-1]
    if samples == 1:  # a constant, of which nothing is known before or after
        return np.multiply(x, np.float32(profile.response(np.zeros(1), rate_hz)[0]), out=out)
    plan = plan_for(profile, rate_hz, samples)
    if plan is None or x.size == 0:
        out[...] = x
        return out
    rows, out_rows = x.reshape(-1, samples), np.reshape(out, (-1, samples), copy=False)
    many = max(1, min(len(rows), CHUNK_SAMPLES // samples))
    # Made once, so that it stays in the cache: new memory for each chunk would cost a sixth of the time.
    space = np.empty((many * plan.blocks, plan.kernel.output.shape[0]), np.float32)
    for first in range(0, len(rows), many):
        _filter(rows[first : first + many], plan, space, out_rows[first : first + many])
    return out


def _filter(x: Float32, plan: Plan, space: Float32, out: Float32) -> None:
    rows, samples = x.shape
    kernel, n, reach = plan.kernel, len(plan.turn), len(plan.before)
    block, whole = kernel.block, samples // kernel.block
    covered = whole * block
    flat = space[: rows * plan.blocks]
    joined = flat.reshape(rows, plan.blocks, block + 2 * n)
    joined[:, :whole, :block] = x[:, :covered].reshape(rows, whole, block)
    if plan.appended:
        mirror = x[:, samples - 1 - plan.appended : samples - 1][:, ::-1]
        rest = np.concatenate([x[:, covered:], 2 * x[:, -1:] - mirror], axis=1)
        joined[:, whole:, :block] = rest.reshape(rows, -1, block)
    left = _product(flat[:, :block], kernel.memories).reshape(rows * plan.groups, -1)
    by_group = (left @ kernel.leaving).reshape(rows, plan.groups, 2, n)
    past, end = _carry(np.matmul(x[:, :reach], plan.before), by_group[:, :, 0], kernel.onwards)
    turned = np.matmul(x[:, samples - reach :], plan.after) + np.matmul(end, plan.turn)
    future, _ = _carry(turned, by_group[:, ::-1, 1], kernel.onwards)
    found = np.stack([past, future[:, ::-1]], axis=2).reshape(rows * plan.groups, 2 * n)
    memories = left @ kernel.within
    memories += found @ kernel.entering
    joined[:, :, block:] = memories.reshape(rows, plan.blocks, 2 * n)
    np.matmul(joined[:, :whole], kernel.output, out=out[:, :covered].reshape(rows, whole, block))
    if covered < samples:
        out[:, covered:] = np.matmul(joined[:, whole], kernel.output)[:, : samples - covered]


def _carry(start: Float32, left: Float32, onwards: Float32) -> tuple[Float32, Float32]:
    """Memory that enters [rows, n] and what groups leave [rows, groups, n] to what they find, and the end."""
    rows, groups, n = left.shape
    found = np.empty((rows, groups, n), np.float32)
    for first in range(0, groups, GROUPS_AT_ONCE):
        some = left[:, first : first + GROUPS_AT_ONCE]
        width = (some.shape[1] + 1) * n
        given = np.concatenate([start[:, None], some], axis=1).reshape(rows, width)
        states = (given @ onwards[:width, :width]).reshape(rows, -1, n)
        found[:, first : first + GROUPS_AT_ONCE] = states[:, :-1]
        start = states[:, -1]
    return found, start


def _product(x: Float32, matrix: Float32) -> Float32:
    """x @ matrix in pieces of rows."""
    whole = len(x) // ROWS_AT_ONCE * ROWS_AT_ONCE
    out = np.empty((len(x), matrix.shape[1]), np.float32)
    pieces = (-1, ROWS_AT_ONCE)
    np.matmul(x[:whole].reshape(*pieces, x.shape[1]), matrix, out=out[:whole].reshape(*pieces, out.shape[1]))
    np.matmul(x[whole:], matrix, out=out[whole:])
    return out
