"""Measures a few real training steps on synthetic windows: `python -m services.trainer.measure_steps`.

Reads a `Question` as JSON from standard input and writes an `Answer`; a process of its own, so that a network
that needs more memory than there is takes no service with it.
"""

from __future__ import annotations

import contextlib
import copy
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from exchangeai.facts import Task, TrainingOptions
from exchangeai.orphans import die_with_parent

if TYPE_CHECKING:
    import numpy as np

    from exchangeai.dataset import Part

WARM_UP = 2
MOST_STEPS = 12
FEWEST_STEPS = 3
BUDGET_S = 8.0
"""No further step is begun after this."""
EVALUATIONS = 3


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure: one rank's work."""

    architecture: str
    outputs: int
    task: Task
    batch: int
    """Windows of one rank at a step."""
    options: TrainingOptions


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    steps: int
    low_s: float
    """Of a step, lower quartile."""
    high_s: float
    """Of a step, upper quartile."""
    evaluated_s: float
    """Of judging one window."""
    start_s: float
    """Until the first step could begin."""
    peak_bytes: int
    device: str


def measure(question: Question, clock_s: Callable[[], float], begun_s: float) -> Answer:
    """Train for a few steps on noise, from shards' form to the moving average; loads torch."""
    import numpy as np
    import torch

    from services.trainer import batches, network
    from services.trainer.loop import EVALUATION_BATCH, training_step
    from services.trainer.objective import fit
    from services.trainer.optimise import Average, optimiser
    from services.trainer.ranks import joined
    from services.trainer.tensors import compiled, seed_all

    options, random = question.options, np.random.default_rng(0)
    with joined() as ranks:
        seed_all(0)
        net = network.build(question.architecture, question.outputs, options.method).to(ranks.device)
        part = _noise(question, random)
        both = (
            part.labels
            if question.task is Task.REGRESSION
            else np.concatenate([part.labels, 1 - part.labels])
        )
        objective = fit(both, question.task, weigh=options.class_weights, label_smoothing=0.0)
        order = batches.Order([len(part)], question.batch, 1, 0)
        loaded = batches.Loader(part, objective, options, order, 0).epoch(1, 0)
        optimizer = optimiser(net, options, from_base=False)
        average = Average(copy.deepcopy(net), net, options.average)
        trained = compiled(net) if options.compile else net
        trained.train()
        taken: list[float] = []

        def timed(act: Callable[[], object]) -> float:
            at_s = clock_s()
            act()
            if ranks.device.type == "cuda":
                torch.cuda.synchronize()
            return clock_s() - at_s

        def train_once() -> None:
            training_step(trained, objective, options, ranks, optimizer, *next(loaded))
            average.follow(len(taken) + 1)

        def judge() -> None:
            network.logits(net, batches.millivolts(part, rows).to(ranks.device))

        start_s = clock_s() - begun_s
        with contextlib.closing(loaded):
            for step in range(WARM_UP + MOST_STEPS):
                taken.append(timed(train_once))
                if step >= WARM_UP + FEWEST_STEPS and clock_s() - begun_s - start_s > BUDGET_S:
                    break
        net.eval()
        rows = np.arange(min(EVALUATION_BATCH, len(part)))
        with torch.no_grad():
            judge()  # the first asks for its memory
            evaluated_s = statistics.median(timed(judge) for _ in range(EVALUATIONS)) / len(rows)
        on_gpu = ranks.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() if on_gpu else 0
        device = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    steps = taken[WARM_UP:]
    quarters = statistics.quantiles(steps, n=4)
    return Answer(
        steps=len(steps),
        low_s=max(min(steps), quarters[0]),
        high_s=min(max(steps), quarters[2]),
        evaluated_s=evaluated_s,
        start_s=start_s,
        peak_bytes=peak or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        device=device,
    )


def _noise(question: Question, random: np.random.Generator) -> Part:
    """A part in memory with windows for all steps, which are the same few again and again."""
    import numpy as np

    from exchangeai.dataset import WINDOW_SHAPE, Part, WindowArray

    times = WARM_UP + MOST_STEPS
    count, outputs = times * question.batch, question.outputs
    if question.task is Task.REGRESSION:
        labels = random.normal(size=(count, outputs)).astype(np.float32)
    elif question.task is Task.SINGLE_LABEL:
        labels = (np.arange(outputs) == random.integers(outputs, size=(count, 1))).astype(np.uint8)
    else:
        labels = random.integers(2, size=(count, outputs), dtype=np.uint8)
    windows = random.integers(-200, 200, size=(question.batch, *WINDOW_SHAPE), dtype=np.int16)
    nobody: list[Any] = [None] * count
    return Part(
        values=WindowArray([windows] * times),
        uv_per_lsb=np.full(count, 5, np.float32),
        valid_samples=np.full(count, WINDOW_SHAPE[1], np.int32),
        labels=labels,
        recording_ids=nobody,
        patient_keys=nobody,
        sex=nobody,
        age_years=nobody,
        device_model=nobody,
    )


def main(clock_s: Callable[[], float]) -> int:
    """Answer the question on standard input."""
    die_with_parent()
    begun_s = clock_s()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.write(msgspec.json.encode(measure(question, clock_s, begun_s)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(time.monotonic))
