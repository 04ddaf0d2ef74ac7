"""Findings from windows: refuses what cannot be analysed, has the model run, averages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai import conformal
from exchangeai.facts import Task
from exchangeai.findings import Finding, OutOfDistribution, Prediction, Saliency, WindowFindings
from exchangeai.model_file import OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES, Manifest, absent_outputs
from exchangeai.novelty import Detector, scorer
from exchangeai.telemetry import PREDICTIONS, stage
from services.inference.batching import Batcher
from services.inference.gate import Ecg, admit
from services.inference.loading import LoadedModel

MIN_VALID_SAMPLES = WINDOW_SAMPLES // 2
"""A window with less signal (5 s) than this says too little and is left out, unless no window has more."""
NO_DEADLINE = math.inf


class Predictor:
    """Findings from windows, by models that the batcher runs."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def predict(
        self,
        model: LoadedModel,
        ecg: Ecg,
        deadline: float = NO_DEADLINE,
        caller: str = "",
        *,
        saliency: bool = False,
        embedding: bool = False,
    ) -> Prediction:
        """Findings over the recording (mean probability over its windows) and for each window.

        `deadline` is a reading of the clock; work that has not begun by then is not begun, and raises
        Overloaded. Callers take turns. What the gate refuses gets its reasons and is not run.
        """
        manifest, quality = model.manifest, ecg.quality
        admission = admit(manifest.scope, ecg)
        if admission.refusals:
            PREDICTIONS.labels(model.fact.name, admission.refusals[0].code.value).inc()
            return Prediction(
                findings=(), quality=quality, refusals=admission.refusals, notes=admission.notes
            )
        absent = absent_outputs(manifest)
        asked = {"saliency": saliency, "embedding": embedding}
        missing = tuple(f"the model gives no {x}" for x, wanted in asked.items() if wanted and x in absent)
        saliency, embedding = saliency and "saliency" not in absent, embedding and "embedding" not in absent
        used, values_mv = _used_windows(ecg.valid_samples), used_windows(ecg)
        wanted = ["probabilities"]
        wanted += ["embedding"] if embedding or manifest.novelty is not None else []
        wanted += ["saliency"] if saliency else []
        outputs = await self.infer(model, values_mv, wanted, deadline, caller)
        probabilities_NC = outputs["probabilities"].astype(np.float64)
        embedding_NE = outputs.get("embedding")
        PREDICTIONS.labels(model.fact.name, "answered").inc()
        windows = tuple(
            WindowFindings(
                start_s=float(index) * WINDOW_SAMPLES / SAMPLING_RATE_HZ,
                findings=findings(probabilities_NC[i], manifest),
                ood=None if embedding_NE is None else novelty_of(manifest.novelty, embedding_NE[i : i + 1]),
                saliency=_saliency(outputs["saliency"][i]) if saliency else None,
                embedding=_numbers(embedding_NE[i]) if embedding and embedding_NE is not None else (),
            )
            for i, index in enumerate(used)
        )
        ood = None if embedding_NE is None else novelty_of(manifest.novelty, embedding_NE)
        return Prediction(
            findings=findings(probabilities_NC.mean(axis=0), manifest),
            windows=windows,
            quality=quality,
            notes=(*admission.notes, *missing, *_notes(ood)),
            ood=ood,
            embedding=_numbers(embedding_NE.mean(axis=0)) if embedding and embedding_NE is not None else (),
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


def used_windows(ecg: Ecg) -> npt.NDArray[np.float32]:
    """The windows of an ECG that a model is run on: float32 [n, 12, 5000], mV."""
    used = _used_windows(ecg.valid_samples)
    return ecg.values_mv if len(used) == len(ecg.values_mv) else ecg.values_mv[used]


def findings(probabilities_C: npt.NDArray[np.float64], manifest: Manifest) -> tuple[Finding, ...]:
    """One finding for each class: against its threshold (multi-label) or the most probable (single-label).

    Of a model of numbers: each with the bounds that its conformal sets give.
    """
    if manifest.task is Task.REGRESSION:
        return tuple(
            _number(x.name, x.code, float(v), manifest, i)
            for i, (x, v) in enumerate(zip(manifest.classes, probabilities_C, strict=True))
        )
    best = int(np.argmax(probabilities_C))
    held = manifest.conformal
    said = conformal.verdicts(probabilities_C, held, manifest.task) if held is not None else None
    return tuple(
        Finding(
            name=x.name,
            probability=float(p),
            threshold=x.threshold,
            present=i == best if manifest.task is Task.SINGLE_LABEL else float(p) >= x.threshold,
            conformal=None if said is None else said[i],
            code=x.code,
        )
        for i, (x, p) in enumerate(zip(manifest.classes, probabilities_C, strict=True))
    )


def _number(name: str, code: str, value: float, manifest: Manifest, index: int) -> Finding:
    held = manifest.conformal
    if held is None:
        return Finding(name=name, code=code, value=value)
    low, high = value + held.low[index], value + held.high[index]
    return Finding(name=name, code=code, value=value, low=low, high=high)


def novelty_of(detector: Detector | None, embedding_NE: npt.NDArray[np.float32]) -> OutOfDistribution | None:
    """How unlike the training data an ECG is, by its windows' mean score; None without a detector."""
    if detector is None:
        return None
    able = scorer(detector)
    return able.judge(float(np.mean([able.score(x) for x in embedding_NE])))


def _notes(ood: OutOfDistribution | None) -> tuple[str, ...]:
    if ood is None or not ood.outside:
        return ()
    return (
        f"the ECG is unlike those that the model has learned from: its score {ood.ood_score:.1f} is above "
        f"{ood.limit:.1f}, which {ood.limit_percentile:g} % of validation stay within",
    )


def _saliency(saliency_CT: npt.NDArray[np.float32]) -> Saliency:
    classes, steps = saliency_CT.shape
    return Saliency(
        classes=classes,
        steps=steps,
        step_s=WINDOW_SAMPLES / SAMPLING_RATE_HZ / steps,
        values=_numbers(saliency_CT.ravel()),
    )


def _numbers(values: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(values.tolist())


def _used_windows(valid_samples: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    used = np.flatnonzero(valid_samples >= MIN_VALID_SAMPLES)
    # The quality of a recording shorter than that says so already; it is answered with its longest window.
    return used if used.size else np.array([np.argmax(valid_samples)])
