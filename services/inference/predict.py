"""Findings from windows: refuses what cannot be analysed, runs the model off the event loop, averages."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.errors import Overloaded
from exchangeai.facts import Task
from exchangeai.measurements import Quality, Verdict
from exchangeai.model_file import OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES, Manifest
from exchangeai.telemetry import PREDICTIONS, stage
from services.inference.registry import LoadedModel

MIN_VALID_SAMPLES = WINDOW_SAMPLES // 2
"""A window with less signal (5 s) than this says too little and is left out, unless no window has more."""
BATCH = 16
"""Windows run at once; bounds memory on long recordings."""
NO_DEADLINE = math.inf


@dataclass(frozen=True, kw_only=True)
class Ecg:
    """What is predicted on."""

    values_mv: npt.NDArray[np.float32]
    """float32 [n, 12, 5000], millivolts at 500 Hz."""
    valid_samples: npt.NDArray[np.int32]
    """int32 [n]: how many samples of each window are signal."""
    quality: Quality
    input_digest: str
    """SHA-256, hex: of the source bytes, or of the tensor's bytes."""
    preprocessing_version: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One class of a prediction, or one number."""

    name: str
    probability: float = 0.0
    threshold: float = 0.0
    present: bool = False
    value: float | None = None
    """What a model of numbers predicts; then it has no probability."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class WindowFindings:
    """Findings of the window that starts at `start_s`."""

    start_s: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer on one ECG; no findings when the quality says NOT_ANALYSABLE."""

    findings: tuple[Finding, ...]
    windows: tuple[WindowFindings, ...]
    quality: Quality


class Predictor:
    """Runs models on a few threads, so that the event loop never waits for one."""

    def __init__(self, threads: Executor, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock

    async def predict(self, model: LoadedModel, ecg: Ecg, deadline: float = NO_DEADLINE) -> Prediction:
        """Findings over the recording (mean probability over its windows) and for each window.

        `deadline` is a reading of the clock; work that has not begun by then is not begun, and raises
        Overloaded.
        """
        used, quality = _used_windows(ecg.valid_samples), ecg.quality
        if quality.verdict is Verdict.NOT_ANALYSABLE:
            PREDICTIONS.labels(model.fact.name, "not_analysable").inc()
            return Prediction(findings=(), windows=(), quality=quality)
        outputs = await self.infer(model, ecg.values_mv[used], ("probabilities",), deadline)
        probabilities_NC = outputs["probabilities"].astype(np.float64)
        PREDICTIONS.labels(model.fact.name, "answered").inc()
        return Prediction(
            findings=findings(probabilities_NC.mean(axis=0), model.manifest),
            windows=tuple(
                WindowFindings(
                    start_s=float(index) * WINDOW_SAMPLES / SAMPLING_RATE_HZ,
                    findings=findings(row, model.manifest),
                )
                for index, row in zip(used, probabilities_NC, strict=True)
            ),
            quality=quality,
        )

    async def infer(
        self,
        model: LoadedModel,
        values_mv: npt.NDArray[np.float32],
        outputs: Sequence[str] = OUTPUTS,
        deadline: float = NO_DEADLINE,
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Raw outputs by name on float32 [n, 12, 5000]."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._run, model, values_mv, tuple(outputs), deadline
        )

    def _run(
        self,
        model: LoadedModel,
        values_mv: npt.NDArray[np.float32],
        outputs: tuple[str, ...],
        deadline: float,
    ) -> dict[str, npt.NDArray[np.float32]]:
        parts: list[dict[str, npt.NDArray[np.float32]]] = []
        for begin in range(0, len(values_mv), BATCH):
            if self._clock() >= deadline:
                raise Overloaded(
                    "the deadline passed before the model could run; try again later or allow more time"
                )
            with stage("model"):
                parts.append(
                    model.session.run(np.ascontiguousarray(values_mv[begin : begin + BATCH]), outputs)
                )
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([x[name] for x in parts]) for name in outputs}


def findings(probabilities_C: npt.NDArray[np.float64], manifest: Manifest) -> tuple[Finding, ...]:
    """One finding for each class: against its threshold (multi-label) or the most probable (single-label).

    Of a model of numbers: each with the bounds that its conformal sets give.
    """
    if manifest.task is Task.REGRESSION:
        return tuple(
            _number(x.name, float(v), manifest, i)
            for i, (x, v) in enumerate(zip(manifest.classes, probabilities_C, strict=True))
        )
    best = int(np.argmax(probabilities_C))
    return tuple(
        Finding(
            name=x.name,
            probability=float(p),
            threshold=x.threshold,
            present=i == best if manifest.task is Task.SINGLE_LABEL else float(p) >= x.threshold,
        )
        for i, (x, p) in enumerate(zip(manifest.classes, probabilities_C, strict=True))
    )


def _number(name: str, value: float, manifest: Manifest, index: int) -> Finding:
    held = manifest.conformal
    if held is None:
        return Finding(name=name, value=value)
    return Finding(name=name, value=value, low=value + held.low[index], high=value + held.high[index])


def _used_windows(valid_samples: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    used = np.flatnonzero(valid_samples >= MIN_VALID_SAMPLES)
    # The quality of a recording shorter than that says so already; it is answered with its longest window.
    return used if used.size else np.array([np.argmax(valid_samples)])
