"""How long ONNX Runtime takes for one ECG, as a user without a GPU would wait."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from services.trainer.export import session, synthetic_window

WARM_UP = 3
CALLS = 15


def inference_ms(model: bytes, clock_s: Callable[[], float]) -> float:
    """Median time of a call with one window on one thread of the CPU, ms; all outputs are computed."""
    predict = session(model)
    windows = synthetic_window()[None]
    taken: list[float] = []
    for _ in range(WARM_UP + CALLS):
        begun_s = clock_s()
        predict(windows)
        taken.append(1000 * (clock_s() - begun_s))
    return statistics.median(taken[WARM_UP:])
