"""Statistics of every lead in blocks of 20 ms, from which all quality checks are made.

A block is as long as a period of 50 Hz mains, so its mean is free of mains; it is shorter than a QRS, so
beats stay visible in the means; and at 50 blocks a second everything that follows is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T", np.float32, np.bool_)

BLOCK_S = 0.02
MIN_SAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """What is kept of [leads, samples]; arrays are float32 [leads, blocks] in mV."""

    mean: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    still: npt.NDArray[np.bool_]
    """Bool: all samples of the block are equal."""
    roughness: npt.NDArray[np.float32]
    """Way up and down within a block beyond the way from its first to its last sample: 0 for any rise or
    fall, 4 times the amplitude for a sine of 50 Hz, more for muscle noise."""
    samples_per_block: int
    rate_hz: float
    """Blocks per second: 50, or what whole samples allow."""

    @cached_property
    def per_second(self) -> int:
        """Blocks in a second, at least 1 and at most all there are."""
        return max(1, min(round(self.rate_hz), self.mean.shape[1]))

    @cached_property
    def constant(self) -> npt.NDArray[np.bool_]:
        """[leads, blocks]: no sample of the block differs from another, nor from the block before or after.

        At one or two samples a block the block alone would say nothing.
        """
        still = self.still
        same = np.zeros_like(still)
        if not still.any():
            return same
        same[:, 1:] = still[:, 1:] & still[:, :-1] & (self.mean[:, 1:] == self.mean[:, :-1])
        same[:, :-1] |= same[:, 1:]
        return same

    def seconds(self, values: npt.NDArray[_T]) -> npt.NDArray[_T]:
        """View of [leads, blocks] as [leads, seconds, blocks of a second]; a last part of a second is left
        out."""
        n = self.per_second
        whole = values.shape[1] // n
        return values[:, : whole * n].reshape(len(values), whole, n)


def blocks_of(leads_mv: npt.NDArray[np.float32], rate_hz: float) -> Blocks:
    """Blocks of finite samples [leads, samples]; samples after the last whole block are left out.

    A signal shorter than a block is one block.
    """
    leads, samples = leads_mv.shape
    n = max(1, min(round(BLOCK_S * rate_hz), samples))
    count = samples // n
    # With the samples of a block on the first axis numpy runs along blocks, 20 times as fast as within them.
    x = np.ascontiguousarray(leads_mv[:, : count * n].reshape(leads, count, n).transpose(2, 0, 1))
    low: npt.NDArray[np.float32] = np.minimum.reduce(x, axis=0)
    high: npt.NDArray[np.float32] = np.maximum.reduce(x, axis=0)
    mean: npt.NDArray[np.float32] = np.add.reduce(x, axis=0)
    mean *= np.float32(1 / n)
    still = low == high
    # Rounding must not make different means of equal samples: blocks are compared.
    np.copyto(mean, low, where=still)
    return Blocks(
        mean=mean,
        low=low,
        high=high,
        still=still,
        roughness=_roughness(_at_most_500_hz(x, rate_hz)),
        samples_per_block=n,
        rate_hz=rate_hz / n,
    )


def median(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Upper median along the last axis.

    By sorting, which numpy does with the processor's vectors: of 50 values it takes half as long as
    partition.
    """
    return np.sort(values, axis=-1)[..., values.shape[-1] // 2]


def _roughness(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """From [samples of a block, leads, blocks]; below 200 Hz over two blocks at a time, as it takes at least
    four samples to go up and down."""
    steps = x[1:] - x[:-1]
    way: npt.NDArray[np.float32] = np.add.reduce(np.abs(steps, out=steps), axis=0)
    if len(x) >= MIN_SAMPLES or x.shape[2] < 2:
        return way - np.abs(x[-1] - x[0])
    way[:, :-1] += way[:, 1:] + np.abs(x[0, :, 1:] - x[-1, :, :-1])
    way[:, :-1] -= np.abs(x[-1, :, 1:] - x[0, :, :-1])
    way[:, -1] = way[:, -2]
    way *= np.float32(0.5)
    return way


def _at_most_500_hz(x: npt.NDArray[np.float32], rate_hz: float) -> npt.NDArray[np.float32]:
    """Means of neighbours of [samples of a block, ...]: what faster recorders add above 250 Hz is no noise of
    the ECG, and the way grows with every sample."""
    several = min(int(rate_hz // 500), len(x))
    if several < 2:
        return x
    used = len(x) // several * several
    total = x[:used:several] + x[1:used:several]
    for i in range(2, several):
        total += x[i:used:several]
    total *= np.float32(1 / several)
    return total
