"""Take a recursive filter that is run forwards and backwards apart into modes that run independently.

A filter H(z) with simple poles p, run both ways, is H(z) H(1/z) = g + sum r / (z - p) + sum r / (1/z - p):
one memory per pole that only the past fills, one that only the future fills, and a gain. So both directions
can be computed at once, from the input alone (partial fractions; Oppenheim and Schafer, Discrete-Time
Signal Processing, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidArgument

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

CLOSEST_POLES = 1e-3
"""Separation relative to the distance from the unit circle below which partial fractions lose digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Modes:
    """The memory of a two-way filter, in n real coordinates; row vectors: `next = state @ step(1)`.

    A state holds sum p^m x over the input m + 1 samples away, as real and imaginary part of every pole
    with its conjugate, or as one number for a real pole.
    """

    poles: Complex
    """[m], without the conjugates of complex ones."""
    one_way: Complex
    """[m]: residues of H, one pass."""
    two_way: Complex
    """[m]: residues of H(z) H(1/z)."""
    mirrored: Complex
    """[m]: H(1/p), by which the future's memory is scaled so that both directions have the same residues."""
    direct: float
    """H at infinity: what one pass takes from the sample itself."""
    centre: float
    """What both passes take from the sample itself."""

    @property
    def size(self) -> int:
        """Number n of real coordinates, the order of the filter."""
        return len(self._mode)

    def memory(self, complex_states: Complex) -> Real:
        """[..., m] complex to [..., n] real coordinates."""
        chosen = complex_states[..., self._mode]
        return np.where(self._imaginary, chosen.imag, chosen.real)

    def readout(self, residues: Complex) -> Real:
        """[..., m] residues to the [..., n] weights that make an output of a memory."""
        chosen = (residues * np.where(self._is_real, 1, 2))[..., self._mode]
        return np.where(self._imaginary, -chosen.imag, chosen.real)

    def step(self, samples: int) -> Real:
        """[n, n]: what becomes of a memory over so many samples without input."""
        return self.memory(self._basis * self.poles**samples)

    def impulse_response(self, samples: int) -> Real:
        """Both passes' response at lags 0 to `samples` - 1; the other side is the same."""
        one_side = (self.two_way * powers_of(self.poles, samples - 1)).real
        return np.append(self.centre, one_side @ np.where(self._is_real, 1.0, 2.0))

    def to_all_poles(self, kept: Complex) -> Complex:
        """[..., m] to [..., n]: the conjugates appended."""
        return np.concatenate([kept, np.conj(kept[..., ~self._is_real])], axis=-1)

    def all_from_memory(self) -> Complex:
        """[n, n] complex: a memory to the states of all poles, conjugates last."""
        return self.to_all_poles(self._basis)

    @property
    def _is_real(self) -> npt.NDArray[np.bool_]:
        return self.poles.imag == 0

    @property
    def _mode(self) -> npt.NDArray[np.intp]:
        return np.repeat(np.arange(len(self.poles)), np.where(self._is_real, 1, 2))

    @property
    def _imaginary(self) -> npt.NDArray[np.bool_]:
        mode = self._mode
        return np.append(False, mode[1:] == mode[:-1])

    @property
    def _basis(self) -> Complex:
        out = np.zeros((self.size, len(self.poles)), np.complex128)
        out[np.arange(self.size), self._mode] = np.where(self._imaginary, 1j, 1)
        return out


def powers_of(poles: Complex, count: int) -> Complex:
    """[count, poles]: powers 0 to `count` - 1; by multiplication, which is faster than logarithms."""
    steps = np.broadcast_to(poles, (count, len(poles))).copy()
    steps[:1] = 1
    return np.multiply.accumulate(steps, axis=0)


def two_way_modes(zeros: Complex, poles: Complex, gain: float) -> Modes:
    """Of a stable filter with as many zeros as poles. Raises InvalidArgument when two poles coincide."""
    distance = np.abs(poles[:, None] - poles) + 2 * np.eye(len(poles))
    if (distance.min(axis=1) < CLOSEST_POLES * (1 - np.abs(poles))).any():
        raise InvalidArgument(
            "this band makes a filter with a double pole; move one of its ends by a percent"
        )
    poles = np.where(np.abs(poles.imag) < 1e-3 * distance.min(axis=1), poles.real + 0j, poles)
    to_others = poles[:, None] - poles + np.eye(len(poles))
    one_way = gain * np.prod(poles[:, None] - zeros, axis=1) / np.prod(to_others, axis=1)
    # H(1/p) in a form that holds for a pole at 0 as well.
    mirrored = (
        gain * np.prod(1 - poles[:, None] * zeros, axis=1) / np.prod(1 - poles[:, None] * poles, axis=1)
    )
    centre = gain**2 + np.sum(one_way[:, None] * one_way / (1 - poles[:, None] * poles))
    kept = poles.imag >= 0
    return Modes(
        poles=poles[kept],
        one_way=one_way[kept],
        two_way=(one_way * mirrored)[kept],
        mirrored=mirrored[kept],
        direct=gain,
        centre=float(centre.real),
    )
