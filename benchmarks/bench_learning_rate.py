"""What the search for a learning rate is worth: a stated rate against the found one, on the demo's data.

For each seed two runs of preset quick that differ only in how they come to their peak rate; the stated one is
the architecture's default, unless told. `difference` is the found rate's macro-AUROC on the test part less
the stated one's, means over seeds, with the paired bootstrap over patients: each draw takes the same patients
for all runs. `extra_s` is what the runs with a search took longer (median). Prints JSON.

    python -m benchmarks.bench_learning_rate [--architecture NAME] [--seeds 0,1,2] [--rate X] [--cores N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.about import about
from benchmarks.training_runs import Ended, demo_dataset, train
from exchangeai.facts import TrainingOptions
from services.trainer import network
from services.trainer.estimate import this_machine
from services.trainer.evaluation.intervals import interval
from services.trainer.presets import PresetName, presets
from services.trainer.scores import SCORES_FILE, PartDraws, read_scores

WAYS = STATED, FOUND = "stated", "found"


def main() -> None:
    """Train both ways with every seed."""
    parser = argparse.ArgumentParser(prog="bench_learning_rate", description=__doc__)
    parser.add_argument("--architecture", default="tiny_cnn")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rate", type=float, help="stated (default: the architecture's)")
    parser.add_argument("--cores", type=int, default=0, help="that a run may use (default: all)")
    chosen = parser.parse_args()
    cores, seeds = this_machine(chosen.cores), [int(x) for x in chosen.seeds.split(",")]
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as made:
        folder = Path(made)
        dataset = demo_dataset(folder / "data")
        recordings = next(p.recordings for p in dataset.parts if p.part == "train")
        usual = chosen.rate or network.learning_rate(chosen.architecture, TrainingOptions().learning_rate)
        options = next(
            x.options for x in presets(usual, recordings, from_base=False) if x.name is PresetName.QUICK
        )
        ended: dict[str, list[Ended]] = {way: [] for way in WAYS}
        draws: dict[str, list[PartDraws]] = {way: [] for way in WAYS}
        for seed in seeds:
            for way in WAYS:
                run = folder / f"{way}-{seed}"
                asked = replace(options, seed=seed, find_learning_rate=way == FOUND)
                ended[way].append(train(folder / "data", run, chosen.architecture, asked, cores))
                test = read_scores((run / SCORES_FILE).read_bytes()).test
                assert test is not None
                draws[way].append(test)
    told = {
        "benchmark": "learning_rate",
        **about(),
        "command": f"python -m benchmarks.bench_learning_rate --architecture {chosen.architecture} "
        f"--seeds {chosen.seeds} --rate {usual:g} --cores {cores}",
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "epochs": options.max_epochs,
        "runs": [
            {"seed": seed, **{way: _told(ended[way][i]) for way in WAYS}} for i, seed in enumerate(seeds)
        ],
        "difference": _difference(ended, draws),
        "extra_s": statistics.median(
            x.took_s - y.took_s for x, y in zip(ended[FOUND], ended[STATED], strict=True)
        ),
    }
    print(json.dumps(told, indent=2))


def _told(run: Ended) -> dict[str, float | None]:
    return {"rate": run.rate, "macro_auroc": run.result.test.macro_auroc.value, "took_s": run.took_s}


def _difference(ended: dict[str, list[Ended]], draws: dict[str, list[PartDraws]]) -> dict[str, Any]:
    """Of the means over the seeds."""
    values = {way: [x.result.test.macro_auroc.value or np.nan for x in runs] for way, runs in ended.items()}
    point = float(np.mean(values[FOUND]) - np.mean(values[STATED]))
    each = {way: np.mean([x.draws for x in drawn], axis=0) for way, drawn in draws.items()}
    return asdict(interval(point, each[FOUND] - each[STATED]))


if __name__ == "__main__":
    main()
