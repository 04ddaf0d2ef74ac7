"""The few calls of torch whose types torch leaves open, given the types that we use."""

from __future__ import annotations

from typing import Any, cast

import numpy.typing as npt
import torch
from torch import Tensor, nn

_torch = cast(Any, torch)


def tensor(array: npt.NDArray[Any]) -> Tensor:
    """A tensor on the array's memory."""
    return _torch.from_numpy(array)


def seed_all(seed: int) -> None:
    """Seed the generators that layers draw from."""
    _torch.manual_seed(seed)


def generator(seed: int) -> torch.Generator:
    """A generator of its own."""
    made: Any = torch.Generator()
    return made.manual_seed(seed)


def compiled(network: nn.Module) -> nn.Module:
    """The same network, compiled when it first runs."""
    return _torch.compile(network)
