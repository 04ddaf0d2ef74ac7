"""Measures a few real training steps on synthetic windows: `python -m services.trainer.measure_steps`.

Reads a `Question` as JSON from standard input and writes an `Answer`; a process of its own, so that a network
that needs more memory than there is takes no service with it.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

import msgspec

from exchangeai.facts import Task, TrainingOptions
from exchangeai.orphans import die_with_parent

WARM_UP = 2
MOST_STEPS = 12
FEWEST_STEPS = 3
BUDGET_S = 8.0
"""No further step is begun after this."""
SAMPLES = 5000


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
    """Train for a few steps on noise; loads torch."""
    import numpy as np
    import torch

    from services.trainer import network
    from services.trainer.loop import EVALUATION_BATCH, training_step
    from services.trainer.objective import fit
    from services.trainer.optimise import optimiser
    from services.trainer.ranks import joined
    from services.trainer.tensors import compiled, generator, seed_all

    options, random = question.options, np.random.default_rng(0)
    with joined() as ranks:
        seed_all(0)
        net = network.build(question.architecture, question.outputs, options.method).to(ranks.device)
        shape = (question.batch, question.outputs)
        drawn = random.normal(size=shape) if question.task is Task.REGRESSION else random.random(shape) < 0.5
        if question.task is Task.SINGLE_LABEL:
            drawn = np.arange(question.outputs) == random.integers(question.outputs, size=(shape[0], 1))
        labels = drawn.astype(np.float32 if question.task is Task.REGRESSION else np.uint8)
        both = labels if question.task is Task.REGRESSION else np.concatenate([labels, 1 - labels])
        objective = fit(both, question.task, weigh=options.class_weights, label_smoothing=0.0)
        x_BLT = torch.randn((question.batch, 12, SAMPLES), generator=generator(0))
        targets_BC = objective.targets(labels)
        optimizer = optimiser(net, options, from_base=False)
        trained = compiled(net) if options.compile else net
        trained.train()
        taken: list[float] = []

        def timed(act: Callable[[], object]) -> float:
            at_s = clock_s()
            act()
            if ranks.device.type == "cuda":
                torch.cuda.synchronize()
            return clock_s() - at_s

        start_s = clock_s() - begun_s
        for step in range(WARM_UP + MOST_STEPS):
            taken.append(
                timed(lambda: training_step(trained, objective, options, ranks, optimizer, x_BLT, targets_BC))
            )
            if step >= WARM_UP + FEWEST_STEPS and clock_s() - begun_s - start_s > BUDGET_S:
                break
        net.eval()
        judged = x_BLT[: min(EVALUATION_BATCH, len(x_BLT))].to(ranks.device)
        with torch.no_grad():
            evaluated_s = timed(lambda: network.logits(net, judged)) / len(judged)
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


def main(clock_s: Callable[[], float]) -> int:
    """Answer the question on standard input."""
    die_with_parent()
    begun_s = clock_s()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.write(msgspec.json.encode(measure(question, clock_s, begun_s)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(time.monotonic))
