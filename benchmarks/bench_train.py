"""The trainer against a bare PyTorch loop on tensors in memory: samples a second, as ratios in one run.

Each figure is the median of three rounds, each in a process of its own, taken in turns so that a change of
the machine's load meets all alike. `bare` is the shortest loop that trains the same network with the same
optimiser on float32 windows in memory; `ours` is the trainer's own loop on shards, with augmentations, moving
average, gradient clipping and checkpoints; `ranks` are two processes of one thread (gloo) against one of one
thread. With --bf16, or on a GPU, bfloat16 and compilation are measured as well: on a CPU it pays where the
processor has matrix units and the network is made of matrix products. Prints JSON.

    python -m benchmarks.bench_train [--architecture NAME] [--bf16]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.about import about
from exchangeai.dataset import PARTS, decode_manifest, open_part
from exchangeai.facts import Precision, Task, TrainingOptions
from exchangeai.testing.datasets import write_dataset
from services.trainer import batches, network, objective
from services.trainer.job import Job
from services.trainer.loop import train
from services.trainer.ranks import joined

ROUNDS = 3
WINDOWS = 512
BATCH = 32
DATASET = "be" * 32


def main() -> None:
    """Measure all, or be one measurement's process."""
    parser = argparse.ArgumentParser(prog="bench_train", description=__doc__)
    parser.add_argument("--architecture", default="xresnet1d-18")
    parser.add_argument("--bf16", action="store_true", help="measure bfloat16 and compilation too")
    parser.add_argument("--mode", default="", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.mode:
        measured = (_bare if chosen.mode.startswith("bare") else _ours)(chosen)
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(measured), flush=True)
        return
    modes = {"bare": 1, "ours": 1, "ours-one-thread": 1, "ours-ranks": 2}
    if torch.cuda.is_available() or chosen.bf16:
        modes = {"bare": 1, "ours": 1, "bare-bf16": 1, "ours-bf16": 1, "ours-bf16-compile": 1}
    with tempfile.TemporaryDirectory(prefix="exchangeai-bench-") as folder:
        write_dataset(Path(folder), DATASET, counts=(WINDOWS, 32, 32))
        found: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
        for _ in range(ROUNDS):
            for mode, processes in modes.items():
                found[mode].append(_child(mode, processes, Path(folder), chosen.architecture))
    middle = {m: {k: statistics.median(x[k] for x in xs) for k in xs[0]} for m, xs in found.items()}
    rates = {m: x["samples_per_s"] for m, x in middle.items()}
    result = {
        "benchmark": "train",
        **about(),
        "command": f"python -m benchmarks.bench_train --architecture {chosen.architecture}"
        + " --bf16" * chosen.bf16,
        "median": middle,
        "ours_to_bare": rates["ours"] / rates["bare"],
    }
    if "ours-ranks" in rates:
        result["two_ranks_to_one"] = rates["ours-ranks"] / rates["ours-one-thread"]
    if "ours-bf16" in rates:
        result["bf16_to_bare"] = rates["ours-bf16"] / rates["bare"]
        result["bf16_compiled_to_bare"] = rates["ours-bf16-compile"] / rates["bare"]
    print(json.dumps(result, indent=2))


def _child(mode: str, processes: int, data: Path, architecture: str) -> dict[str, float]:
    narrow = processes > 1 or "one-thread" in mode
    threads = 1 if narrow else len(os.sched_getaffinity(0))
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command += ["benchmarks.bench_train", "--mode", mode, "--data", str(data), "--architecture", architecture]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _bare(chosen: argparse.Namespace) -> dict[str, float]:
    device = _device()
    part = open_part(chosen.data, decode_manifest((chosen.data / "manifest.json").read_bytes()), "train")
    x_NLT = torch.from_numpy(part.millivolts(slice(None))).to(device)
    y_NC = torch.from_numpy(part.labels.astype("float32")).to(device)
    net = network.build(chosen.architecture, y_NC.shape[1]).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    halves = "bf16" in chosen.mode

    def epoch() -> None:
        order = torch.randperm(len(x_NLT), device=device)
        for rows in order.split(BATCH):
            with torch.autocast(device.type, torch.bfloat16, enabled=halves):
                loss = F.binary_cross_entropy_with_logits(net(x_NLT[rows])[0].float(), y_NC[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _wait_for_device()

    epoch()
    begun_s = time.perf_counter()
    epoch()
    epoch()
    return _measured(2 * len(x_NLT) / (time.perf_counter() - begun_s), 0.0)


class _Timed:
    """The loader, with a watch on how long the loop waits for it."""

    def __init__(self, *given: Any) -> None:
        self._loader = _LOADER(*given)

    def epoch(self, epoch: int, first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """As the loader's; epochs after the first are measured from their first batch to their end."""
        waited_s = 0.0
        begun_s = asked_s = time.perf_counter()
        for batch in self._loader.epoch(epoch, first_step):
            waited_s += time.perf_counter() - asked_s
            yield batch
            asked_s = time.perf_counter()
        _wait_for_device()
        _EPOCHS.append((time.perf_counter() - begun_s, waited_s))


_LOADER = batches.Loader
_EPOCHS: list[tuple[float, float]] = []


def _ours(chosen: argparse.Namespace) -> dict[str, float]:
    manifest = decode_manifest((chosen.data / "manifest.json").read_bytes())
    parts = {p: open_part(chosen.data, manifest, p) for p in PARTS}
    options = TrainingOptions(
        max_epochs=3,
        patience=3,
        batch_size=BATCH,
        learning_rate=1e-3,
        precision=Precision.BFLOAT16 if "bf16" in chosen.mode else Precision.FLOAT32,
        compile="compile" in chosen.mode,
    )
    job = Job(
        run_id="bench",
        model_name="bench",
        dataset_id=DATASET,
        data_folder=chosen.data,
        architecture=chosen.architecture,
        task=Task.MULTI_LABEL,
        classes=manifest.classes,
        options=options,
    )
    batches.Loader = _Timed  # the loop finds it by name
    learned = objective.fit(parts["train"].labels, job.task, weigh=False, label_smoothing=0.0)
    with joined() as ranks:
        train(
            job,
            parts,
            learned,
            ranks,
            fresh=lambda: network.build(job.architecture, len(job.classes)),
            resumed=None,
            save=lambda made: None,
            stop=lambda: False,
            tell=lambda report: None,
        )
    took_s, waited_s = (sum(x) for x in zip(*_EPOCHS[1:], strict=True))
    return _measured(2 * WINDOWS / took_s, waited_s / took_s)


def _measured(samples_per_s: float, waiting: float) -> dict[str, float]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"samples_per_s": samples_per_s, "loader_share": waiting, "peak_mb": peak_mb}
    if torch.cuda.is_available():
        found["peak_device_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return found


if __name__ == "__main__":
    main()
