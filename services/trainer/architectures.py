"""Which architectures there are; told without loading torch into the service."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from exchangeai.errors import Unavailable
from exchangeai.facts import TrainingOptions
from services.trainer import models

CLASSES = 5
"""Weights are counted for so many classes."""


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """An architecture that can be trained."""

    name: str
    summary: str
    parameters: int
    gflops: float
    """Of one window, multiplications and additions counted apart."""
    learning_rate: float
    """The peak rate that suits it from scratch."""


class Architectures:
    """Asks a child process once and remembers."""

    def __init__(self) -> None:
        self._asking: asyncio.Task[list[Architecture]] | None = None

    async def all(self) -> list[Architecture]:
        """The one to begin with first. Raises Unavailable when the child fails."""
        if self._asking is None or (self._asking.done() and self._asking.exception()):
            self._asking = asyncio.create_task(_ask())
        # A caller whose deadline ends must not take the answer from those who come after.
        return await asyncio.shield(self._asking)


async def _ask() -> list[Architecture]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.trainer.architectures"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    if child.returncode:
        raise Unavailable("the architectures could not be loaded; the trainer's log has the reason")
    return msgspec.json.decode(out, type=list[Architecture])


def describe() -> list[Architecture]:
    """Build each and count; loads torch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from exchangeai.model_file import WINDOW_SAMPLES
    from exchangeai.plugins import modules_in
    from services.trainer.network import architecture_keys, build, learning_rate

    summaries = {name: module.SUMMARY for name, module in modules_in(models.__name__).items()}
    told: list[Architecture] = []
    for key, (file, _) in architecture_keys().items():
        # On the meta device nothing is computed (a caller waits), and recurrent layers fall into products
        # that are counted.
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counted:
            network = build(key, CLASSES).eval()
            network(torch.zeros(1, 12, WINDOW_SAMPLES))
        told.append(
            Architecture(
                name=key,
                summary=summaries[file],
                parameters=sum(p.numel() for p in network.parameters()),
                gflops=counted.get_total_flops() / 1e9,
                learning_rate=learning_rate(key, TrainingOptions().learning_rate),
            )
        )
    return told


def table() -> str:
    """What there is, a line each, for a terminal; loads torch."""
    rows = [("key", "parameters", "GFLOPs", "summary")]
    rows += [(a.name, f"{a.parameters:,}", f"{a.gflops:.3f}", a.summary) for a in describe()]
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        f"{key:<{wide[0]}}  {parameters:>{wide[1]}}  {gflops:>{wide[2]}}  {summary}"
        for key, parameters, gflops, summary in rows
    )


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(describe()).decode())
