"""CRNN: convolutions that shorten, then a recurrent network that reads both ways, on 100 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from services.trainer.layers import Encoder, at_steps, normed_convolution

SUMMARY = "CRNN: convolutions, then a bidirectional LSTM (Zihlmann et al. 2017)."
RANK = 70

WIDTHS = (48, 96, 128)
KERNEL = 7
HIDDEN = 128


class Crnn(Encoder):
    """See the module; steps are 80 ms."""

    width = 2 * HIDDEN

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((12, *WIDTHS), WIDTHS, strict=False):
            layers += [*normed_convolution(inputs, outputs, KERNEL, 2), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.recurrent = nn.LSTM(WIDTHS[-1], HIDDEN, bidirectional=True, batch_first=True)

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.convolutions, self.recurrent

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 256, T / 8]."""
        x_BET = self.convolutions(x_BLT)
        # the backward reading begins in the padding, which must say nothing
        x_BET = x_BET * at_steps(valid_B1T, x_BET.shape[2])
        return cast(Tensor, self.recurrent(x_BET.transpose(1, 2))[0]).transpose(1, 2)


def build() -> Encoder:
    """A freshly initialised encoder."""
    return Crnn()
