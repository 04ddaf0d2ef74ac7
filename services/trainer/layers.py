"""What every architecture is made with: the encoder's contract, the entry from 500 Hz, and the pools.

Shapes: B batch, L lead, T time, E embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_HZ = 500
TAPS_PER_STEP = 10
CUTOFF = 0.4
"""Of the encoder's rate: -6 dB here leaves nothing to fold back from beyond its half."""


class Encoder(nn.Module):
    """From a crop at the encoder's own rate to features over time: what an architecture file builds.

    Its rate and crop are its own business: `services.trainer.network` brings the tensor contract to them.
    """

    rate_hz: ClassVar[int] = 100
    """A divisor of 500."""
    crop_s: ClassVar[float] = 2.5
    """Seconds seen at once, a divisor of 10: a random stretch in training, all stretches side by side when
    predicting, their features averaged. Short crops train faster and no less well
    (Mehari and Strodthoff 2023)."""
    dropout: ClassVar[float] = 0.2
    """Before the last layer."""
    width: int
    """Features, E."""

    def stages(self) -> Sequence[nn.Module]:
        """Its parts from input to output: fine-tuning gives earlier ones lower rates."""
        raise NotImplementedError

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, E, steps] of x [B, 12, T] mV; `valid` is 0 where x is padding."""
        raise NotImplementedError


class Entry(nn.Module):
    """From 500 Hz to the encoder's rate with the mean of each lead removed; padding stays zero."""

    taps: Tensor

    def __init__(self, rate_hz: int = 100) -> None:
        super().__init__()
        if INPUT_HZ % rate_hz:
            raise ValueError(f"an encoder's rate must divide {INPUT_HZ} Hz; {rate_hz} Hz does not")
        self._step = INPUT_HZ // rate_hz
        count = TAPS_PER_STEP * self._step + 1 if self._step > 1 else 1
        taps = lowpass_taps(count, CUTOFF * rate_hz)
        self.register_buffer("taps", taps.reshape(1, 1, count), persistent=False)

    def forward(self, x_BLT: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x [B, 12, T / step], valid [B, 1, T / step] of 0 and 1).

        Padding is where all leads are exactly zero. The mean is taken over the valid steps only, so a
        device's offset does not turn into a step at the padding's edge.
        """
        batch, leads, length = x_BLT.shape
        loudest_B1T = x_BLT.abs().amax(dim=1, keepdim=True)
        valid = (F.max_pool1d(loudest_B1T, self._step, self._step) > 0).to(x_BLT.dtype)
        x = x_BLT
        if self._step > 1:
            rows = x_BLT.reshape(batch * leads, 1, length)
            x = F.conv1d(rows, self.taps, stride=self._step, padding=self.taps.shape[2] // 2)
            x = x.reshape(batch, leads, length // self._step)
        offset = (x * valid).sum(dim=2, keepdim=True) / valid.sum(dim=2, keepdim=True).clamp(min=1.0)
        return (x - offset) * valid, valid


class MeanPool(nn.Module):
    """Mean over the valid steps."""

    def forward(self, features_BET: Tensor, valid_B1T: Tensor) -> tuple[Tensor, Tensor]:
        """Return (embedding [B, E], contributions [B, E, T]): the former is the latter's valid mean."""
        return mean_over_valid(features_BET, valid_B1T), features_BET


class AttentionPool(nn.Module):
    """Each head weighs the steps by a learned query and averages its share of the features."""

    HEADS = 8

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = math.gcd(self.HEADS, width)
        self.scores = nn.Conv1d(width, self.heads, 1)
        nn.init.zeros_(self.scores.weight)  # begins as the mean

    def forward(self, features_BET: Tensor, valid_B1T: Tensor) -> tuple[Tensor, Tensor]:
        """Return (embedding [B, E], contributions [B, E, T]): the former is the latter's valid mean."""
        batch, width, steps = features_BET.shape
        scores_BHT = self.scores(features_BET) - 1e4 * (1.0 - valid_B1T)
        weights_BHT = torch.softmax(scores_BHT, dim=2) * valid_B1T.sum(dim=2, keepdim=True).clamp(min=1.0)
        grouped = features_BET.reshape(batch, self.heads, width // self.heads, steps)
        contributions_BET = (grouped * weights_BHT[:, :, None]).reshape(batch, width, steps)
        return mean_over_valid(contributions_BET, valid_B1T), contributions_BET


class SqueezeExcite(nn.Module):
    """Weighs the channels by what they hold on average (Hu et al. 2018); [B, E, T] → [B, E, T]."""

    def __init__(self, width: int, squeezed: int, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(width, squeezed), activation(), nn.Linear(squeezed, width), nn.Sigmoid()
        )

    def forward(self, x_BET: Tensor, valid_B1T: Tensor) -> Tensor:
        """Padding takes no part in the average; `valid` may have other steps."""
        mean_BE = mean_over_valid(x_BET, at_steps(valid_B1T, x_BET.shape[2]))
        return x_BET * self.weigh(mean_BE)[:, :, None]


def normed_convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the length (over the stride) and its batch normalisation."""
    return [nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(outputs)]


def undecayed(values: Tensor) -> nn.Parameter:
    """A parameter that weight decay must not pull to zero, where zero has no special meaning."""
    parameter: Any = nn.Parameter(values)
    parameter.decays = False
    return cast(nn.Parameter, parameter)


def lowpass_taps(taps: int, cutoff_hz: float, rate_hz: float = INPUT_HZ) -> Tensor:
    """Hamming-windowed sinc of unit gain at 0 Hz, float32 [taps]; -6 dB at the cut-off."""
    if taps == 1:
        return torch.ones(1)
    n = [i - (taps - 1) / 2 for i in range(taps)]
    ratio = 2 * cutoff_hz / rate_hz
    values = [
        ratio
        * (1.0 if i == 0 else math.sin(math.pi * ratio * i) / (math.pi * ratio * i))
        * (0.54 + 0.46 * math.cos(2 * math.pi * i / (taps - 1)))
        for i in n
    ]
    total = sum(values)
    return torch.tensor([v / total for v in values], dtype=torch.float32)


def at_steps(valid_B1T: Tensor, steps: int) -> Tensor:
    """Which of so many steps of equal length over the same time are valid, [B, 1, steps]."""
    length = valid_B1T.shape[2]
    if steps == length:
        return valid_B1T
    middles = [min(length - 1, int((i + 0.5) * length / steps)) for i in range(steps)]
    return valid_B1T[:, :, torch.tensor(middles, device=valid_B1T.device)]


def mean_over_valid(features_BET: Tensor, valid_B1T: Tensor) -> Tensor:
    """Mean over the valid steps, [B, E]; `valid` [B, 1, T] has the features' steps."""
    return (features_BET * valid_B1T).sum(dim=2) / valid_B1T.sum(dim=2).clamp(min=1.0)
