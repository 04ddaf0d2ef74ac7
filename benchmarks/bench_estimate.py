"""What the page says a run will take against what it takes: preset quick, on the demo's data.

For each architecture the estimate is asked for as the page does (a few steps, measured in a process of its
own), then the run is trained to its end as the service trains it. `end_to_high` is the whole duration over
the upper estimate, which stands for the run without an early stop; `epochs_to_low` what its median epoch
makes of all epochs over the lower estimate, which is of the epochs alone. The load of the machine before and
after each is told beside it. Prints JSON.

    python -m benchmarks.bench_estimate [--architectures A,B] [--cores N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.about import about
from benchmarks.training_runs import demo_dataset, train
from exchangeai.facts import DatasetFact, TrainingOptions
from services.trainer import network
from services.trainer.estimate import Estimator, this_machine
from services.trainer.presets import PresetName, presets


def main() -> None:
    """Estimate and train each."""
    parser = argparse.ArgumentParser(prog="bench_estimate", description=__doc__)
    parser.add_argument("--architectures", default="tiny_cnn,xresnet1d")
    parser.add_argument("--cores", type=int, default=0, help="that a run may use (default: all)")
    chosen = parser.parse_args()
    cores = this_machine(chosen.cores)
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as made:
        folder = Path(made)
        dataset = demo_dataset(folder / "data")
        found = [_one(x, dataset, folder, cores) for x in chosen.architectures.split(",")]
    told = {
        "benchmark": "estimate",
        **about(),
        "command": f"python -m benchmarks.bench_estimate --architectures {chosen.architectures} "
        f"--cores {cores}",
        "recordings": {p.part: p.recordings for p in dataset.parts},
        "runs": found,
    }
    print(json.dumps(told, indent=2))


def _one(architecture: str, dataset: DatasetFact, folder: Path, cores: int) -> dict[str, Any]:
    recordings = next(p.recordings for p in dataset.parts if p.part == "train")
    rate = network.learning_rate(architecture, TrainingOptions().learning_rate)
    options = next(
        x.options for x in presets(rate, recordings, from_base=False) if x.name is PresetName.QUICK
    )
    load_before = os.getloadavg()[0]
    estimator = Estimator(os.environ, cores=cores, here=True)
    asked_s = time.monotonic()
    estimate = asyncio.run(estimator.estimate(architecture, dataset, options))
    answered_s = time.monotonic() - asked_s
    ended = train(folder / "data", folder / architecture, architecture, options, cores)
    epoch_s = statistics.median(ended.epochs_s)
    return {
        "architecture": architecture,
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "estimate_low_s": estimate.low_s,
        "estimate_high_s": estimate.high_s,
        "estimate_took_s": answered_s,
        "measured_from": estimate.measured_from,
        "took_s": ended.took_s,
        "epochs": len(ended.epochs_s),
        "most_epochs": options.max_epochs,
        "training_s": sum(ended.epochs_s),
        "median_epoch_s": epoch_s,
        "end_to_high": ended.took_s / estimate.high_s,
        "epochs_to_low": epoch_s * options.max_epochs / estimate.low_s,
        "within": estimate.low_s <= ended.took_s <= estimate.high_s,
    }


if __name__ == "__main__":
    main()
