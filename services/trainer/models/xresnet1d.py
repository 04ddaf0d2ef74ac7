"""xresnet1d: an 18-layer residual network with the deep stem and averaged shortcuts, on 100 Hz."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Entry, mean_over_valid

SUMMARY = (
    "xresnet1d18, narrow: residual network with a three-layer stem (He et al. 2019; Strodthoff et al. 2021)."
)
RANK = 10
"""First: as accurate as the others on PTB-XL in our measurements, and the fastest to train."""

KERNEL = 5
STEM = (24, 24, 48)
WIDTHS = (48, 64, 96, 128)
DROPOUT = 0.3


def _convolve(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
    ]


class Block(nn.Module):
    """Two convolutions and a shortcut that averages before it projects."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolve(inputs, outputs, KERNEL, stride), nn.ReLU(), *_convolve(outputs, outputs, KERNEL)
        )
        # a block that starts as the identity trains more steadily (Goyal et al. 2017)
        last = self.convolutions[-1]
        assert isinstance(last, nn.BatchNorm1d)
        nn.init.zeros_(last.weight)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool1d(2, 2, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            self.shortcut.extend(_convolve(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        return F.relu(self.convolutions(x) + self.shortcut(x))


class XResNet1d(nn.Module):
    """See the module; steps are 320 ms."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.entry = Entry()
        stem: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(zip((12, *STEM), STEM, strict=False)):
            stem += [*_convolve(inputs, outputs, KERNEL, 2 if i == 0 else 1), nn.ReLU()]
        self.stem = nn.Sequential(*stem, nn.MaxPool1d(3, 2, 1))
        blocks: list[nn.Module] = []
        inputs = STEM[-1]
        for i, outputs in enumerate(WIDTHS):
            blocks += [Block(inputs, outputs, 1 if i == 0 else 2), Block(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x_BLT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (logits_BC, embedding_BE, features_BET)."""
        x, valid = self.entry(x_BLT)
        features_BET = self.blocks(self.stem(x))
        embedding_BE = mean_over_valid(features_BET, valid)
        return self.head(self.dropout(embedding_BE)), embedding_BE, features_BET


def build(classes: int) -> nn.Module:
    """A freshly initialised network for so many classes."""
    return XResNet1d(classes)
