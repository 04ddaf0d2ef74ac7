"""How long a run will take on this machine, measured from a few real steps in a process of its own.

`python -m services.trainer.estimate` is that process: it reads a `Question` as JSON and prints a `Measured`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

import msgspec

from exchangeai.errors import Unavailable
from exchangeai.facts import Method, Precision, TrainingOptions

STEPS = 3
PREDICTED = 16
BEGIN_S = 8.0
"""To start the processes, open the data, export and publish: about so long whatever the run."""
SPREAD = 1.3
"""Other work on the machine makes it that much longer, easily."""
TIMEOUT_S = 120.0


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a step depends on; runs that agree in it take equally long steps."""

    architecture: str
    batch: int
    """Windows of one process at once."""
    threads: int
    method: Method
    precision: Precision
    augmentations: tuple[str, ...]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the process measured."""

    step_s: float
    """One pass of `batch` windows forwards and backwards, with their preparation."""
    predict_s: float
    """Judging one window."""
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of a whole run."""

    low_s: float
    """If it stops as early as it can."""
    high_s: float
    """If it goes to its last epoch while something else runs beside it."""
    peak_bytes: int
    """Memory of each process."""
    step_s: float


class Estimates:
    """Asks a child process once for each question, one at a time, and remembers."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._measuring = asyncio.Lock()
        self._known: dict[Question, Measured] = {}

    async def of(self, architecture: str, options: TrainingOptions, windows: int, judged: int) -> Estimate:
        """Estimate a run over `windows` training windows with `judged` validation windows an epoch.

        Raises Unavailable when the steps cannot be measured here, for want of memory for instance.
        """
        processes = max(1, options.processes)
        question = Question(
            architecture=architecture,
            batch=max(1, options.batch_size // processes // options.accumulate),
            threads=max(1, self._cores // processes),
            method=options.method,
            precision=options.precision,
            augmentations=options.augmentations,
        )
        async with self._measuring:
            measured = self._known.get(question)
            if measured is None:
                measured = self._known[question] = await _ask(question)
        return estimate(measured, options, windows, judged)


def estimate(measured: Measured, options: TrainingOptions, windows: int, judged: int) -> Estimate:
    """A whole run, from what one step takes."""
    processes = max(1, options.processes)
    share = round(windows * options.label_share)
    steps = max(1, share // max(1, options.batch_size))
    step_s = measured.step_s * options.accumulate
    epoch_s = steps * step_s + judged * measured.predict_s / processes
    fewest = min(options.max_epochs, options.patience + 1)
    return Estimate(
        low_s=BEGIN_S + fewest * epoch_s,
        high_s=(BEGIN_S + options.max_epochs * epoch_s) * SPREAD,
        peak_bytes=measured.peak_bytes,
        step_s=step_s,
    )


async def _ask(question: Question) -> Measured:
    environment = {**os.environ, "OMP_NUM_THREADS": str(question.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(msgspec.json.encode(question)), TIMEOUT_S)
    except TimeoutError:
        raise Unavailable(
            f"{STEPS} steps took longer than {TIMEOUT_S:.0f} s here: the run would take days"
        ) from None
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise Unavailable(
            "a step could not be measured; perhaps the memory is too small for this batch: try a smaller one"
        )
    return msgspec.json.decode(out, type=Measured)


def measure(question: Question) -> Measured:
    """Take the steps on synthetic windows; loads torch."""
    import resource
    import time

    import torch

    from services.trainer import network
    from services.trainer.augment import vary
    from services.trainer.optimise import optimiser

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = network.build(question.architecture, 5, question.method).to(device)
    optimizer = optimiser(net, TrainingOptions(), from_base=False)
    random = torch.Generator().manual_seed(0)
    halves = question.precision is Precision.BFLOAT16
    steps = torch.randint(-1000, 1000, (question.batch, 12, 5000), generator=random, dtype=torch.int16)
    y_BC = (torch.rand(question.batch, 5, generator=random) > 0.5).float().to(device)

    def now_s() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def step() -> float:
        begun_s = now_s()
        x_BLT = vary(steps.float() * 1e-3, question.augmentations, random).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=halves):
            logits_BC = network.logits(net, x_BLT)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits_BC.float(), y_BC)
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        return now_s() - begun_s

    net.train()
    step()  # the first prepares what the others use
    step_s = sorted(step() for _ in range(STEPS))[STEPS // 2]
    net.eval()
    with torch.no_grad():
        begun_s = now_s()
        network.logits(net, (steps[:PREDICTED].float() * 1e-3).to(device))
        predict_s = (now_s() - begun_s) / len(steps[:PREDICTED])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(step_s=step_s, predict_s=predict_s, peak_bytes=peak)


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.write(msgspec.json.encode(measure(asked)).decode())
