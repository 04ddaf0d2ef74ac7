"""S4D: four bidirectional diagonal state-space layers behind a strided stem, on 100 Hz.

Activations lie as [H, B, T]: then the position-wise maps are one matrix product and the long convolutions
one batched product with a Toeplitz matrix, which on a CPU is several times as fast as Fourier transforms at
these lengths. Shapes: H features, B batch, T time, N conjugate pairs of states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.trainer.layers import Encoder, at_steps, undecayed

SUMMARY = "S4D: bidirectional state-space layers (Gu et al. 2022; Mehari and Strodthoff 2023)."
RANK = 30

_WIDTHS = {"": 256, "512": 512}
SIZES = tuple(_WIDTHS)
STATES = 8
LAYERS = 4
STEM = 64
DROPOUT = 0.2
FASTEST, SLOWEST = 1e-1, 1e-3
"""Time steps of the features at the start, of a step of the sequence."""
EPSILON = 1e-5


class LongConvolution(nn.Module):
    """Convolves each feature with a kernel as long as the sequence both ways; [H, B, T] → [H, B, T].

    The kernel of a diagonal state-space model with states A = -exp(a) + i·ω, discretised by zero-order hold,
    is K[t] = 2·Re Σₙ Cₙ (exp(Δ Aₙ) - 1) / Aₙ · exp(Δ Aₙ t) (S4D-Lin: Gu et al. 2022, section 3), written out
    in real numbers, which ONNX has.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self._steps = steps
        both = 2 * width  # forwards, then backwards
        self.log_dt = undecayed(torch.empty(both).uniform_(math.log(SLOWEST), math.log(FASTEST)))
        self.log_decay = undecayed(torch.full((both, STATES), math.log(0.5)))
        self.frequency = undecayed(math.pi * torch.arange(STATES, dtype=torch.float32).repeat(both, 1))
        self.output = nn.Parameter(torch.randn(2, both, STATES) * math.sqrt(0.5))
        self.direct = nn.Parameter(torch.randn(width))

    def forward(self, x_HBT: Tensor) -> Tensor:
        """Convolve."""
        steps = self._steps
        # matrix[h, i, t] = kernel[h, steps - 1 + t - i]
        matrix_HTT = self.kernel().flip(1).unfold(1, steps, 1).flip(2)
        return torch.bmm(x_HBT, matrix_HTT.to(x_HBT.dtype))

    def kernel(self) -> Tensor:
        """From the earliest offset, 1 - T, to the latest, T - 1, float32 [H, 2 T - 1]."""
        with torch.autocast("cuda" if self.log_dt.is_cuda else "cpu", enabled=False):
            halves = self._halves()
        forwards, backwards = halves.chunk(2)
        now = forwards[:, :1] + self.direct[:, None]
        return torch.cat([backwards[:, : self._steps - 1].flip(1), now, forwards[:, 1:]], dim=1)

    def _halves(self) -> Tensor:
        dt_H1 = torch.exp(self.log_dt)[:, None]
        real, imaginary = -torch.exp(self.log_decay), self.frequency
        radius, angle = dt_H1 * real, dt_H1 * imaginary
        # (exp(Δ A) - 1) / A
        grown = torch.exp(radius)
        held_real, held_imaginary = grown * torch.cos(angle) - 1, grown * torch.sin(angle)
        square = real * real + imaginary * imaginary
        input_real = (held_real * real + held_imaginary * imaginary) / square
        input_imaginary = (held_imaginary * real - held_real * imaginary) / square
        c, d = self.output[0], self.output[1]
        gain_real = c * input_real - d * input_imaginary
        gain_imaginary = c * input_imaginary + d * input_real
        t = torch.arange(self._steps, dtype=torch.float32, device=dt_H1.device)
        size_HNT = torch.exp(radius[..., None] * t)
        phase_HNT = angle[..., None] * t
        states_HNT = torch.cat([size_HNT * torch.cos(phase_HNT), size_HNT * torch.sin(phase_HNT)], dim=1)
        gains_H1N = torch.cat([gain_real, -gain_imaginary], dim=1)[:, None]
        return 2 * torch.bmm(gains_H1N, states_HNT)[:, 0]

    def materialise(self) -> nn.Module:
        """The same with the kernel made, for the export."""
        return _Materialised(self.kernel().detach(), self._steps)


