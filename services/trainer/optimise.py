"""How weights move: groups with rates of their own, the schedule, and the moving average that is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from exchangeai.facts import TrainingOptions
from services.trainer.network import Network
from services.trainer.sharding import own_share

WARM_UP = 0.1
BETAS = (0.9, 0.999)


def optimiser(network: Network, options: TrainingOptions, *, from_base: bool) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019). From a base model each earlier stage learns more slowly.

    Vectors (biases, normalisation) and parameters that say `decays = False` are not decayed.
    """
    stages = network.stages()
    groups: list[dict[str, Any]] = []
    for i, stage in enumerate(stages):
        share = options.layer_decay ** (len(stages) - 1 - i) if from_base else 1.0
        trained = [p for p in stage.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1 and getattr(p, "decays", True)]
        ids = {id(p) for p in decayed}
        others = [p for p in trained if id(p) not in ids]
        for weights, decay in ((decayed, options.weight_decay), (others, 0.0)):
            if weights:
                groups.append({"params": weights, "weight_decay": decay, "lr": options.learning_rate * share})
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=BETAS)


def schedule(steps: int) -> Callable[[int], float]:
    """Share of the rate at a step: up in a line, down along a cosine."""
    warm_up = max(1, round(WARM_UP * steps))

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    return share


class Average:
    """A moving average of a network's weights and running statistics, equal on every rank."""

    def __init__(self, averaged: nn.Module, network: nn.Module, decay: float) -> None:
        """Keep the average of `network` in `averaged`, which is of the same kind and as it is now."""
        self._decay = decay
        self._pairs = _floating(averaged, network)

    def follow(self, step: int) -> None:
        """Take in the weights after a step, counted from 1: young averages forget faster."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            ours, theirs = ([own_share(x) for x in tensors] for tensors in self._pairs)
            cast(Any, torch)._foreach_lerp_(ours, theirs, 1 - decay)  # one call for hundreds of tensors


def _floating(ours: nn.Module, theirs: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    ours_by_name, theirs_by_name = _tensors(ours), _tensors(theirs)
    names = [n for n, x in ours_by_name.items() if x.is_floating_point()]
    return [ours_by_name[n] for n in names], [theirs_by_name[n] for n in names]


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}
