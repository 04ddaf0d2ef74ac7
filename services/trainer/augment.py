"""What training varies a window by: what an electrode, a cart or a patient's movement may do to it.

No polarity flip, lead exchange or time warp: those change the axis and the intervals, which is what
many labels are about. Shapes: B batch, L lead, T time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from exchangeai.facts import AUGMENTATIONS

GAIN_SPREAD = 0.15
LEAD_LOSS = 0.05
NOISE_MV = 0.02
WANDER_MV = 0.1
WANDER_HZ = (0.05, 0.5)
TIME_OUT = 0.3
TIME_OUT_SHARE = 0.2
RATE_HZ = 500.0


def vary(x_BLT: Tensor, names: Sequence[str], random: torch.Generator) -> Tensor:
    """Vary windows, float32 [B, L, T] in mV, in place, in the order of `AUGMENTATIONS`; padding stays zero.

    Equal generators give equal results.
    """
    if not names:
        return x_BLT
    present = (x_BLT.abs().amax(dim=1, keepdim=True) > 0).to(x_BLT.dtype)
    for name in AUGMENTATIONS:
        if name in names:
            x_BLT = _BY_NAME[name](x_BLT, random)
    return x_BLT.mul_(present)


def _gain(x_BLT: Tensor, random: torch.Generator) -> Tensor:
    return x_BLT.mul_(torch.exp(torch.randn(len(x_BLT), 1, 1, generator=random) * GAIN_SPREAD))


def _lead_loss(x_BLT: Tensor, random: torch.Generator) -> Tensor:
    return x_BLT.mul_(torch.rand(*x_BLT.shape[:2], 1, generator=random) >= LEAD_LOSS)


def _noise(x_BLT: Tensor, random: torch.Generator) -> Tensor:
    """White noise; how much differs from window to window."""
    level = torch.rand(len(x_BLT), 1, 1, generator=random) * NOISE_MV
    return x_BLT.add_(torch.randn(x_BLT.shape, generator=random).mul_(level))


def _wander(x_BLT: Tensor, random: torch.Generator) -> Tensor:
    """A slow sine, as of breathing; each lead has its own share of it."""
    batch, leads, length = x_BLT.shape
    low, high = map(math.log, WANDER_HZ)
    rate_hz = torch.exp(low + (high - low) * torch.rand(batch, 1, 1, generator=random))
    phase = 2 * math.pi * torch.rand(batch, 1, 1, generator=random)
    height = torch.randn(batch, leads, 1, generator=random) * WANDER_MV
    return x_BLT.add_(height * torch.sin(2 * math.pi * rate_hz * torch.arange(length) / RATE_HZ + phase))


def _time_out(x_BLT: Tensor, random: torch.Generator) -> Tensor:
    """A stretch without signal in some windows, as when a contact is lost for a moment."""
    batch, _, length = x_BLT.shape
    size = round(TIME_OUT_SHARE * length)
    start = torch.randint(0, length - size + 1, (batch, 1, 1), generator=random)
    hit = torch.rand(batch, 1, 1, generator=random) < TIME_OUT
    at = torch.arange(length)
    return x_BLT.mul_(~(hit & (at >= start) & (at < start + size)))


_BY_NAME: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "gain": _gain,
    "lead_loss": _lead_loss,
    "noise": _noise,
    "wander": _wander,
    "time_out": _time_out,
}
