"""The leaderboard of a comparison: which architecture did best on validation, and what that is worth.

Shapes: D draws, N recordings, C classes.

The ranking is made on validation alone. The test part was looked at by every run, and is reported beside it:
an architecture chosen by its test score would have that score too high.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exchangeai.comparisons import ComparisonRow, LabelEfficiencyPoint, PartScores, PlannedRun
from exchangeai.errors import ContractViolation
from exchangeai.facts import RunFact, RunState, Task
from exchangeai.metrics import Estimate
from services.trainer.architectures import Architecture
from services.trainer.evaluation import calibration, metrics
from services.trainer.evaluation.intervals import interval, mean_of, overall
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Scores
from services.trainer.evaluation.report import Fixed, decisions
from services.trainer.scores import PartDraws, RunScores


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of a comparison that has ended."""

    planned: PlannedRun
    run: RunFact
    scores: RunScores | None
    """None unless it succeeded."""


def score_name(task: Task) -> str:
    """What is compared: `macro_auroc`, or in regression `error`, of which less is better."""
    return "error" if task is Task.REGRESSION else "macro_auroc"


def leaderboard(
    entries: Sequence[Entry],
    task: Task,
    architectures: Mapping[str, Architecture],
) -> tuple[ComparisonRow, ...]:
    """One row an architecture, best first; those of which no run with all labels succeeded come last.

    An architecture's score is the mean over its seeds of the score of each run, not the score of their mean
    probabilities: it tells what one run of it may be expected to give, where an ensemble would tell more.
    Intervals are over patients (bootstrap, 95 %), each draw taking the same patients for all seeds and all
    architectures; `seed_deviation` tells of the seeds. Differences are not corrected for how many there are.
    Raises ContractViolation when runs were not judged on the same recordings.
    """
    _check_same(entries)
    named = dict.fromkeys(x.planned.architecture for x in entries)
    contenders = [_contender(name, entries, task) for name in named]
    ranked = sorted((x for x in contenders if x.validation is not None), key=lambda x: x.order(task))
    best = ranked[0] if ranked else None
    rows = [
        _row(x, place, best, entries, task, architectures.get(x.name))
        for place, x in enumerate(ranked, start=1)
    ]
    rows += [
        _row(x, 0, None, entries, task, architectures.get(x.name)) for x in contenders if x.validation is None
    ]
    return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A mean over seeds: on all recordings, and for each draw."""

    point: float
    draws: Floats
    each: tuple[float, ...]
    """Of each seed."""

    @property
    def estimate(self) -> Estimate:
        return interval(self.point, self.draws)

    @property
    def seed_deviation(self) -> float | None:
        return statistics.stdev(self.each) if len(self.each) > 1 else None

    def less(self, other: _Drawn) -> Estimate:
        return interval(self.point - other.point, self.draws - other.draws)


@dataclass(frozen=True, kw_only=True)
class _Contender:
    name: str
    validation: _Drawn | None
    test: _Drawn | None

    def order(self, task: Task) -> tuple[bool, float]:
        """Smaller is better; what has no score comes last."""
        point = self.validation.point if self.validation else np.nan
        return bool(np.isnan(point)), point if task is Task.REGRESSION else -point


def _contender(name: str, entries: Sequence[Entry], task: Task) -> _Contender:
    return _Contender(
        name=name,
        validation=_over_seeds(_kept(entries, name, 1.0, "validation"), task),
        test=_over_seeds(_kept(entries, name, 1.0, "test"), task),
    )


def _kept(entries: Sequence[Entry], name: str, share: float, part: str) -> list[PartDraws]:
    held = [x.scores for x in _of(entries, name, share) if x.scores is not None]
    found = [x.validation if part == "validation" else x.test for x in held]
    return [x for x in found if x is not None]


def _of(entries: Sequence[Entry], name: str, share: float) -> list[Entry]:
    return [x for x in entries if x.planned.architecture == name and x.planned.label_share == share]


def _over_seeds(kept: Sequence[PartDraws], task: Task) -> _Drawn | None:
    if not kept:
        return None
    ones = np.ones((1, len(kept[0].scores.patients)))
    each = tuple(float(overall(x.scores, task)(ones)[0]) for x in kept)
    return _Drawn(point=float(np.mean(each)), draws=np.mean([x.draws for x in kept], axis=0), each=each)


def _row(
    contender: _Contender,
    place: int,
    best: _Contender | None,
    entries: Sequence[Entry],
    task: Task,
    architecture: Architecture | None,
) -> ComparisonRow:
    whole = _of(entries, contender.name, 1.0)
    done = [x.run for x in whole if x.scores is not None]
    lost = [x.run for x in whole if x.scores is None]
    row = ComparisonRow(
        rank=place,
        architecture=contender.name,
        succeeded=len(done),
        failed=len(lost),
        error=next((_why(x) for x in lost), ""),
        parameters=architecture.parameters if architecture else 0,
        gflops=architecture.gflops if architecture else 0.0,
        label_efficiency=_efficiency(contender, entries, task),
    )
    if best is None or contender.validation is None or best.validation is None:
        return row
    fixed = [x.scores.thresholds for x in whole if x.scores is not None]
    test = None
    if contender.test is not None:
        against = best.test or contender.test
        held = [x.scores for x in _kept(entries, contender.name, 1.0, "test")]
        test = _part_scores(contender.test, against, held, fixed, task)
    held = [x.scores for x in _kept(entries, contender.name, 1.0, "validation")]
    return replace(
        row,
        validation=_part_scores(contender.validation, best.validation, held, fixed, task),
        test=test,
        inference_ms=statistics.median(x.inference_ms for x in done),
        training_s=statistics.fmean(sum(e.seconds for e in x.epochs) for x in done),
    )


def _why(run: RunFact) -> str:
    return run.error or ("it was cancelled" if run.state is RunState.CANCELLED else "it did not end")


def _part_scores(
    drawn: _Drawn,
    best: _Drawn,
    held: Sequence[Scores],
    thresholds: Sequence[tuple[float, ...]],
    task: Task,
) -> PartScores:
    difference = drawn.less(best)
    low, high = difference.low, difference.high
    told = PartScores(
        score=drawn.estimate,
        seed_deviation=drawn.seed_deviation,
        difference=difference,
        # Where no interval can be drawn, no difference has been shown.
        indistinguishable=low is None or high is None or low <= 0 <= high,
        recordings=len(held[0].recordings),
        patients=len(set(held[0].patients)),
    )
    if task is Task.REGRESSION:
        return told
    each = [_classified(x, t, task) for x, t in zip(held, thresholds, strict=True)]
    auprc, f1, brier, error = (_mean(x) for x in zip(*each, strict=True))
    return replace(told, macro_auprc=auprc, macro_f1=f1, brier=brier, calibration_error=error)


def _classified(
    scores: Scores, thresholds: tuple[float, ...], task: Task
) -> tuple[float | None, float | None, float | None, float | None]:
    """(macro-AUPRC, macro-F1, Brier score, calibration error) of one run; None where not defined."""
    p, y = scores.probabilities, scores.labels
    said = decisions(p, Fixed(thresholds=thresholds), task)
    ones = np.ones((1, len(p)))
    classes = range(p.shape[1])

    def macro(values: Sequence[Floats]) -> float | None:
        return _mean(mean_of(np.stack(values, axis=1)).tolist())

    return (
        macro([metrics.average_precision(p[:, c], y[:, c], ones) for c in classes]),
        macro([metrics.f1(said[:, c], y[:, c], ones) for c in classes]),
        _mean([calibration.brier(p[:, c], y[:, c]) for c in classes]),
        _mean([calibration.calibration_error(p[:, c], y[:, c]) for c in classes]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [x for x in values if x is not None and not np.isnan(x)]
    return statistics.fmean(defined) if defined else None


def _efficiency(
    contender: _Contender, entries: Sequence[Entry], task: Task
) -> tuple[LabelEfficiencyPoint, ...]:
    shares = sorted({x.planned.label_share for x in entries})
    if len(shares) < 2:
        return ()
    points: list[LabelEfficiencyPoint] = []
    for share in shares:
        held = [x.scores for x in _of(entries, contender.name, share) if x.scores is not None]
        validation = _over_seeds([x.validation for x in held], task)
        test = _over_seeds([x.test for x in held if x.test is not None], task)
        points.append(
            LabelEfficiencyPoint(
                label_share=share,
                recordings=statistics.fmean(x.recordings for x in held) if held else 0.0,
                patients=held[0].patients if held else 0,
                succeeded=len(held),
                validation=validation.estimate if validation else Estimate(),
                seed_deviation=validation.seed_deviation if validation else None,
                test=test.estimate if test else None,
            )
        )
    return tuple(points)


def _check_same(entries: Sequence[Entry]) -> None:
    held = [x.scores for x in entries if x.scores is not None]
    for part in ("validation", "test"):
        parts = [x.validation if part == "validation" else x.test for x in held]
        known = [
            None if x is None else (list(x.scores.recordings), list(x.scores.patients), len(x.draws))
            for x in parts
        ]
        if any(x != known[0] for x in known):
            raise ContractViolation(
                f"the runs were judged on different recordings of the {part} part; train them again"
            )
