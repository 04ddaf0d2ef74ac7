"""The processes that train together: who one is among them and what they tell each other."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

_dist = cast(Any, torch.distributed)

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""As long as the first rank may take to download a data set while the others wait."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among all."""

    rank: int
    local_rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this one reports and writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all have come here."""
        if self.world > 1:
            _dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether any rank says so; all learn the same answer."""
        if self.world == 1:
            return flag
        seen = torch.tensor([int(flag)], device=self.device)
        _dist.all_reduce(seen, op=_dist.ReduceOp.MAX)
        return bool(seen.item())

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over the ranks."""
        return DistributedDataParallel(network) if self.world > 1 else network

    def mesh(self) -> DeviceMesh:
        """All ranks in a row, to split weights over. Every rank must ask."""
        return init_device_mesh(self.device.type, (self.world,))

    def gradients_shared(self, network: nn.Module, now: bool) -> AbstractContextManager[None]:
        """A context in which backward passes average gradients over the ranks only if `now`."""
        if isinstance(network, FSDPModule):
            network.set_requires_gradient_sync(now)
        if now or not isinstance(network, DistributedDataParallel):
            return nullcontext()
        return cast(Any, network).no_sync()

    def share_buffers(self, network: nn.Module) -> None:
        """Give all the first rank's running statistics."""
        if self.world > 1:
            for buffer in network.buffers():
                _dist.broadcast(buffer, 0)

    def share_bytes(self, data: bytes) -> bytes:
        """The first rank's bytes, for all; what the others bring is ignored."""
        if self.world == 1:
            return data
        length = torch.tensor([len(data)], device=self.device)
        _dist.broadcast(length, 0)
        shared = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        if self.first and data:
            shared = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self.device)
        _dist.broadcast(shared, 0)
        return shared.cpu().numpy().tobytes()

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Put rows rank::world of each rank together in order, [total, ...]."""
        if self.world == 1:
            return rows
        longest = -(-total // self.world)
        padded = torch.zeros((longest, *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
        padded[: len(rows)] = rows
        all_ = [torch.empty_like(padded) for _ in range(self.world)]
        _dist.all_gather(all_, padded)
        return torch.stack(all_, dim=1).flatten(0, 1)[:total]


def peers_lost(error: BaseException) -> bool:
    """Whether other ranks ended or became unreachable, which is no fault of the run."""
    # gloo has no exception of its own: it raises RuntimeError with the place in its source.
    return isinstance(error, _dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextmanager
def joined() -> Generator[Ranks, None, None]:
    """Join the ranks that torchrun describes in the environment; alone without it."""
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world > 1:
        _dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=COLLECTIVE_TIMEOUT)
    try:
        yield Ranks(rank=int(os.environ.get("RANK", "0")), local_rank=local, world=world, device=device)
    finally:
        if world > 1:
            _dist.destroy_process_group()
