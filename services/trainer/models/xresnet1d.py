"""xresnet1d: residual networks with a three-layer stem and averaged shortcuts, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, normed_convolution

SUMMARY = "xresnet1d: residual network with a three-layer stem (He et al. 2019; Strodthoff et al. 2021)."
RANK = 10

KERNEL = 5


@dataclass(frozen=True)
class Size:
    """How deep and wide: the stem's and the stages' channels, blocks a stage, and the bottleneck's ratio."""

    stem: tuple[int, ...]
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    expansion: int


_SIZES = {
    "": Size((24, 24, 48), (48, 64, 96, 128), (2, 2, 2, 2), 1),
    "18": Size((32, 32, 64), (64, 128, 256, 512), (2, 2, 2, 2), 1),
    "50": Size((32, 32, 64), (64, 64, 64, 64), (3, 4, 6, 3), 4),
    "101": Size((32, 32, 64), (64, 64, 64, 64), (3, 4, 23, 3), 4),
}
"""The plain one is an 18 of a quarter of the width. 50 and 101 keep 64 channels at every depth, as the
published xresnet1d50 and 101 for ECGs do."""
SIZES = tuple(_SIZES)


class Block(nn.Module):
    """Two convolutions, or three around a bottleneck, and a shortcut that averages before it projects."""

    def __init__(self, inputs: int, middle: int, expansion: int, stride: int) -> None:
        super().__init__()
        outputs = middle * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [
                *normed_convolution(inputs, middle, 1),
                nn.ReLU(),
                *normed_convolution(middle, middle, KERNEL, stride),
            ]
            layers += [nn.ReLU(), *normed_convolution(middle, outputs, 1)]
        else:
            layers += [*normed_convolution(inputs, outputs, KERNEL, stride), nn.ReLU()]
            layers += normed_convolution(outputs, outputs, KERNEL)
        self.convolutions = nn.Sequential(*layers)
        # a block that starts as the identity trains more steadily (Goyal et al. 2017)
        last = self.convolutions[-1]
        assert isinstance(last, nn.BatchNorm1d)
        nn.init.zeros_(last.weight)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool1d(2, 2, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            self.shortcut.extend(normed_convolution(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        return F.relu(self.convolutions(x) + self.shortcut(x))


class XResNet1d(Encoder):
    """See the module; steps are 320 ms."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(pairwise((12, *size.stem))):
            stem += [*normed_convolution(inputs, outputs, KERNEL, 2 if i == 0 else 1), nn.ReLU()]
        self.stem = nn.Sequential(*stem, nn.MaxPool1d(3, 2, 1))
        layers: list[nn.Module] = []
        inputs = size.stem[-1]
        for i, (middle, count) in enumerate(zip(size.widths, size.blocks, strict=True)):
            blocks: list[nn.Module] = []
            for b in range(count):
                blocks.append(Block(inputs, middle, size.expansion, 2 if i and not b else 1))
                inputs = middle * size.expansion
            layers.append(nn.Sequential(*blocks))
        self.layers = nn.Sequential(*layers)
        self.width = inputs

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.stem, *self.layers

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, E, T / 32]."""
        return self.layers(self.stem(x_BLT))


def build(size: str = "") -> Encoder:
    """A freshly initialised encoder."""
    return XResNet1d(_SIZES[size])
