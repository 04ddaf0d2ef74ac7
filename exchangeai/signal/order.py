"""Percentiles and medians of finite numbers, several times faster than NumPy's, which look for NaN first."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.floating)

FEW_LAYERS = 24
"""Up to here comparing layers pairwise beats sorting each column: the work grows with their square."""


def percentile(x: npt.NDArray[T], percent: float) -> npt.NDArray[T]:
    """Along the last axis of [..., n], n > 0; between two values in proportion, as `np.percentile` does."""
    ordered = np.sort(x, axis=-1)
    at = (x.shape[-1] - 1) * percent / 100
    low = int(at)
    lower, upper = ordered[..., low], ordered[..., min(low + 1, x.shape[-1] - 1)]
    return (lower + (upper - lower) * (at - low)).astype(x.dtype, copy=False)


def median(x: npt.NDArray[T]) -> npt.NDArray[T]:
    """Along the last axis of [..., n], n > 0."""
    return percentile(x, 50)


def median_layer(layers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The median of float32 [n, ...] over its first axis, n > 0.

    With few layers, whole layers bubble upwards until the middle is known: minima and maxima of arrays are
    what processors do fastest.
    """
    n = len(layers)
    half = n // 2
    if n > FEW_LAYERS:
        rows = list(np.sort(layers, axis=0))
    else:
        rows = [x.copy() for x in layers]
        spare = np.empty_like(rows[0])
        for last in range(n - 1, n - half - 2, -1):
            for i in range(last):
                np.minimum(rows[i], rows[i + 1], out=spare)
                np.maximum(rows[i], rows[i + 1], out=rows[i + 1])
                rows[i], spare = spare, rows[i]
    return rows[half] if n % 2 else (rows[half - 1] + rows[half]) / 2
