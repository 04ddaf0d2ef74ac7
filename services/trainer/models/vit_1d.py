"""ViT-1d: a transformer over short patches of all leads, on 100 Hz.

The patches are made by two normalised convolutions: with them a transformer without pre-training learns
sooner and further than with one linear map (Xiao et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, at_steps, normed_convolution, undecayed

SUMMARY = "ViT-1d: transformer over patches of 100 ms (Dosovitskiy et al. 2021; Xiao et al. 2021)."
RANK = 60
LEARNING_RATE = 5e-4

WIDTH = 192
HEADS = 3
DEPTH = 6
STEM = 64
PATCH = 5
"""Steps of the stem, which halves the rate."""
STEPS = 50
DROPOUT = 0.1
INITIAL_SPREAD = 0.02


class Attention(nn.Module):
    """Every step looks at all valid ones; [B, T, E] → [B, T, E]."""

    def __init__(self) -> None:
        super().__init__()
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x_BTE: Tensor, unseen_B11T: Tensor) -> Tensor:
        """Attend (Vaswani et al. 2017); `unseen` is added to the scores."""
        batch, steps, _ = x_BTE.shape
        split = self.queries_keys_values(x_BTE).reshape(batch, steps, 3, HEADS, WIDTH // HEADS)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        mask_BHTT = unseen_B11T.to(q.dtype).expand(batch, 1, steps, steps)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BHTT)
        return self.out(seen.transpose(1, 2).reshape(batch, steps, WIDTH))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added after."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.perceptron = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x_BTE: Tensor, unseen_B11T: Tensor) -> Tensor:
        """Attend, then map each step."""
        x_BTE = x_BTE + self.dropout(self.attention(self.norm(x_BTE), unseen_B11T))
        return x_BTE + self.dropout(self.perceptron(x_BTE))


class Vit1d(Encoder):
    """See the module; steps are 100 ms. Crops are longer: attention is for what lies apart."""

    crop_s = 5.0
    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            *normed_convolution(12, STEM, 7, 2),
            nn.ReLU(),
            nn.Conv1d(STEM, WIDTH, PATCH, PATCH, bias=False),
            nn.BatchNorm1d(WIDTH),
        )
        self.positions = undecayed(INITIAL_SPREAD * torch.randn(1, STEPS, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_SPREAD)
                nn.init.zeros_(module.bias)

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        entry = nn.Module()
        entry.patches, entry.positions = self.patches, self.positions
        return entry, *self.blocks, self.norm

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, 192, T / 10]."""
        x_BTE = self.patches(x_BLT).transpose(1, 2) + self.positions
        # not minus infinity: in a crop of padding alone all scores would be, and the softmax no number
        unseen_B11T = -1e4 * (1.0 - at_steps(valid_B1T, STEPS))[:, :, None]
        for block in self.blocks:
            x_BTE = block(x_BTE, unseen_B11T)
        return self.norm(x_BTE).transpose(1, 2)


def build() -> Encoder:
    """A freshly initialised encoder."""
    return Vit1d()
