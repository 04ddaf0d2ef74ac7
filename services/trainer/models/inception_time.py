"""InceptionTime: parallel convolutions of several lengths with residual shortcuts, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder

SUMMARY = "InceptionTime: convolutions of three lengths in parallel, six deep (Fawaz et al. 2020)."
RANK = 20

FILTERS = 32
KERNELS = (19, 9, 5)
"""At 50 Hz these span what the paper's 39, 19 and 9 span at 100 Hz, for half the work."""


class Inception(nn.Module):
    """A bottleneck, three convolutions in parallel and a pooled branch; [B, channels, T] → [B, 128, T]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(channels, FILTERS, 1, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(FILTERS, FILTERS, k, padding=k // 2, bias=False) for k in KERNELS
        )
        self.pooled = nn.Conv1d(channels, FILTERS, 1, bias=False)
        self.norm = nn.BatchNorm1d(FILTERS * (len(KERNELS) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        narrow = self.bottleneck(x)
        branches = [cast(Tensor, convolution(narrow)) for convolution in self.convolutions]
        branches.append(self.pooled(F.max_pool1d(x, 3, 1, 1)))
        return F.relu(self.norm(torch.cat(branches, dim=1)))


class Residual(nn.Module):
    """Three inception layers with a shortcut around them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Inception(channels), Inception(width), Inception(width))
        self.shortcut = nn.Sequential(nn.Conv1d(channels, width, 1, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        return F.relu(self.layers(x) + self.shortcut(x))


class InceptionTime(Encoder):
    """See the module; steps are 40 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.width = FILTERS * (len(KERNELS) + 1)
        self.stem = nn.Sequential(
            nn.Conv1d(12, FILTERS, 7, stride=2, padding=3, bias=False), nn.BatchNorm1d(FILTERS), nn.ReLU()
        )
        self.first = Residual(FILTERS, self.width)
        self.second = Residual(self.width, self.width)

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.stem, self.first, self.second

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 128, T / 4]."""
        return self.second(F.max_pool1d(self.first(self.stem(x_BLT)), 2, 2))


def build() -> Encoder:
    """A freshly initialised encoder."""
    return InceptionTime()
