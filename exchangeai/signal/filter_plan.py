"""The matrices by which a two-way recursive filter is run in blocks, made once for each length of signal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from exchangeai.signal.modes import Complex, Modes, Real, powers_of, two_way_modes
from exchangeai.signal.profiles import Profile

Float32 = npt.NDArray[np.float32]

BLOCK = 64
GROUP = 4
"""Samples of a block and blocks of a group; measured: the products are large enough to run at full speed
and the blocks short enough not to multiply by much more than the recursion would."""
GROUPS_AT_ONCE = 20
"""Groups over which memories are carried on by one product."""
NEGLIGIBLE = 1e-12
"""Smaller factors are zero: they are far below float32, and denormal numbers make the products ten times
slower."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """What signals of every length share; memories are rows [past n | future n]."""

    block: int
    group: int
    memories: Float32
    """[block, 2n]: input of a block to what it leaves behind."""
    within: Float32
    """[group * 2n, group * 2n]: what blocks leave to what later (earlier) blocks of the group find."""
    entering: Float32
    """[2n, group * 2n]: what a group finds to what its blocks find."""
    leaving: Float32
    """[group * 2n, 2n]: what blocks leave to what the group leaves."""
    onwards: Float32
    """[(g + 1) n, (g + 1) n]: what enters and what g groups leave, to what each and the next find."""
    output: Float32
    """[block + 2n, block]: input and both memories of a block to its output."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How signals of one length are filtered."""

    kernel: Kernel
    groups: int
    appended: int
    """Samples of the reflection at the end that are filtered along to fill the last group."""
    before: Float32
    """[pad + 1, n]: first samples to the past's memory at the first."""
    after: Float32
    """[pad + 1, n]: last samples to the future's memory at the last."""
    turn: Float32
    """[n, n]: the past's memory after the last sample to the future's memory there."""

    @property
    def blocks(self) -> int:
        """Of one lead."""
        return self.groups * self.kernel.group


