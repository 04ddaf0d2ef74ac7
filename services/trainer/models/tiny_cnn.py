"""A tiny convolutional network for quick looks, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from services.trainer.layers import Encoder, normed_convolution

SUMMARY = "Tiny CNN: five strided convolutions (after Wang, Yan and Oates 2017), for quick looks."
RANK = 90

WIDTHS = (16, 32, 48, 64, 64)
KERNELS = (7, 5, 5, 5, 3)


class TinyCnn(Encoder):
    """See the module; steps are 320 ms."""

    width = WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in zip((12, *WIDTHS), WIDTHS, KERNELS, strict=False):
            layers += [*normed_convolution(inputs, outputs, kernel, 2), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return (self.layers,)

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 64, T / 32]."""
        return self.layers(x_BLT)


def build() -> Encoder:
    """A freshly initialised encoder."""
    return TinyCnn()
