"""Metrics of probabilities against labels, each weighted so that a bootstrap draw is a row of weights.

Shapes: N recordings, C classes, D draws. A draw takes patients with replacement; the weight of a
recording is how often its patient was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]

CHUNK = 128
"""Draws at once: bounds memory to a few times CHUNK x N x 8 bytes."""


def auroc(scores: Floats, positive: Bits, weights: Floats) -> Floats:
    """Area under the ROC curve for each draw, [D]; NaN where a draw lacks positives or negatives.

    `scores` [N], `positive` [N], `weights` [D, N]. Ties count half, as in the Mann-Whitney statistic
    (Hanley and McNeil 1982).
    """
    if not len(scores):
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    up = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    down = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down
    wins = (up * (below + 0.5 * down)).sum(axis=1)
    return _ratio(wins, up.sum(axis=1) * down.sum(axis=1))


def average_precision(scores: Floats, positive: Bits, weights: Floats) -> Floats:
    """Area under precision over recall in steps, for each draw, [D]; NaN where a draw lacks positives."""
    if not len(scores):
        return np.full(len(weights), np.nan)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    hits = np.cumsum(np.add.reduceat(weights[:, order] * positive[order], starts, axis=1), axis=1)
    taken = np.cumsum(np.add.reduceat(weights[:, order], starts, axis=1), axis=1)
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    return _ratio((np.diff(hits, axis=1, prepend=0.0) * precision).sum(axis=1), hits[:, -1])


def macro_auroc(scores: Floats, labels: Bits) -> float | None:
    """Mean AUROC over the classes in which it is defined, or None. `scores`, `labels` [N, C]."""
    ones = np.ones((1, len(scores)))
    each = [float(auroc(scores[:, c], labels[:, c], ones)[0]) for c in range(labels.shape[1])]
    defined = [v for v in each if not np.isnan(v)]
    return float(np.mean(defined)) if defined else None


def counts(decided: Bits, positive: Bits, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted true positives, false positives, false negatives, true negatives, each [D]."""
    return (
        weights @ (decided & positive).astype(np.float64),
        weights @ (decided & ~positive).astype(np.float64),
        weights @ (~decided & positive).astype(np.float64),
        weights @ (~decided & ~positive).astype(np.float64),
    )


def f1(decided: Bits, positive: Bits, weights: Floats) -> Floats:
    """F1 for each draw, [D]; NaN where there are neither positives nor decisions."""
    tp, fp, fn, _ = counts(decided, positive, weights)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def sensitivity(decided: Bits, positive: Bits, weights: Floats) -> Floats:
    """Share of positives decided, [D]; NaN without positives."""
    tp, _, fn, _ = counts(decided, positive, weights)
    return _ratio(tp, tp + fn)


def specificity(decided: Bits, positive: Bits, weights: Floats) -> Floats:
    """Share of negatives not decided, [D]; NaN without negatives."""
    _, fp, _, tn = counts(decided, positive, weights)
    return _ratio(tn, tn + fp)


def bootstrap_weights(patients: Sequence[str], draws: int, seed: int) -> Iterator[Floats]:
    """Weights of `draws` bootstrap draws over patients, in chunks [<= CHUNK, N]; equal for equal seeds."""
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    count = int(member.max()) + 1 if len(member) else 0
    random = np.random.default_rng(seed)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        taken = (
            random.multinomial(count, np.full(count, 1 / count), size=size) if count else np.zeros((size, 0))
        )
        yield taken[:, member].astype(np.float64)


def best_threshold(scores: Floats, positive: Bits) -> float:
    """The score from which deciding gives the greatest F1; 0.5 where there are no positives.

    It lies half-way to the next lower score, so rounding elsewhere does not flip the last recording.
    """
    total = int(positive.sum())
    if not total:
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    hits = np.cumsum(positive[order])
    values = 2 * hits / (np.arange(1, len(ordered) + 1) + total)
    last_of_tie = np.concatenate((ordered[1:] != ordered[:-1], [True]))
    values[~last_of_tie] = -1.0
    best = int(np.argmax(values))
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def threshold_of_sensitivity(scores: Floats, positive: Bits, share: float) -> float:
    """The greatest threshold from which deciding finds that share of the positives; 0.5 without positives."""
    found = np.sort(scores[positive])
    return float(found[int(np.floor((1 - share) * len(found)))]) if len(found) else 0.5


def threshold_of_specificity(scores: Floats, positive: Bits, share: float) -> float:
    """The least threshold from which deciding passes that share of the negatives; 0.5 without negatives."""
    passed = np.sort(scores[~positive])
    if not len(passed):
        return 0.5
    return float(np.nextafter(passed[min(len(passed), int(np.ceil(share * len(passed)))) - 1], np.inf))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
