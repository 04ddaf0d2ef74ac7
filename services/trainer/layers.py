"""Layers that several architectures share: the entry from 500 Hz and the mean over valid steps.

Shapes: B batch, L lead, T time, C class, E embedding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DECIMATION = 5
CUTOFF_HZ = 40.0
RATE_HZ = 500.0
TAPS = 51


def lowpass_taps(taps: int = TAPS, cutoff_hz: float = CUTOFF_HZ, rate_hz: float = RATE_HZ) -> Tensor:
    """Hamming-windowed sinc of unit gain at 0 Hz, float32 [taps]; -6 dB at the cut-off."""
    n = [i - (taps - 1) / 2 for i in range(taps)]
    ratio = 2 * cutoff_hz / rate_hz
    values = [
        ratio
        * (1.0 if i == 0 else math.sin(math.pi * ratio * i) / (math.pi * ratio * i))
        * (0.54 + 0.46 * math.cos(2 * math.pi * i / (taps - 1)))
        for i in n
    ]
    total = sum(values)
    return torch.tensor([v / total for v in values], dtype=torch.float32)


class Entry(nn.Module):
    """From the tensor contract to 100 Hz with the mean of each lead removed; padding stays zero."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", lowpass_taps().reshape(1, 1, TAPS), persistent=False)

    def forward(self, x_BLT: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x [B, 12, 1000], valid [B, 1, 1000] of 0 and 1).

        Padding is where all leads are exactly zero. The mean is taken over the valid steps only, so a
        device's offset does not turn into a step at the padding's edge.
        """
        batch, leads, length = x_BLT.shape
        x = F.conv1d(
            x_BLT.reshape(batch * leads, 1, length), self.taps, stride=DECIMATION, padding=TAPS // 2
        ).reshape(batch, leads, length // DECIMATION)
        loudest_B1T = x_BLT.abs().amax(dim=1, keepdim=True)
        valid = (F.max_pool1d(loudest_B1T, DECIMATION, DECIMATION) > 0).to(x.dtype)
        offset = (x * valid).sum(dim=2, keepdim=True) / valid.sum(dim=2, keepdim=True).clamp(min=1.0)
        return (x - offset) * valid, valid


def mean_over_valid(features_BET: Tensor, valid_B1T: Tensor) -> Tensor:
    """Mean over the valid steps, [B, E]; `valid` [B, 1, 1000] is halved as needed."""
    valid = valid_B1T
    while valid.shape[2] > features_BET.shape[2]:
        valid = F.max_pool1d(valid, 2, 2, ceil_mode=True)
    return (features_BET * valid).sum(dim=2) / valid.sum(dim=2).clamp(min=1.0)
