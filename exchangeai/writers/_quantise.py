"""Samples as 16-bit integers of the coarsest step that loses nothing, or the finest that fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MISSING = -(1 << 15)
"""Stands for a missing sample, as in WFDB format 16."""
LARGEST = (1 << 15) - 2


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """`values * step + offset` are the samples again."""

    values: npt.NDArray[np.int16]
    """int16 [samples]; `MISSING` where the sample is missing."""
    step: float
    offset: float = 0.0


def quantise(samples: npt.NDArray[np.float32]) -> Quantised:
    """Quantise; the error is at most half a step.

    Samples that lie on a grid of at most 65,533 steps, as those of an ADC do, keep it and lose nothing beyond
    float32. Others get the finest step that covers their range.
    """
    known = samples[np.isfinite(samples)].astype(np.float64)
    if not known.size:
        return Quantised(values=np.full(samples.size, MISSING, np.int16), step=1.0)
    low, high = float(known.min()), float(known.max())
    step, offset = _grid(known)
    if step is None:
        offset = (low + high) / 2
        step = (high - low) / (2 * LARGEST) or max(abs(high), 1.0) * 1e-4
    if max(abs(low - offset), abs(high - offset)) > LARGEST * step:
        offset += round((low + high - 2 * offset) / (2 * step)) * step
    scaled = np.where(np.isfinite(samples), (samples.astype(np.float64) - offset) / step, MISSING)
    return Quantised(values=np.rint(scaled).astype(np.int16), step=step, offset=offset)


def _grid(known: npt.NDArray[np.float64]) -> tuple[float | None, float]:
    """(step, 0.0) of the grid through zero on which all values lie; no step when there is none."""
    sizes = np.unique(np.abs(known))
    gaps = np.diff(sizes, prepend=0.0)
    # float32 cannot tell closer values apart.
    gaps = gaps[gaps > sizes[-1] * 1e-6]
    if not gaps.size:
        return None, 0.0
    step = float(gaps.min())
    if (known.max() - known.min()) / step > 2 * LARGEST:
        return None, 0.0
    # The smallest gap carries the error of two values; many steps give it more exactly.
    step = float(sizes[-1] / max(np.rint(sizes[-1] / step), 1))
    off = np.abs(known / step - np.rint(known / step)).max()
    return (step, 0.0) if off < 0.02 + sizes[-1] / step * 1e-6 else (None, 0.0)
