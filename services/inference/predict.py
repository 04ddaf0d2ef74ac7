"""Findings from windows: refuses what cannot be analysed, has the model run, averages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.facts import Task
from exchangeai.measurements import Quality, Verdict
from exchangeai.model_file import OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES, Manifest
from exchangeai.telemetry import PREDICTIONS, stage
from services.inference.batching import Batcher
from services.inference.registry import LoadedModel

MIN_VALID_SAMPLES = WINDOW_SAMPLES // 2
"""A window with less signal (5 s) than this says too little and is left out, unless no window has more."""
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
    """Findings from windows, by models that the batcher runs."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def predict(
        self, model: LoadedModel, ecg: Ecg, deadline: float = NO_DEADLINE, caller: str = ""
    ) -> Prediction:
        """Findings over the recording (mean probability over its windows) and for each window.

        `deadline` is a reading of the clock; work that has not begun by then is not begun, and raises
        Overloaded. Callers take turns.
        """
        used, quality = _used_windows(ecg.valid_samples), ecg.quality
        if quality.verdict is Verdict.NOT_ANALYSABLE:
            PREDICTIONS.labels(model.fact.name, "not_analysable").inc()
            return Prediction(findings=(), windows=(), quality=quality)
        values_mv = ecg.values_mv if len(used) == len(ecg.values_mv) else ecg.values_mv[used]
        outputs = await self.infer(model, values_mv, ("probabilities",), deadline, caller)
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
        caller: str = "",
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Raw outputs by name on float32 [n, 12, 5000]."""
        with stage("model"):
            return await self._batcher.run(model, values_mv, outputs, deadline, caller)


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
