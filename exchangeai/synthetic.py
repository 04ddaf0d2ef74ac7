"""A drawn ECG that is nobody's, for golden records and tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12

WINDOW_SAMPLES = 5000


def synthetic_window(seed: int = 0) -> npt.NDArray[np.float32]:
    """A drawn ECG: float32 [12, 5000], mV at 500 Hz, 75 beats a minute, exactly periodic."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(400) / 500.0
    waves = (
        (0.16, 0.025, 0.12),
        (0.28, 0.008, -0.1),
        (0.30, 0.010, 1.1),
        (0.32, 0.008, -0.2),
        (0.54, 0.045, 0.3),
    )
    # A slow wave under the beats, because a constant baseline looks like a loose electrode.
    beat = np.where(np.arange(len(STANDARD_12)) == 1, 0.3, 0.1)[:, None] * np.abs(time_s / 0.8 - 0.5)
    for centre_s, width_s, height_mv in waves:
        gain = rng.uniform(0.6, 1.2, (len(STANDARD_12), 1))
        beat += gain * height_mv * np.exp(-0.5 * ((time_s - centre_s) / width_s) ** 2)
    beat[2] = beat[1] - beat[0]
    beat[3] = -(beat[0] + beat[1]) / 2
    beat[4] = beat[0] - beat[1] / 2
    beat[5] = beat[1] - beat[0] / 2
    periodic = np.tile(np.round(beat, 3), (1, WINDOW_SAMPLES // time_s.size + 1))
    return np.ascontiguousarray(periodic[:, :WINDOW_SAMPLES], np.float32)
