"""The report on one part: what validation has fixed, applied to recordings that had no say in it.

Shapes: D draws, N recordings, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exchangeai.conformal import sets
from exchangeai.facts import Task
from exchangeai.metrics import ClassMetrics, Estimate, TestReport
from exchangeai.model_file import Conformal
from services.trainer.evaluation import calibration, conformal, metrics, regression
from services.trainer.evaluation.intervals import DRAWS, Measure, estimate, interval, mean_of, overall
from services.trainer.evaluation.metrics import Bits, Floats
from services.trainer.evaluation.predictions import Predictions, Scores, by_recording
from services.trainer.evaluation.subgroups import subgroups

SHARE = 0.9
"""Sensitivity, and specificity, of the further two thresholds of each class."""


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What was decided on validation, before the test part was looked at; what was not is not reported."""

    thresholds: tuple[float, ...] = ()
    """Of greatest F1; empty in regression."""
    temperature: float = 1.0
    sensitive: tuple[float, ...] = ()
    """From which 90 % of the positives are found."""
    specific: tuple[float, ...] = ()
    """From which 90 % of the negatives are passed."""
    conformal: Conformal | None = None

    def of(self, classes: Sequence[int]) -> Fixed:
        """The same for some of the classes, by index."""

        def some(values: Sequence[float]) -> tuple[float, ...]:
            return tuple(values[c] for c in classes) if values else ()

        held = self.conformal
        return replace(
            self,
            thresholds=some(self.thresholds),
            sensitive=some(self.sensitive),
            specific=some(self.specific),
            conformal=held and replace(held, low=some(held.low), high=some(held.high)),
        )


def fix(validation: Predictions, task: Task) -> Fixed:
    """Calibrate, choose thresholds and conformal bounds."""
    temperature = calibration.fit_temperature(validation.logits, validation.labels, task)
    scores = by_recording(validation, task, temperature)

    def each(choose: Callable[[Floats, Bits], float]) -> tuple[float, ...]:
        if task is Task.REGRESSION:
            return ()
        p, y = scores.probabilities, scores.labels
        return tuple(choose(p[:, c], y[:, c]) for c in range(p.shape[1]))

    return Fixed(
        temperature=temperature,
        thresholds=each(metrics.best_threshold),
        sensitive=each(lambda p, y: metrics.threshold_of_sensitivity(p, y, SHARE)),
        specific=each(lambda p, y: metrics.threshold_of_specificity(p, y, SHARE)),
        conformal=conformal.fit(scores, task),
    )


