"""The moving mean that landmarks are looked for on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def smoothed(x: npt.NDArray[np.floating], size: int) -> Float32:
    """Mean over `size` samples (odd) around each of [rows, samples]; the ends are extended."""
    half = max(size // 2, 1)
    sums = np.empty((len(x), x.shape[1] + 2 * half + 1))
    sums[:, : half + 1] = x[:, :1]
    sums[:, half + 1 : -half] = x
    sums[:, -half:] = x[:, -1:]
    np.cumsum(sums, axis=1, out=sums)
    size = 2 * half + 1
    return ((sums[:, size:] - sums[:, :-size]) * (1 / size)).astype(np.float32)
