"""Fit and measure the quality index: `python -m benchmarks.accuracy_quality`.

CinC 2011 (240 graded records): the logistic regression of `exchangeai.signal.acceptability` is fitted here
and judged by stratified 10-fold cross-validation, 50 times over, by record (the set does not tell patients).
Then the verdicts of what is shipped, on CinC 2011, on LUDB and on 1,000 records of PTB-XL, the pacing spikes
in LUDB, and the time of one 12-lead ECG. `EXCHANGEAI_DATA` is the folder with the sets.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.quality_data import DATA, load_signals, read_rows, recordings, to_12_leads
from exchangeai.measurements import Quality, Verdict
from exchangeai.recording import Recording
from exchangeai.signal import assess, standardise
from exchangeai.signal.acceptability import COEFFICIENTS, FEATURES, INTERCEPT, features
from exchangeai.signal.survey import INDEPENDENT, survey

Floats = npt.NDArray[np.float64]

RIDGE = 1.0
"""On standardised features: what four coefficients and 240 records need not to run away."""
REPEATS = 50
FOLDS = 10
ACCEPTABLE_IN_SET_A = 773 / 998
"""The share among all records of set A; here there are more unacceptable ones."""


def seen_features(recording: Recording) -> Floats:
    """The features of one recording."""
    seen = survey(recording)
    if seen is None:
        raise ValueError("a record without any signal")
    return np.array(features(seen.seconds.of(INDEPENDENT)))


def fit(x: Floats, unacceptable: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Coefficients and intercept of a ridge logistic regression (Newton), for features as they come."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    ridge = np.diag([*[RIDGE] * x.shape[1], 0.0])
    w = np.zeros(z.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-z @ w))
        w -= np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + ridge, z.T @ (p - unacceptable) + ridge @ w)
    weights = w[:-1] / scale
    return weights, float(w[-1] - weights @ mean)


def cross_validated(x: Floats, unacceptable: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.bool_]:
    """Which records those call unacceptable that were fitted without them."""
    fold = np.empty(len(x), np.int64)
    rng = np.random.default_rng(seed)
    for kind in (False, True):
        rows = rng.permutation(np.flatnonzero(unacceptable == kind))
        fold[rows] = np.arange(rows.size) % FOLDS
    called = np.empty(len(x), np.bool_)
    for k in range(FOLDS):
        weights, intercept = fit(x[fold != k], unacceptable[fold != k])
        called[fold == k] = x[fold == k] @ weights + intercept > 0
    return called


def rates(called: npt.NDArray[np.bool_], unacceptable: npt.NDArray[np.bool_]) -> Floats:
    """Accuracy, share of unacceptable records found, share of acceptable ones kept, accuracy at the share of
    set A."""
    found, kept = called[unacceptable].mean(), (~called[~unacceptable]).mean()
    return np.array(
        [
            (called == unacceptable).mean(),
            found,
            kept,
            found * (1 - ACCEPTABLE_IN_SET_A) + kept * ACCEPTABLE_IN_SET_A,
        ]
    )


def line(name: str, values: Floats) -> str:
    """A row of the table of rates."""
    return f"| {name} | " + " | ".join(f"{x:.3f}" for x in values) + " |"


def verdicts(name: str, judged: Sequence[Quality]) -> str:
    """A row of the table of verdicts."""
    n = len(judged)
    count = Counter(x.verdict for x in judged)
    poor = sum((x.acceptable_probability or 0) < 0.5 for x in judged)
    shares = [count[v] / n for v in (Verdict.ANALYSABLE, Verdict.LIMITED, Verdict.NOT_ANALYSABLE)]
    return f"| {name} | {n} | " + " | ".join(f"{x:.1%}" for x in shares) + f" | {poor / n:.1%} |"


def judge(ecgs: Sequence[Recording]) -> list[Quality]:
    """What the platform says."""
    return [assess(x, standardise(x)) for x in ecgs]


def main() -> None:
    """Print the tables."""
    print(about())
    rows = read_rows("cinc2011-quality-500hz")
    bad = np.array([x["quality"] == "unacceptable" for x in rows])
    cinc = recordings(
        to_12_leads(load_signals(DATA / "cinc2011-quality-500hz/signals.npy.xz")),
        500.0,
    )
    x = np.stack([seen_features(ecg) for ecg in cinc])
    runs = np.stack([rates(cross_validated(x, bad, seed), bad) for seed in range(REPEATS)])
    weights, intercept = fit(x, bad)
    fitted = dict(zip(FEATURES, weights.round(2).tolist(), strict=True))
    print(f"\nfitted on all: {fitted}, intercept {intercept:.2f}")
    print(f"shipped:       {dict(zip(FEATURES, COEFFICIENTS, strict=True))}, intercept {INTERCEPT}\n")
    shipped = judge(cinc)
    print("| CinC 2011 | accuracy | unacceptable found | acceptable kept | accuracy at 77 % acceptable |")
    print("|---|---|---|---|---|")
    print(line(f"cross-validated, mean of {REPEATS}", runs.mean(0)))
    print(line("its standard deviation", runs.std(0)))
    print(line("flat or missing lead alone", rates(x[:, 0] > 0, bad)))
    poor = np.array([(q.acceptable_probability or 0) < 0.5 for q in shipped])
    print(line("shipped (has seen them), by acceptable_probability", rates(poor, bad)))
    limited = np.array([q.verdict is not Verdict.ANALYSABLE for q in shipped])
    print(line("shipped (has seen them), by verdict", rates(limited, bad)))

    ludb_rows = read_rows("ludb-500hz")
    ludb = judge(recordings(load_signals(DATA / "ludb-500hz/signals.npy.xz"), 500.0))
    rng = np.random.default_rng(2011)
    folds = [to_12_leads(load_signals(DATA / f"ptbxl-100hz/fold{f:02d}.npy.xz")) for f in (8, 9)]
    every = np.concatenate(folds)
    chosen = every[rng.choice(len(every), 1000, replace=False)]
    ptbxl = judge(recordings(chosen, 100.0))
    print("\n| set | records | analysable | limited | not analysable | probability below 0.5 |")
    print("|---|---|---|---|---|---|")
    print(verdicts("CinC 2011, acceptable", [q for q, b in zip(shipped, bad, strict=True) if not b]))
    print(verdicts("CinC 2011, unacceptable", [q for q, b in zip(shipped, bad, strict=True) if b]))
    print(verdicts("LUDB", ludb))
    print(verdicts("PTB-XL, random of folds 8 and 9", ptbxl))
    for name, judged in (("LUDB", ludb), ("PTB-XL", ptbxl)):
        flags = Counter(f for q in judged for f in {*q.flags, *(f for lead in q.leads for f in lead.flags)})
        print(f"\nrecords of {name} with a flag: {dict(flags.most_common())}")
        reasons = Counter(q.reasons[0] for q in judged if q.verdict is Verdict.NOT_ANALYSABLE)
        print(f"not analysable there: {dict(reasons)}")

    paced = np.array(["pacing" in r["findings"] or "P-synchrony" in r["findings"] for r in ludb_rows])
    spikes = np.array(["pacing_spikes" in q.flags for q in ludb])
    print(
        f"\nLUDB pacing: {spikes[paced].sum()} of {paced.sum()} paced, {spikes[~paced].sum()} of "
        f"{(~paced).sum()} others flagged"
    )

    windows = [standardise(ecg) for ecg in cinc[:100]]
    took: list[float] = []
    for _ in range(5):
        start = time.process_time()
        for ecg, w in zip(cinc[:100], windows, strict=True):
            assess(ecg, w)
        took.append((time.process_time() - start) * 10)
    print(f"\nassess, 12 leads, 10 s, 500 Hz: {min(took):.3f} ms of CPU a record (best of 5 rounds of 100)")


if __name__ == "__main__":
    main()
