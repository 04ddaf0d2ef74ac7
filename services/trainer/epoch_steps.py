"""How many steps an epoch has; known to the loop, to presets and to estimates alike."""

from __future__ import annotations

import math


def passes(total: int, count: int) -> int:
    """How often an epoch goes through `count` windows chosen of `total`.

    Few of many windows are gone through several times an epoch, the root of what they are fewer: with one
    pass a hundredth of the data would get a hundredth of the steps, and its score would tell of want of
    training more than of want of labels.
    """
    return max(1, round(math.sqrt(total / max(1, count))))


def share(count: int, batch_size: int, world: int) -> int:
    """Windows of one rank at a step."""
    return max(1, min(batch_size, count) // world)


def steps(total: int, count: int, batch_size: int, world: int) -> int:
    """Steps an epoch; what is left over of the shuffled windows waits for the next epoch."""
    return max(1, passes(total, count) * count // (share(count, batch_size, world) * world))
