"""InceptionTime: parallel convolutions of several lengths with residual shortcuts, on 100 Hz."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Entry, mean_over_valid

SUMMARY = "InceptionTime: convolutions of three lengths in parallel, six deep (Fawaz et al. 2020)."
RANK = 20

FILTERS = 32
KERNELS = (19, 9, 5)
"""At 50 Hz these span what the paper's 39, 19 and 9 span at 100 Hz, for half the work."""
DROPOUT = 0.2


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


class InceptionTime(nn.Module):
    """See the module; steps are 80 ms."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        width = FILTERS * (len(KERNELS) + 1)
        self.entry = Entry()
        self.stem = nn.Sequential(
            nn.Conv1d(12, FILTERS, 7, stride=2, padding=3, bias=False), nn.BatchNorm1d(FILTERS), nn.ReLU()
        )
        self.first = Residual(FILTERS, width)
        self.second = Residual(width, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(width, classes)

    def forward(self, x_BLT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (logits_BC, embedding_BE, features_BET)."""
        x, valid = self.entry(x_BLT)
        x = F.max_pool1d(self.first(self.stem(x)), 2, 2)
        features_BET = self.second(x)
        embedding_BE = mean_over_valid(features_BET, valid)
        return self.head(self.dropout(embedding_BE)), embedding_BE, features_BET


def build(classes: int) -> nn.Module:
    """A freshly initialised network for so many classes."""
    return InceptionTime(classes)
