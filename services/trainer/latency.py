"""How long ONNX Runtime takes for one ECG, as a user without a GPU would wait."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from services.trainer.export import session, synthetic_window

WARM_UP = 3
CALLS = 15


def inference_ms(model: bytes, clock_s: Callable[[], float]) -> float:
    """Median time of a call with one window on one thread of the CPU, ms; all outputs are computed."""
    return each_in_turn_ms([model], clock_s)[0]


def each_in_turn_ms(models: Sequence[bytes], clock_s: Callable[[], float]) -> list[float]:
    """The same of several models, called one after the other, so that what else runs slows all alike."""
    calls = [session(model) for model in models]
    windows = synthetic_window()[None]
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(WARM_UP + CALLS):
        for call, own in zip(calls, taken, strict=True):
            begun_s = clock_s()
            call(windows)
            own.append(1000 * (clock_s() - begun_s))
    return [statistics.median(own[WARM_UP:]) for own in taken]
