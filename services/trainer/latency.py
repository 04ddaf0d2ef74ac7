"""How long ONNX Runtime takes for one ECG, as a user without a GPU would wait."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, cast

import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.model_file import INPUT
from services.trainer.export import synthetic_window

WARM_UP = 3
CALLS = 15


def inference_ms(model: bytes, clock_s: Callable[[], float]) -> float:
    """Median time of a call with one window on one thread of the CPU, ms; all outputs are computed."""
    runtime = cast(Any, onnxruntime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # else it warns of parameters kept for training
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    windows = synthetic_window()[None]
    taken: list[float] = []
    for _ in range(WARM_UP + CALLS):
        begun_s = clock_s()
        session.run(None, {INPUT: windows})
        taken.append(1000 * (clock_s() - begun_s))
    return statistics.median(taken[WARM_UP:])