def report(
    scores: Scores,
    names: Sequence[str],
    fixed: Fixed,
    task: Task,
    *,
    part: str = "test",
    drop_unlabelled: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> TestReport:
    """Metrics by recording with 95 % bootstrap intervals over patients; equal for equal seeds.

    `drop_unlabelled` leaves out recordings with none of the classes, as some benchmarks do.
    """
    labelled = np.asarray(
        ~np.isnan(scores.labels).all(axis=1) if task is Task.REGRESSION else scores.labels.any(axis=1)
    )
    unlabelled = int((~labelled).sum())
    if drop_unlabelled:
        scores = scores.of(labelled)
    covered = _covered(scores, fixed, task)
    common: dict[str, Any] = {
        "recordings": len(scores.patients),
        "patients": len(set(scores.patients)),
        "bootstrap_draws": draws,
        "part": part,
        "unlabelled": unlabelled,
        "unlabelled_dropped": drop_unlabelled,
        "coverage": estimate(covered, scores, draws, seed) if covered else Estimate(),
        "subgroups": subgroups(scores, task, draws, seed),
    }
    if task is Task.REGRESSION:
        return TestReport(
            **common,
            macro_auroc=Estimate(),
            macro_f1=Estimate(),
            classes=(),
            targets=regression.targets(scores, names, draws, seed),
            error=estimate(overall(scores, task), scores, draws, seed),
        )
    return TestReport(**common, **_classified(scores, names, fixed, task, draws, seed))


def _classified(
    scores: Scores, names: Sequence[str], fixed: Fixed, task: Task, draws: int, seed: int
) -> dict[str, Any]:
    p, y = scores.probabilities, scores.labels
    decided = decisions(p, fixed, task)

    def measure(weights: Floats) -> Floats:
        """[D, C, 7] in the order of `_NAMES`."""
        each = [
            np.stack(
                [
                    metrics.auroc(p[:, c], y[:, c], weights),
                    metrics.f1(decided[:, c], y[:, c], weights),
                    metrics.sensitivity(decided[:, c], y[:, c], weights),
                    metrics.specificity(decided[:, c], y[:, c], weights),
                    metrics.average_precision(p[:, c], y[:, c], weights),
                    _at(metrics.specificity, fixed.sensitive, p, y, c, weights),
                    _at(metrics.sensitivity, fixed.specific, p, y, c, weights),
                ],
                axis=1,
            )
            for c in range(len(names))
        ]
        return np.stack(each, axis=1)

    point = measure(np.ones((1, len(p))))
    drawn = np.concatenate([measure(w) for w in metrics.bootstrap_weights(scores.patients, draws, seed)])

    def macro(m: int) -> Estimate:
        return interval(float(mean_of(point[:, :, m])[0]), mean_of(drawn[:, :, m]))

    classes = tuple(
        ClassMetrics(
            name=name,
            positives=int(y[:, c].sum()),
            threshold=fixed.thresholds[c],
            brier=calibration.brier(p[:, c], y[:, c]),
            calibration_error=calibration.calibration_error(p[:, c], y[:, c]),
            true_positives=int((decided[:, c] & y[:, c]).sum()),
            false_positives=int((decided[:, c] & ~y[:, c]).sum()),
            false_negatives=int((~decided[:, c] & y[:, c]).sum()),
            true_negatives=int((~decided[:, c] & ~y[:, c]).sum()),
            **{m: interval(float(point[0, c, i]), drawn[:, c, i]) for i, m in enumerate(_NAMES)},
        )
        for c, name in enumerate(names)
    )
    return {
        "macro_auroc": macro(0),
        "macro_f1": macro(1),
        "macro_auprc": macro(4),
        "micro_auroc": _micro(p, y),
        "classes": classes,
        "brier": _mean([x.brier for x in classes]),
        "calibration_error": _mean([x.calibration_error for x in classes]),
        "reliability": calibration.reliability(p.ravel(), y.ravel()),
        "confusion": _confusion(p, y) if task is Task.SINGLE_LABEL else (),
        "set_size": _set_size(p, fixed.conformal, task),
    }


_NAMES = (
    "auroc",
    "f1",
    "sensitivity",
    "specificity",
    "auprc",
    "specificity_at_90_sensitivity",
    "sensitivity_at_90_specificity",
)


def decisions(p: Floats, fixed: Fixed, task: Task) -> Bits:
    """What is said to hold: all at or above their thresholds, or of a single label the most probable."""
    if task is Task.SINGLE_LABEL:
        return np.eye(p.shape[1], dtype=np.bool_)[p.argmax(axis=1)]
    return np.asarray(p >= np.array(fixed.thresholds), np.bool_)


def _at(
    metric: Callable[[Bits, Bits, Floats], Floats],
    thresholds: Sequence[float],
    p: Floats,
    y: Bits,
    c: int,
    weights: Floats,
) -> Floats:
    return metric(p[:, c] >= thresholds[c], y[:, c], weights) if thresholds else np.full(len(weights), np.nan)


def _covered(scores: Scores, fixed: Fixed, task: Task) -> Measure | None:
    if fixed.conformal is None:
        return None
    covered = conformal.covered(scores, fixed.conformal, task)
    return lambda weights: _weighted_mean(covered, weights)


def _set_size(p: Floats, fitted: Conformal | None, task: Task) -> float | None:
    if fitted is None or not len(p):
        return None
    may, may_not = sets(p, fitted, task)
    sized = may if task is Task.SINGLE_LABEL else may == may_not
    return float(sized.sum(axis=1).mean())


def _micro(p: Floats, y: Bits) -> Estimate:
    """Without an interval: draws over all pairs of recording and class would take as long as all the rest."""
    value = float(metrics.auroc(p.ravel(), y.ravel(), np.ones((1, p.size)))[0]) if p.size else float("nan")
    return interval(value, np.empty(0))


def _confusion(p: Floats, y: Bits) -> tuple[int, ...]:
    classes = p.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (y.argmax(axis=1), p.argmax(axis=1)), 1)
    return tuple(counts.ravel().tolist())


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [x for x in values if x is not None]
    return float(np.mean(defined)) if defined else None


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    known = ~np.isnan(values)
    total = weights @ known
    sums = weights @ np.where(known, values, 0.0)
    return np.divide(sums, total, out=np.full(len(weights), np.nan), where=total > 0)