class _Materialised(nn.Module):
    """Spreads the kernel by an index: the file stays small, and the runtime makes the matrix on loading.

    In ONNX Runtime the matrix product takes a tenth to a fortieth of a grouped convolution's time.
    """

    kernel: Tensor
    offsets: Tensor

    def __init__(self, kernel: Tensor, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self.register_buffer("kernel", kernel)
        t = torch.arange(steps)
        self.register_buffer("offsets", (steps - 1 + t[None, :] - t[:, None]).flatten())

    def forward(self, x_HBT: Tensor) -> Tensor:
        """Convolve."""
        matrix = self.kernel.index_select(1, self.offsets)
        return torch.bmm(x_HBT, matrix.reshape(-1, self._steps, self._steps))


class Block(nn.Module):
    """Normalise, convolve, mix the features through a gate, and add."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.gain = undecayed(torch.ones(width, 1, 1))
        self.offset = undecayed(torch.zeros(width, 1, 1))
        self.convolution = LongConvolution(width, steps)
        mix = nn.Linear(width, 2 * width)
        self.mix = nn.Parameter(mix.weight.detach())
        self.bias = undecayed(mix.bias.detach()[:, None])

    def forward(self, x_HBT: Tensor, valid_1BT: Tensor) -> Tensor:
        """[H, B, T]; padding is zero where it enters the convolution, so it reaches no valid step."""
        width, batch, steps = x_HBT.shape
        y = F.gelu(self.convolution(_normalised(x_HBT, valid_1BT, self.gain, self.offset)))
        y = _tied_dropout(y, self.training)
        mixed = torch.addmm(self.bias, self.mix, y.reshape(width, batch * steps))
        gated = F.glu(mixed, dim=0).reshape(width, batch, steps)
        return x_HBT + _tied_dropout(gated, self.training)


class S4d(Encoder):
    """See the module; steps are 20 ms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        steps = round(self.crop_s * self.rate_hz) // 2
        self.stem = nn.Sequential(
            nn.Conv1d(12, STEM, 5, padding=2, bias=False),
            nn.BatchNorm1d(STEM),
            nn.ReLU(),
            nn.Conv1d(STEM, width, 5, stride=2, padding=2),
        )
        self.blocks = nn.ModuleList(Block(width, steps) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)

    def stages(self) -> Sequence[nn.Module]:
        """From input to output."""
        return self.stem, *self.blocks, self.norm

    def forward(self, x_BLT: Tensor, valid_B1T: Tensor) -> Tensor:
        """Features [B, H, T / 2]; the sum of the layers is kept in float32 under autocast."""
        x_HBT = self.stem(x_BLT).float().transpose(0, 1).contiguous()
        valid_1BT = at_steps(valid_B1T, x_HBT.shape[2]).transpose(0, 1)
        for block in self.blocks:
            x_HBT = block(x_HBT, valid_1BT)
        return self.norm(x_HBT.permute(1, 2, 0)).transpose(1, 2)


def _normalised(x_HBT: Tensor, valid_1BT: Tensor, gain_H11: Tensor, offset_H11: Tensor) -> Tensor:
    """Layer normalisation over H (Ba et al. 2016), zero where not valid."""
    variance, mean = torch.var_mean(x_HBT, dim=0, keepdim=True, correction=0)
    scale_1BT = torch.rsqrt(variance + EPSILON) * valid_1BT
    return (x_HBT - mean) * scale_1BT * gain_H11 + offset_H11 * valid_1BT


def _tied_dropout(x_HBT: Tensor, training: bool) -> Tensor:
    """Drops a feature of a record at all times or at none, so that it does not flicker."""
    if not training:
        return x_HBT
    kept = torch.rand(*x_HBT.shape[:2], 1, device=x_HBT.device) >= DROPOUT
    return x_HBT * (kept.to(x_HBT.dtype) / (1 - DROPOUT))


def build(size: str = "") -> Encoder:
    """A freshly initialised encoder."""
    return S4d(_WIDTHS[size])
