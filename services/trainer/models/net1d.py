"""Net1D: bottleneck blocks of grouped convolutions that weigh their channels, on 100 or 500 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, SqueezeExcite

SUMMARY = "Net1D: grouped bottlenecks with squeeze and excitation (Hong et al. 2020); ECGFounder's encoder."
RANK = 80

KERNEL = 16
GROUP = 16
"""Channels that a convolution in time mixes."""
STEM = 64


@dataclass(frozen=True)
class Size:
    """The stages' channels and blocks; each stage halves the rate."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]


_SIZES = {
    "": Size((64, 128, 192, 320), (2, 2, 3, 3)),
    "31m": Size((64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4)),
}
"""31m is that of ECGFounder (Li et al. 2024), at 500 Hz."""
SIZES = tuple(_SIZES)


class SamePadding(nn.Module):
    """As little as the next convolution needs for ceil(T / stride) steps, an odd sample at the end."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self._stride = stride

    def forward(self, x_BLT: Tensor) -> Tensor:
        """Pad with zeros."""
        length = x_BLT.shape[2]
        missing = max(0, (-(-length // self._stride) - 1) * self._stride + KERNEL - length)
        return F.pad(x_BLT, (missing // 2, missing - missing // 2))


def _convolution(inputs: int, outputs: int, stride: int, groups: int = 1) -> list[nn.Module]:
    return [SamePadding(stride), nn.Conv1d(inputs, outputs, KERNEL, stride, groups=groups)]


class Block(nn.Module):
    """Narrow, convolve in groups, widen and weigh, each normalised before; the shortcut pools and pads."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._stride = stride
        self._more = outputs - inputs
        self.layers = nn.Sequential(
            *(nn.BatchNorm1d(inputs), nn.SiLU(), nn.Conv1d(inputs, outputs, 1)),
            *(nn.BatchNorm1d(outputs), nn.SiLU(), *_convolution(outputs, outputs, stride, outputs // GROUP)),
            *(nn.BatchNorm1d(outputs), nn.SiLU(), nn.Conv1d(outputs, outputs, 1)),
        )
        self.excite = SqueezeExcite(outputs, outputs // 2, nn.SiLU)

    def forward(self, x_BET: Tensor, valid_B1T: Tensor) -> Tensor:
        """Convolve, weigh and add."""
        added = self.excite(self.layers(x_BET), valid_B1T)
        if self._stride > 1:
            x_BET = F.max_pool1d(x_BET, self._stride, ceil_mode=True)
        if self._more:
            x_BET = F.pad(x_BET, (0, 0, self._more // 2, self._more - self._more // 2))
        return added + x_BET


class Net1d(Encoder):
    """See the module; steps are 320 ms."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(12, STEM, 2), nn.BatchNorm1d(STEM), nn.SiLU())
        self.blocks = nn.ModuleList()
        inputs = STEM
        for width, count in zip(size.widths, size.blocks, strict=True):
            for b in range(count):
                self.blocks.append(Block(inputs, width, 1 if b else 2))
                inputs = width
        self.width = inputs

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.stem, *self.blocks

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, E, T / 2 ** (stages + 1)]."""
        x_BET = self.stem(x_BLT)
        for block in self.blocks:
            x_BET = block(x_BET, valid_B1T)
        return x_BET


class LargeNet1d(Net1d):
    """At the rate and length for which it was published; steps are 512 ms."""

    rate_hz = 500
    crop_s = 10.0


def build(size: str = "") -> Encoder:
    """A freshly initialised encoder."""
    return (LargeNet1d if size else Net1d)(_SIZES[size])
