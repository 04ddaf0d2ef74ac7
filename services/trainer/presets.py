"""Named sets of training options for people who do not want to choose each: quick, balanced, thorough.

They differ in how many steps are taken and in how much the windows are varied; the number of epochs follows
from the size of the data set, so that a small set is seen more often than a large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exchangeai.facts import Method, TrainingOptions

FINETUNED_RATE_SHARE = 0.3
"""Of the rate from scratch: weights that know something are not to be thrown far."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Options with what they are for."""

    name: str
    summary: str
    options: TrainingOptions


@dataclass(frozen=True, kw_only=True)
class _Measure:
    name: str
    scratch: str
    base: str
    steps: int
    epochs: tuple[int, int]
    """Fewest and most, however large the data set."""
    method: Method
    """With a base model."""
    average: float
    mixup: float
    augmentations: tuple[str, ...]


_MEASURES = (
    _Measure(
        name="quick",
        scratch="A first look at whether the labels can be learnt at all.",
        base="Only a new last layer on the base model's features: the least that may do.",
        steps=400,
        epochs=(3, 15),
        method=Method.LINEAR_PROBE,
        average=0.99,
        mixup=0.0,
        augmentations=("gain",),
    ),
    _Measure(
        name="balanced",
        scratch="What suits most data sets.",
        base="Every layer, the early ones more slowly: what suits most data sets.",
        steps=2000,
        epochs=(5, 40),
        method=Method.FULL,
        average=0.998,
        mixup=0.0,
        augmentations=("gain", "lead_loss", "noise"),
    ),
    _Measure(
        name="thorough",
        scratch="Longer, with more variation of the windows: for the model that is to be kept.",
        base="Every layer, longer, with more variation of the windows: for the model that is to be kept.",
        steps=8000,
        epochs=(10, 100),
        method=Method.FULL,
        average=0.999,
        mixup=0.2,
        augmentations=("gain", "lead_loss", "noise", "wander", "time_out"),
    ),
)


def presets(windows: int, learning_rate: float, *, from_base: bool, seed: int = 0) -> Sequence[Preset]:
    """The presets for a training part of so many windows, the least work first.

    `learning_rate` is what suits the architecture from scratch.
    """
    batch_size = 32 if windows < 4000 else 64 if windows < 40_000 else 128
    steps_an_epoch = max(1, windows // batch_size)
    made: list[Preset] = []
    for x in _MEASURES:
        low, high = x.epochs
        epochs = min(high, max(low, round(x.steps / steps_an_epoch)))
        method = x.method if from_base else Method.FULL
        gentle = from_base and method is Method.FULL
        options = TrainingOptions(
            max_epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate * (FINETUNED_RATE_SHARE if gentle else 1.0),
            patience=max(3, epochs // 4),
            seed=seed,
            method=method,
            average=x.average,
            mixup=x.mixup,
            augmentations=x.augmentations,
        )
        made.append(Preset(name=x.name, summary=x.base if from_base else x.scratch, options=options))
    return made
