"""The moving mean that landmarks are looked for on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def smoothed(x: npt.NDArray[np.floating], size: int) -> Float32:
    """Mean over `size` samples (odd) around each of [rows, samples]; the ends are extended."""
    half = max(size // 2, 1)
    padded = np.pad(x, ((0, 0), (half + 1, half)), mode="edge")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    return ((sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / (2 * half + 1)).astype(np.float32)
