"""SE-ResNet wide: few, wide residual blocks of long kernels that weigh their channels, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, SqueezeExcite, normed_convolution

SUMMARY = "SE-ResNet, wide, kernels of 15: the kind that won PhysioNet 2021 (Han et al. 2021, DSAIL-SNU)."
RANK = 50

KERNEL = 15
WIDTHS = (48, 96, 128, 192)
BLOCKS = 2
DROPOUT = 0.1
SQUEEZE = 8


class Block(nn.Module):
    """Two convolutions with dropout between (Zagoruyko and Komodakis 2016), then squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *normed_convolution(inputs, outputs, KERNEL, stride),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            *normed_convolution(outputs, outputs, KERNEL),
        )
        self.excite = SqueezeExcite(outputs, outputs // SQUEEZE)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool1d(2, 2, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            self.shortcut.extend(normed_convolution(inputs, outputs, 1))

    def forward(self, x_BET: Tensor, valid_B1T: Tensor) -> Tensor:
        """Convolve, weigh and add."""
        return F.relu(self.excite(self.convolutions(x_BET), valid_B1T) + self.shortcut(x_BET))


class SeResNet(Encoder):
    """See the module; steps are 160 ms."""

    width = WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*normed_convolution(12, WIDTHS[0], KERNEL, 2), nn.ReLU())
        self.blocks = nn.ModuleList()
        inputs = WIDTHS[0]
        for i, width in enumerate(WIDTHS):
            for b in range(BLOCKS):
                self.blocks.append(Block(inputs, width, 2 if i and not b else 1))
                inputs = width

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.stem, *self.blocks

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 192, T / 16]."""
        x = self.stem(x_BLT)
        for block in self.blocks:
            x = block(x, valid_B1T)
        return x


def build() -> Encoder:
    """A freshly initialised encoder."""
    return SeResNet()
