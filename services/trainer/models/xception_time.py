"""XceptionTime: depthwise-separable convolutions of several lengths, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, normed_convolution

SUMMARY = "XceptionTime: separable convolutions of three lengths in parallel (Rahimian et al. 2019)."
RANK = 40

FILTERS = 16
KERNELS = (39, 19, 9)
POOLED = 5
"""The paper pools a record of any length to 50 steps; here a crop of 2.5 s."""


class Separable(nn.Sequential):
    """A convolution of each channel by itself, then one across the channels."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
            nn.Conv1d(channels, channels, 1, bias=False),
        )


class Xception(nn.Module):
    """A bottleneck, three separable convolutions in parallel and a pooled branch; width = 4 × filters.

    Normalised at its end, which the paper does only at the shortcuts: it trains at higher rates.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(channels, filters, 1, bias=False)
        self.convolutions = nn.ModuleList(Separable(filters, k) for k in KERNELS)
        self.pooled = nn.Conv1d(channels, filters, 1, bias=False)
        self.norm = nn.BatchNorm1d(filters * (len(KERNELS) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        narrow = self.bottleneck(x)
        branches = [cast(Tensor, convolution(narrow)) for convolution in self.convolutions]
        branches.append(self.pooled(F.max_pool1d(x, 3, 1, 1)))
        return self.norm(torch.cat(branches, dim=1))


class Residual(nn.Module):
    """Two modules, the second of twice the width, with a shortcut around them."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        middle = filters * (len(KERNELS) + 1)
        self.layers = nn.Sequential(Xception(channels, filters), Xception(middle, 2 * filters))
        self.shortcut = nn.Sequential(*normed_convolution(channels, 2 * middle, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        return F.relu(self.layers(x) + self.shortcut(x))


class XceptionTime(Encoder):
    """See the module; steps are 50 ms."""

    width = FILTERS * 8

    def __init__(self) -> None:
        super().__init__()
        widest = FILTERS * 32
        self.first = Residual(12, FILTERS)
        self.second = Residual(widest // 4, 4 * FILTERS)
        self.narrow = nn.Sequential(
            nn.AvgPool1d(POOLED),
            *normed_convolution(widest, widest // 2, 1),
            nn.ReLU(),
            *normed_convolution(widest // 2, self.width, 1),
            nn.ReLU(),
        )

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.first, self.second, self.narrow

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 128, T / 5]."""
        return self.narrow(self.second(self.first(x_BLT)))


def build() -> Encoder:
    """A freshly initialised encoder."""
    return XceptionTime()
