"""Presets: how much work a run may be, in one word, made into options for an architecture and a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from exchangeai.facts import Method, TrainingOptions
from services.trainer import epoch_steps


class PresetName(StrEnum):
    """How much work a run may be."""

    QUICK = "quick"
    BALANCED = "balanced"
    THOROUGH = "thorough"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Ready-made options."""

    name: PresetName
    summary: str
    """One sentence for people."""
    options: TrainingOptions


FEW, MANY = 2_000, 20_000
"""Training recordings of a small and of a large data set."""
FEW_FOR_ALL_LAYERS = 500
"""With fewer recordings than this, all layers of a base model would rather forget than learn."""
STEPS_REMEMBERED = 0.05
"""The moving average looks back over this share of all steps."""
LONGEST_AVERAGE = 0.999
FINE_TUNING = 0.3
"""Share of the rate from scratch at which the layers of a base model learn."""
_EPOCHS = {
    # in a small, a middling and a large data set: the larger it is, the fewer times it has to be seen
    PresetName.QUICK: (10, 5, 3),
    PresetName.BALANCED: (30, 20, 12),
    PresetName.THOROUGH: (80, 50, 25),
}
_AUGMENTATIONS = {
    PresetName.QUICK: ("gain",),
    PresetName.BALANCED: ("gain", "lead_loss", "noise"),
    PresetName.THOROUGH: ("gain", "lead_loss", "noise", "wander", "time_out"),
}
_WORDS = {
    PresetName.QUICK: "A first look: is there anything to learn",
    PresetName.BALANCED: "A good model in reasonable time",
    PresetName.THOROUGH: "The best model that the data allow, with patience",
}
_METHOD_WORDS = {
    Method.FULL: "all layers",
    Method.LINEAR_PROBE: "the last layer only",
    Method.ATTENTION_HEAD: "pooling and last layer only",
}


def presets(learning_rate: float, recordings: int, *, from_base: bool) -> tuple[Preset, ...]:
    """Quick, balanced, thorough for an architecture's peak rate and so many training recordings."""
    return tuple(_preset(name, learning_rate, recordings, from_base) for name in PresetName)


def _preset(name: PresetName, learning_rate: float, recordings: int, from_base: bool) -> Preset:
    size = (recordings >= FEW) + (recordings >= MANY)
    epochs = _EPOCHS[name][size]
    method = _method(name, recordings) if from_base else Method.FULL
    batch = 64 if recordings >= MANY else 32 if recordings >= FEW_FOR_ALL_LAYERS else 16
    steps = epochs * epoch_steps.steps(recordings, recordings, batch, 1)
    options = replace(
        TrainingOptions(),
        max_epochs=epochs,
        batch_size=batch,
        learning_rate=learning_rate * (FINE_TUNING if from_base and method is Method.FULL else 1.0),
        patience=max(3, epochs // 4),
        method=method,
        layer_decay=0.7 if name is PresetName.THOROUGH else 0.5,
        average=round(min(LONGEST_AVERAGE, max(0.0, 1 - 1 / max(1.0, STEPS_REMEMBERED * steps))), 4),
        mixup=0.2 if name is PresetName.THOROUGH and method is Method.FULL else 0.0,
        augmentations=_AUGMENTATIONS[name],
    )
    varied = len(options.augmentations)
    summary = (
        f"{_WORDS[name]}: {_METHOD_WORDS[method]}, at most {epochs} epochs, windows varied in "
        f"{varied} way{'' if varied == 1 else 's'}{', mixed' if options.mixup else ''}."
    )
    return Preset(name=name, summary=summary, options=options)


def _method(name: PresetName, recordings: int) -> Method:
    if name is PresetName.QUICK:
        return Method.LINEAR_PROBE
    return Method.FULL if recordings >= FEW_FOR_ALL_LAYERS else Method.ATTENTION_HEAD
