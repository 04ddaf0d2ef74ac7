"""How long a run would take and how much memory it would need here, from a few measured steps."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from exchangeai.errors import NotReady, TooLarge
from exchangeai.facts import DatasetFact, TrainingOptions
from services.trainer import epoch_steps, find_rate
from services.trainer.measure_steps import Answer, Question
from services.trainer.torchrun import rank_environment

TIMEOUT_S = 90.0
REMEMBERED = 256
FINISH_S = 20.0
"""Allowed for what follows training beside judging: intervals, export and its check."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take if no early stop comes."""

    low_s: float
    high_s: float
    peak_bytes: int
    """Of all processes, on the GPU where there is one."""
    measured_from: str


class Estimator:
    """Measures in child processes, one at a time, and remembers what it measured."""

    def __init__(self, environment: Mapping[str, str], *, cores: int, here: bool) -> None:
        """`here` says whether runs train on this machine; `cores` are what their processes share."""
        self._environment = environment
        self._cores = cores
        self._here = here
        self._one = asyncio.Lock()
        self._known: OrderedDict[bytes, Answer] = OrderedDict()

    async def estimate(self, architecture: str, dataset: DatasetFact, options: TrainingOptions) -> Estimate:
        """Seconds and memory of a run on a data set.

        Raises NotReady when runs train on other machines or the measurement does not come to an end, and
        TooLarge when memory does not suffice.
        """
        if not self._here:
            raise NotReady("runs train on other machines than the trainer's, where nothing can be measured")
        sizes = {p.part: p.recordings for p in dataset.parts}
        total = sizes.get("train", 0)
        count = max(1, round(total * options.label_share))
        share = epoch_steps.share(count, options.batch_size, options.processes)
        # Only what changes the work of a step may be part of the key.
        asked = Question(
            architecture=architecture,
            outputs=len(dataset.classes),
            task=dataset.task,
            batch=share,
            options=TrainingOptions(
                processes=options.processes,
                method=options.method,
                accumulate=options.accumulate,
                precision=options.precision,
                compile=options.compile,
                class_weights=options.class_weights,
                augmentations=options.augmentations,
                mixup=options.mixup,
            ),
        )
        answer = await self._answer(asked)
        steps = epoch_steps.steps(total, count, options.batch_size, options.processes)
        judged_s = answer.evaluated_s * sizes.get("validation", 0) / options.processes
        tested_s = answer.evaluated_s * sum(sizes.values())
        low_s, high_s = (options.max_epochs * (steps * s + judged_s) for s in (answer.low_s, answer.high_s))
        if options.find_learning_rate:
            high_s += find_rate.STEPS * answer.high_s
        if options.int8:
            high_s += tested_s + FINISH_S  # it is judged as the model itself is
        return Estimate(
            low_s=low_s,
            high_s=high_s + answer.start_s + tested_s + FINISH_S,
            peak_bytes=answer.peak_bytes * options.processes,
            measured_from=(
                f"{answer.steps} steps of {share} windows on this machine ({answer.device}"
                f"{f', {options.processes} processes' if options.processes > 1 else ''}), "
                f"{1000 * answer.low_s:.0f} to {1000 * answer.high_s:.0f} ms each; "
                f"{options.max_epochs} epochs of {steps} steps, less if it stops early"
            ),
        )

    async def _answer(self, asked: Question) -> Answer:
        key = msgspec.json.encode(asked)
        async with self._one:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = await self._measured(key, asked.options.processes)
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return known

    async def _measured(self, question: bytes, processes: int) -> Answer:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.trainer.measure_steps"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # As many threads as one of the run's processes would have.
            env={**self._environment, **rank_environment(self._cores, processes)},
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, _ = await child.communicate(question)
        except TimeoutError as e:
            raise NotReady(
                f"a few steps took longer than {TIMEOUT_S:.0f} s on this machine; take a smaller "
                "architecture or fewer recordings a step"
            ) from e
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise TooLarge(
                "a few steps could not be taken on this machine, most likely for want of memory; take fewer "
                "recordings a step, or accumulate them in parts"
            )
        return msgspec.json.decode(out, type=Answer)


def this_machine(cores: int) -> int:
    """Cores that runs share: those that are set, or all that this process may use."""
    return cores or len(os.sched_getaffinity(0))
