"""Fit and measure the detection of exchanged electrodes: `python -m benchmarks.accuracy_reversal [--write]`.

Real ECGs of PTB-XL (100 Hz, folds 1-9) are taken as correct, and every exchange is worked out from their
leads. The folds, in which no patient is twice, are cut into three parts; each is judged by what was fitted on
the other two. LUDB (500 Hz) is judged by what was fitted on all of PTB-XL. `--write` fits on all and writes
the weights. `EXCHANGEAI_DATA` is the folder with `ptbxl-100hz` and `ludb-500hz`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.quality_data import DATA, load_signals
from exchangeai.signal import reversal
from exchangeai.signal.blocks import blocks_of
from exchangeai.signal.lead_seconds import relative_movement
from exchangeai.signal.reversal import (
    Exchange,
    Weights,
    beat_features,
    exchange_matrix,
    exchanged_electrodes,
)
from exchangeai.signal.typical_beat import beat_blocks, typical_beat

Floats = npt.NDArray[np.float32]

EXCHANGES = (
    ("RA", "LA"), ("RA", "LL"), ("LA", "LL"), ("RA", "LA", "LL"), ("RA", "LL", "LA"), ("RA", "RL"), ("LA",
    "RL"), ("V1", "V2"), ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"), ("V1", "V3"),
)  # fmt: skip
SPECIFICITY = {"limb": 0.9995, "chest": 0.9985}
"""Of each exchange by itself, on records that were not fitted: together they leave about 99 %."""
RIDGE = 1.0
PARTS = ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def typical_beats(signals: Floats, rate_hz: float) -> Floats:
    """[n, 8, 37] of [n, 8, samples] as `assess` sees them; zeros where there are fewer than three beats."""
    beats = np.zeros((len(signals), 8, reversal.LENGTH), np.float32)
    for i, x in enumerate(signals):
        blocks = blocks_of(x, rate_hz)
        found = typical_beat(blocks, beat_blocks(relative_movement(blocks), np.ones(8, np.bool_)), range(8))
        if found is not None:
            beats[i] = found
    return beats


def fit(
    correct: npt.NDArray[np.float64], exchanged: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """Weights and offset of a ridge logistic regression by Newton's method, on features as they come."""
    x = np.concatenate([correct, exchanged])
    y = np.repeat([0.0, 1.0], [len(correct), len(exchanged)])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    ridge = np.diag([*[RIDGE] * (x.shape[1] - 1), 1e-6])
    w = np.zeros(x.shape[1])

    def loss(w: npt.NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, (1 - 2 * y) * (x @ w)).sum() + w @ ridge @ w / 2)

    now = loss(w)
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, x.T @ (p - y) + ridge @ w)
        while (then := loss(w - step)) > now and np.abs(step).max() > 1e-6:
            step /= 2
        w -= step
        if now - then < 1e-3 * len(x) / 1000:
            break
        now = then
    weights = w[:-1] / scale
    return weights, float(w[-1] - weights @ mean)


def fit_all(beats: Floats) -> Weights:
    """One regression for each exchange; its scores are log odds."""
    correct = beat_features(beats)
    fitted = [fit(correct, beat_features(exchanged(beats, e))) for e in EXCHANGES]
    return Weights(
        exchanges=tuple(Exchange(electrodes=e) for e in EXCHANGES),
        weights=np.stack([w for w, _ in fitted]),
        offsets=np.array([b for _, b in fitted]),
    )


def exchanged(beats: Floats, electrodes: tuple[str, ...]) -> Floats:
    """The beats as they would have been recorded."""
    return np.einsum("ij,njt->nit", exchange_matrix(electrodes), beats)


def thresholds(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores that so few correct records reach, [exchanges]."""
    kinds = ["chest" if e[0][0] == "V" else "limb" for e in EXCHANGES]
    return np.array([np.quantile(scores[:, i], SPECIFICITY[k]) for i, k in enumerate(kinds)])


def judged(beats: Floats, weights: Weights) -> list[Exchange | None]:
    """What is said to be exchanged."""
    flagged = weights.scores(beats).max(1) > 0
    return [
        exchanged_electrodes(beat, 50.0, weights) if worth else None
        for beat, worth in zip(beats, flagged, strict=True)
    ]


def refused(answers: list[Exchange | None]) -> float:
    """Share of records that are not analysable for it."""
    return sum(x is not None and x.misleads and x.probable for x in answers) / len(answers)


def table(parts: list[tuple[Floats, Weights]]) -> str:
    """Markdown, of held-out beats with the weights that judge them."""
    correct = [x for beats, weights in parts for x in judged(beats, weights)]
    limb = sum(x is not None and x.of_limbs for x in correct)
    turned = sum(x is not None and x.misleads for x in correct)
    lines = [
        f"{len(correct)} correct records: {correct.count(None) / len(correct):.2%} without any flag, "
        f"{1 - limb / len(correct):.2%} without one of the limbs, "
        f"{1 - turned / len(correct):.2%} without one that turns the frontal plane, "
        f"{refused(correct):.2%} refused\n",
        "| exchanged | flagged (sensitivity) | named rightly | refused | correct records flagged so |",
        "|---|---|---|---|---|",
    ]
    for e in EXCHANGES:
        answers = [x for beats, weights in parts for x in judged(exchanged(beats, e), weights)]
        n = len(answers)
        rightly = sum(x is not None and x.electrodes == e for x in answers)
        wrongly = sum(x is not None and x.electrodes == e for x in correct)
        lines.append(
            f"| {'-'.join(e)} | {1 - answers.count(None) / n:.1%} | {rightly / n:.1%} "
            f"| {refused(answers):.1%} | {wrongly / len(correct):.2%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables; with --write also write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    beats = [
        np.concatenate(
            [typical_beats(load_signals(DATA / f"ptbxl-100hz/fold{f:02d}.npy.xz"), 100.0) for f in part]
        )
        for part in PARTS
    ]
    ludb = typical_beats(load_signals(DATA / "ludb-500hz/signals.npy.xz")[:, [0, 1, *range(6, 12)]], 500.0)
    print(about())
    fitted = [fit_all(np.concatenate([x for j, x in enumerate(beats) if j != i])) for i in range(len(PARTS))]
    unseen = [weights.scores(x) for x, weights in zip(beats, fitted, strict=True)]
    parts = [
        (x, with_thresholds(weights, np.concatenate([s for j, s in enumerate(unseen) if j != i])))
        for i, (x, weights) in enumerate(zip(beats, fitted, strict=True))
    ]
    print("\n## PTB-XL, each third by the other two (thresholds too)\n")
    print(table(parts))
    final = with_thresholds(fit_all(np.concatenate(beats)), np.concatenate(unseen))
    print("\n## LUDB, by all of PTB-XL\n")
    print(table([(ludb, final)]))
    if arguments.write:
        write(final)


def with_thresholds(weights: Weights, scores_of_correct: npt.NDArray[np.float64]) -> Weights:
    """The same with 0 where the score of an exchange is to be flagged."""
    return replace(weights, offsets=weights.offsets - thresholds(scores_of_correct))


def write(weights: Weights) -> None:
    """Beside the module that reads them."""
    stored = [
        {"electrodes": x.electrodes, "offset": round(float(b), 4), "weights": [float(f"{v:.4g}") for v in w]}
        for x, b, w in zip(weights.exchanges, weights.offsets, weights.weights, strict=True)
    ]
    lines = ",\n".join(json.dumps(x) for x in stored)
    Path(reversal.__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
