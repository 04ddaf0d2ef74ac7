"""Training options to their message and back: for the trainer, for whoever asks it, and for recipes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchangeai.errors import InvalidArgument
from exchangeai.facts import Method, Precision, TrainingOptions
from exchangeai.v1 import run_pb2

_METHOD = {
    Method.FULL: run_pb2.METHOD_FULL,
    Method.LINEAR_PROBE: run_pb2.METHOD_LINEAR_PROBE,
    Method.ATTENTION_HEAD: run_pb2.METHOD_ATTENTION_HEAD,
}
_METHOD_OF = {theirs: ours for ours, theirs in _METHOD.items()}


def options_to_proto(options: TrainingOptions) -> run_pb2.TrainingOptions:
    """Every option, stated."""
    return run_pb2.TrainingOptions(
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        patience=options.patience,
        seed=options.seed,
        processes=options.processes,
        method=_METHOD[options.method],
        layer_decay=options.layer_decay,
        weight_decay=options.weight_decay,
        accumulate=options.accumulate,
        bfloat16=options.precision is Precision.BFLOAT16,
        compile=options.compile,
        average=options.average,
        label_smoothing=options.label_smoothing,
        mixup=options.mixup,
        class_weights=options.class_weights,
        gradient_clip=options.gradient_clip,
        augmentations=run_pb2.Augmentations(names=options.augmentations),
        label_share=options.label_share,
        find_learning_rate=options.find_learning_rate,
        int8=options.int8,
    )


def options_from_proto(
    message: run_pb2.TrainingOptions, defaults: TrainingOptions | None = None
) -> TrainingOptions:
    """Options with defaults in place of what is absent, and of zeros where zero makes no sense."""
    d = defaults or TrainingOptions()

    def stated(name: str) -> float:
        return getattr(message if message.HasField(name) else d, name)

    return TrainingOptions(
        max_epochs=message.max_epochs or d.max_epochs,
        batch_size=message.batch_size or d.batch_size,
        learning_rate=message.learning_rate or d.learning_rate,
        patience=message.patience or d.patience,
        seed=message.seed,
        processes=message.processes or d.processes,
        method=_METHOD_OF.get(message.method, d.method),
        layer_decay=stated("layer_decay"),
        weight_decay=stated("weight_decay"),
        accumulate=message.accumulate or d.accumulate,
        precision=Precision.BFLOAT16 if message.bfloat16 else d.precision,
        compile=message.compile or d.compile,
        average=stated("average"),
        label_smoothing=stated("label_smoothing"),
        mixup=stated("mixup"),
        class_weights=bool(stated("class_weights")),
        gradient_clip=stated("gradient_clip"),
        augmentations=tuple(
            message.augmentations.names if message.HasField("augmentations") else d.augmentations
        ),
        label_share=stated("label_share"),
        find_learning_rate=message.find_learning_rate or d.find_learning_rate,
        int8=message.int8 or d.int8,
    )


def stated_options(stated: Mapping[str, object], defaults: TrainingOptions | None = None) -> TrainingOptions:
    """Options from what a person stated, by the names of their fields; None and empty text mean the default.

    Raises InvalidArgument for what cannot be such an option; whether its value is in range the service says.
    """
    given = {name: value for name, value in stated.items() if value is not None and value != ""}
    known: dict[str, object] = msgspec.to_builtins(defaults or TrainingOptions())
    try:
        return msgspec.convert({**known, **given}, TrainingOptions, strict=False)
    except msgspec.ValidationError as e:
        raise InvalidArgument(f"a training option makes no sense: {e}") from e
