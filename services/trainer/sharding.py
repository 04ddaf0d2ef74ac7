"""Networks whose weights, gradients and optimiser states are split among the ranks (FSDP2, Zhao et al. 2023).

An architecture whose file says `SHARDED = True`, or names those of its SIZES, is trained so when there are
several ranks. The modules of its `stages()` are gathered one at a time, when they are called; what no such
module holds is gathered for the whole step. Checkpoints hold whole tensors: they do not depend on how many
ranks made them, nor on whether these shared the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from exchangeai.plugins import modules_in
from services.trainer import models
from services.trainer.network import Network, architecture_keys

_distribute = cast(Any, distribute_tensor)


def asked_for(architecture: str) -> bool:
    """Whether the architecture's file asks for its weights to be split."""
    file, size = architecture_keys()[architecture]
    said: bool | tuple[str, ...] = getattr(modules_in(models.__name__)[file], "SHARDED", False)
    return said if isinstance(said, bool) else size in said


def split(network: Network, mesh: DeviceMesh) -> None:
    """Leave each rank of the mesh its share of the weights, which must be equal on all."""
    decays = {name: getattr(p, "decays", True) for name, p in network.named_parameters()}
    own = set(network.modules())
    for stage in network.encoder.stages():
        for module in _called(stage, own):
            _fully_shard(module, mesh)
    _fully_shard(network, mesh)
    for name, parameter in network.named_parameters():
        cast(Any, parameter).decays = decays[name]  # the split weight is another object


def is_split(network: nn.Module) -> bool:
    """Whether `split` was here."""
    return isinstance(network, FSDPModule)


def own_share(tensor: Tensor) -> Tensor:
    """What this rank has of a tensor, on the same memory; all of it when it is not split."""
    return cast(Any, tensor).to_local() if isinstance(tensor, DTensor) else tensor


def whole(state: Any) -> Any:
    """A state as torch gives it with its shares gathered; every rank must ask, and each gets all.

    Nothing changes in a state that was never split.
    """
    if isinstance(state, DTensor):
        return cast(Any, state).full_tensor()
    if isinstance(state, dict):
        return {key: whole(value) for key, value in cast("dict[Any, Any]", state).items()}
    if isinstance(state, list):
        return [whole(value) for value in cast("list[Any]", state)]
    return state


def give_back(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a whole state into an optimiser, of split weights or not."""
    groups = cast("list[dict[str, list[Tensor]]]", optimizer.param_groups)
    weights = [p for group in groups for p in group["params"]]
    whole_states = cast("dict[int, dict[str, Any]]", state["state"])
    shares = {
        number: {name: _like(value, weights[number]) for name, value in kept.items()}
        for number, kept in whole_states.items()
    }
    optimizer.load_state_dict({**state, "state": shares})


def _called(stage: nn.Module, own: set[nn.Module]) -> Iterator[nn.Module]:
    """The outermost modules of a stage that the network calls.

    A list is never called, nor is a group made only to name a stage's parts: nothing would gather it.
    """
    if stage in own and not isinstance(stage, nn.ModuleList):
        yield stage
        return
    for part in stage.children():
        yield from _called(part, own)


def _like(value: Any, weight: Tensor) -> Any:
    """What belongs to a weight, split as the weight is."""
    if isinstance(weight, DTensor) and isinstance(value, Tensor) and value.shape == weight.shape:
        return _distribute(value.to(weight.device), weight.device_mesh, weight.placements)
    return value


def _fully_shard(module: nn.Module, mesh: DeviceMesh) -> None:
    cast(Any, fully_shard)(module, mesh=mesh)