@lru_cache(maxsize=64)
def plan_for(profile: Profile, rate_hz: float, samples: int) -> Plan | None:
    """Of `Profile.zpk` at this rate, at least two samples; None when there is nothing to filter.

    Raises InvalidArgument when the rate or the profile's band is impossible.
    """
    modes = _modes(profile, rate_hz)
    if modes is None or samples == 0:
        return None
    pad = profile.pad_samples(rate_hz, samples)
    block, group = _layout(samples, pad)
    groups = -(-samples // (block * group))
    appended = groups * block * group - samples
    after, turn = _turning(modes, pad, appended)
    return Plan(
        kernel=_kernel(profile, rate_hz, block, group),
        groups=groups,
        appended=appended,
        before=_single(_starting(modes, pad)),
        after=_single(after),
        turn=_single(turn),
    )


@lru_cache(maxsize=32)
def _modes(profile: Profile, rate_hz: float) -> Modes | None:
    zeros, poles, gain = profile.zpk(rate_hz)
    return two_way_modes(zeros, poles, gain) if len(poles) else None


@lru_cache(maxsize=32)
def _kernel(profile: Profile, rate_hz: float, block: int, group: int) -> Kernel:
    modes = _modes(profile, rate_hz)
    assert modes is not None
    n = modes.size
    lags = np.abs(np.arange(block)[:, None] - np.arange(block))
    powers = powers_of(modes.poles, block)
    nearest_last = modes.memory(powers[::-1])
    fades = [modes.step(block * i) for i in range(group)]
    within = _triangle([np.zeros((n, n)), *fades], group)
    further = [modes.step(block * group * i) for i in range(GROUPS_AT_ONCE + 1)]
    read = modes.readout(modes.two_way * powers)
    return Kernel(
        block=block,
        group=group,
        memories=_single(np.concatenate([nearest_last, nearest_last[::-1]], axis=1)),
        within=_single(_interleaved(within.reshape(group, n, group, n))),
        entering=_single(_interleaved(np.concatenate(fades, axis=1).reshape(1, n, group, n))),
        leaving=_single(_interleaved(np.concatenate(fades[::-1]).reshape(group, n, 1, n))),
        onwards=_single(_triangle(further, len(further))),
        output=_single(np.concatenate([modes.impulse_response(block)[lags], read.T, read[::-1].T])),
    )


def _layout(samples: int, pad: int) -> tuple[int, int]:
    """Block and group with the least to append, and less than the reflection: its last sample stays apart."""
    block = min(BLOCK, samples, max(1, pad))
    sizes = [(block, group) for group in range(GROUP, 0, -1)]
    possible = [x for x in sizes if -samples % (x[0] * x[1]) < pad]
    # A group less costs what a tenth more samples does.
    return min(possible, key=lambda x: -samples % (x[0] * x[1]) / samples + 0.1 * (GROUP - x[1]))


def _starting(modes: Modes, pad: int) -> Real:
    """[pad + 1, n]: first samples to the memory of the reflection before them, and of its end for ever."""
    powers = powers_of(modes.poles, pad + 1)
    out = np.zeros((pad + 1, len(modes.poles)), np.complex128)
    out[1:] = -powers[:-1]
    for_ever = powers[pad] / (1 - modes.poles)
    out[0] = 2 * powers[:-1].sum(axis=0) + 2 * for_ever
    out[pad] -= for_ever
    return modes.memory(out)


def _turning(modes: Modes, pad: int, appended: int) -> tuple[Real, Real]:
    """Last samples [pad + 1, n], and the past's memory after them [n, n], to the future's memory there.

    scipy runs back from the end of the reflection as if its last output had always been there. In the
    separated form that is: memory of the way back, minus X times the memory of the way forward, where
    X = A X A + b c solves the coupling of the two (here X_ij = h_j / (1 - p_i p_j)).
    """
    poles, h = modes.to_all_poles(modes.poles), modes.to_all_poles(modes.one_way)
    left = pad - appended
    powers = powers_of(poles, left + 1)

    def folded(weights: Complex) -> Complex:
        """Weights of the reflection's first samples after the appended to those of the signal's last."""
        out = np.zeros((pad + 1, *weights.shape[1:]), np.complex128)
        out[0] = 2 * weights.sum(axis=0)
        out[appended + 1 : appended + 1 + len(weights)] -= weights
        return out

    last_x = np.zeros(pad + 1)
    last_x[0], last_x[pad] = 2, -1
    forward_x = folded(powers[left - 1 :: -1])
    forward_s = np.diag(powers[left])
    output_x = modes.direct * last_x + folded(powers[: left - 1][::-1]) @ h
    output_s = powers[left - 1] * h
    coupling = (h / (1 - poles[:, None] * poles)).T
    scale = modes.to_all_poles(modes.mirrored)
    back_x = (output_x[:, None] / (1 - poles) - forward_x @ coupling) / scale
    back_s = (output_s[:, None] / (1 - poles) - forward_s @ coupling) / scale
    after = back_x * powers[left] + folded(powers[:left])
    turn = modes.all_from_memory() @ (back_s * powers[left])
    kept = len(modes.poles)
    return modes.memory(after[::-1, :kept]), modes.memory(turn[:, :kept])


def _triangle(powers: list[Real], count: int) -> Real:
    """[count * n, count * n] with powers[j - i] at block i, j: what is left at i arrives at all later j."""
    n = len(powers[0])
    out = np.zeros((count, n, count, n))
    for i in range(count):
        for j in range(i, count):
            out[i, :, j] = powers[j - i]
    return out.reshape(count * n, count * n)


def _interleaved(past: Real) -> Real:
    """[r, n, c, n] of the past's memories to [r * 2n, c * 2n] of both; the future's run the other way."""
    r, n, c, _ = past.shape
    out = np.zeros((r, 2, n, c, 2, n))
    out[:, 0, :, :, 0] = past
    out[:, 1, :, :, 1] = past[::-1, :, ::-1]
    return out.reshape(r * 2 * n, c * 2 * n)


def _single(matrix: Real) -> Float32:
    return np.ascontiguousarray(np.where(np.abs(matrix) < NEGLIGIBLE, 0, matrix), np.float32)
