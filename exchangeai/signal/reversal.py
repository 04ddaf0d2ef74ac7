"""Electrodes that were exchanged: told from how the leads of the typical beat go together.

An exchange turns some leads over and swaps others, and the chest leads bear witness against the limb leads
(Kors and van Herpen, J Electrocardiol 34 Suppl, 2001). For each exchange a logistic regression was fitted to
real ECGs and the same with that exchange worked out; `benchmarks/accuracy_reversal.py` fits it, and measures
sensitivity and specificity on other patients. docs/quality.md has the figures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from exchangeai.signal.typical_beat import LENGTH

WAVES = ((2, 10), (11, 18), (19, 37))
"""Blocks of the beat that hold P, QRS, and ST with T."""
STEPS = (2, 5, 8, 11, 13, 14, 15, 16, 18, 23, 28, 33, LENGTH)
"""Bounds of the stretches in which the course of each lead is kept: finer in the QRS."""
PROBABLE = 3.0
"""Score, a logarithm of odds, from which an exchange is very probable: odds twenty times those from which it
is flagged. docs/quality.md has sensitivity and specificity at both limits."""
FAINT = 0.05
"""Part of the beat's mean amplitude below which a wave says nothing about its direction."""
MIN_BLOCK_RATE_HZ, MAX_BLOCK_RATE_HZ = 45.0, 55.0
"""The stretches are counted in blocks of 20 ms."""

_PAIRS = np.triu_indices(8)
_LEADS = np.arange(8)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Electrodes that seem exchanged."""

    electrodes: tuple[str, ...]
    """`RA LA`; three that went round: `RA LA LL` when RA holds what LA should, LA what LL should."""

    probable: bool = False
    """Far beyond the limit from which it is suspected."""

    @property
    def flag(self) -> str:
        """`exchanged_RA_LA`."""
        return "_".join(("exchanged", *self.electrodes))

    @property
    def of_limbs(self) -> bool:
        """Whether they belong on arms and legs."""
        return not self.electrodes[0].startswith("V")

    @property
    def misleads(self) -> bool:
        """Whether the frontal plane is wrong: a model or a reader would find an infarction or a wrong axis.

        LA with LL turns it little, and neighbours on the chest change a few leads.
        """
        return self.of_limbs and self.electrodes != ("LA", "LL")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One regression for each exchange."""

    exchanges: tuple[Exchange, ...]
    weights: npt.NDArray[np.float64]
    """[exchanges, 228]."""
    offsets: npt.NDArray[np.float64]
    """[exchanges]; the score is above 0 where the exchange is to be flagged."""

    def scores(self, beats_mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """[n, exchanges] of typical beats [n, 8, 37]."""
        return beat_features(beats_mv) @ self.weights.T + self.offsets


def exchanged_electrodes(
    beat_mv: npt.NDArray[np.float32], block_rate_hz: float, weights: Weights | None = None
) -> Exchange | None:
    """The exchange that the typical beat [I II V1-V6, 37] speaks for, None when for none enough.

    Several exchanges look alike to someone who knows only what is normal; it is the one that leaves the most
    normal beat when it is undone. None too where blocks are not about 20 ms long. `weights` are those of the
    platform where None.
    """
    if not MIN_BLOCK_RATE_HZ <= block_rate_hz <= MAX_BLOCK_RATE_HZ:
        return None
    fitted = weights or stored_weights()
    scores = fitted.scores(beat_mv[None])[0]
    if scores.max() <= 0:
        return None
    named = fitted.exchanges[_named(beat_mv, scores, fitted)]
    same_kind = [i for i, x in enumerate(fitted.exchanges) if x.misleads == named.misleads]
    return replace(named, probable=bool(scores[same_kind].max() >= PROBABLE))


def _named(beat_mv: npt.NDArray[np.float32], scores: npt.NDArray[np.float64], fitted: Weights) -> int:
    best = int(scores.argmax())
    # With the right leg's electrode on an arm a lead is lost, which cannot be undone.
    possible = [i for i in np.flatnonzero(scores > 0) if "RL" not in fitted.exchanges[i].electrodes]
    if "RL" in fitted.exchanges[best].electrodes or len(possible) == 1:
        return best
    matrices = np.stack([exchange_matrix(fitted.exchanges[i].electrodes) for i in possible])
    undone = np.linalg.inv(matrices).astype(np.float32) @ beat_mv
    return int(possible[int(fitted.scores(undone).max(1).argmin())])


def exchange_matrix(electrodes: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """[8, 8]: leads I II V1-V6 as recorded, from those that should be, when each electrode named lies where
    the next one should, and the last where the first should.

    Potentials are told from that of the right arm; the right leg, far from the heart, has that of the left
    one.
    """
    names = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6", "RL")
    place = np.zeros((len(names), 8))
    place[1, 0] = place[2, 1] = place[9, 1] = 1
    for i in range(6):
        place[3 + i, [0, 1]] = 1 / 3
        place[3 + i, 2 + i] = 1
    at: dict[str, npt.NDArray[np.float64]] = dict(zip(names, place, strict=True))
    for here, there in zip(electrodes, (*electrodes[1:], electrodes[0]), strict=True):
        at[here] = place[names.index(there)]
    terminal = (at["RA"] + at["LA"] + at["LL"]) / 3
    chest = [at[f"V{i}"] - terminal for i in range(1, 7)]
    return np.stack([at["LA"] - at["RA"], at["LL"] - at["RA"], *chest]).astype(np.float32)


def beat_features(beats_mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the regression sees of typical beats [n, 8, 37]: float64 [n, 228], whatever their amplitude.

    The course of each lead in twelve stretches; and for P, QRS and T the correlation of each lead with each
    (near 0 where a wave is faint) and the logarithm of its amplitude.
    """
    beats = np.asarray(beats_mv, np.float64)
    flat = beats.reshape(len(beats), -1)
    scale = np.sqrt(np.vecdot(flat, flat) / flat.shape[1])
    beats = beats / np.maximum(scale, 1e-6)[:, None, None]
    courses, in_wave = _cuts()
    waves = beats[:, None] * in_wave[:, None]
    products = waves @ waves.transpose(0, 1, 3, 2)
    size = np.sqrt(products[..., _LEADS, _LEADS]) + FAINT
    correlation = products[..., _PAIRS[0], _PAIRS[1]]
    correlation /= size[..., _PAIRS[0]] * size[..., _PAIRS[1]]
    of_waves = np.concatenate([correlation, np.log(size)], axis=2)
    return np.concatenate(
        [(beats @ courses).reshape(len(beats), -1), of_waves.reshape(len(beats), -1)], axis=1
    )


@lru_cache(maxsize=1)
def _cuts() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[37, 12] that averages over the stretches of `STEPS`, and [3, 37] that is 1 within each wave."""
    at = np.arange(LENGTH)
    courses = [((at >= a) & (at < b)) / (b - a) for a, b in pairwise(STEPS)]
    return np.stack(courses, axis=1), np.stack([(at >= a) & (at < b) for a, b in WAVES]).astype(np.float64)


@lru_cache(maxsize=1)
def stored_weights() -> Weights:
    """Those beside this file."""
    stored = json.loads(resources.files("exchangeai.signal").joinpath("reversal.json").read_text("utf-8"))
    return Weights(
        exchanges=tuple(Exchange(electrodes=tuple(x["electrodes"])) for x in stored),
        weights=np.array([x["weights"] for x in stored], np.float64),
        offsets=np.array([x["offset"] for x in stored], np.float64),
    )
