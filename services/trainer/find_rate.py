"""The search for a learning rate: a range test (Smith 2017, Cyclical learning rates for training networks).

One step is taken at each of rising rates, on a copy of the network that is thrown away. Where the smoothed
loss falls most steeply over the logarithm of the rate, learning is fastest; where it shoots up, it breaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from exchangeai.facts import RateSearch

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9
"""Share of the earlier losses in the smoothed one."""
DIVERGED = 0.25
"""The loss has diverged when it has risen above its first value by this share of it; single steps of a noisy
loss stay below."""
SAFETY = 10.0
"""The rate stays below that of divergence by this factor."""
QUIET = 20
"""The first steps, at rates too low to learn from: they tell how the loss varies from batch to batch."""
FALLEN = 3.0
"""The loss has fallen when it lies below its mean over the quiet steps by so many of their deviations."""
WINDOW = 7
"""Slopes are averaged over so many steps."""


def search(step: Callable[[float], float], usual: float, agreed: Callable[[bool], bool]) -> RateSearch:
    """Take a step at each rate until the loss diverges; `step` takes a rate and returns the mean loss.

    `agreed` tells whether any of the ranks has seen divergence, so that all end alike. `usual` is chosen when
    the loss never fell.
    """
    rates, losses, running = np.geomspace(LOWEST, HIGHEST, STEPS), list[float](), 0.0
    for taken, rate in enumerate(rates, start=1):
        loss = step(float(rate))
        running = SMOOTHING * running + (1 - SMOOTHING) * loss
        # Without the correction the first values would be pulled to zero (as in Adam).
        smoothed = running / (1 - SMOOTHING**taken)
        broken = not math.isfinite(smoothed) or (
            taken >= QUIET and smoothed > losses[0] + DIVERGED * abs(losses[0])
        )
        if math.isfinite(smoothed):
            losses.append(smoothed)
        if agreed(broken):
            break
    return choose([float(x) for x in rates[: len(losses)]], losses, usual, broken=len(losses) < STEPS)


def choose(rates: Sequence[float], losses: Sequence[float], usual: float, *, broken: bool) -> RateSearch:
    """The rate of steepest descent before the lowest loss, at most a tenth of that of divergence.

    `losses` are smoothed, one for each rate; `broken` says that the last of them is that of divergence.
    """
    steepest = None
    lowest = int(np.argmin(losses)) if losses else 0
    quiet = np.asarray(losses[:QUIET])
    if lowest >= QUIET and losses[lowest] < quiet.mean() - FALLEN * quiet.std():
        slopes = np.gradient(np.asarray(losses), np.log(rates))
        slopes = np.convolve(slopes, np.full(WINDOW, 1 / WINDOW), "same")
        steepest = rates[QUIET + int(np.argmin(slopes[QUIET : lowest + 1]))]
    divergence = rates[-1] if broken and rates else None
    chosen = usual if steepest is None else steepest
    if divergence is not None:
        chosen = min(chosen, divergence / SAFETY)
    return RateSearch(
        rates=tuple(rates), losses=tuple(losses), steepest=steepest, divergence=divergence, chosen=chosen
    )
