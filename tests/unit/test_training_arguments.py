"""What is stated on the command line or in the fields of a page becomes the same training options."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from exchangeai.errors import InvalidArgument
from exchangeai.facts import Method, Precision, TrainingOptions
from exchangeai.rpc.training_options import options_from_proto, options_to_proto, stated_options
from exchangeai.training_arguments import add_compare, add_finetune


def parsed(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_finetune(commands)
    add_compare(commands)
    return vars(parser.parse_args(list(arguments)))


def test_what_is_not_stated_has_its_default() -> None:
    told = parsed("finetune", "d", "--architecture", "tiny_cnn", "--name", "m")
    assert stated_options(told) == TrainingOptions()
    told = parsed("compare", "d", "--architectures", "a,b", "--name", "m", "--seeds", "4,5")
    assert stated_options(told) == TrainingOptions()
    assert (told["architectures"], told["seeds"], told["label_shares"]) == (("a", "b"), (4, 5), ())


def test_every_option_can_be_stated_and_crosses_the_wire() -> None:
    wanted = TrainingOptions(
        max_epochs=3,
        batch_size=7,
        learning_rate=0.25,
        patience=2,
        seed=9,
        processes=2,
        method=Method.LINEAR_PROBE,
        layer_decay=0.75,
        weight_decay=0.0,
        accumulate=4,
        precision=Precision.BFLOAT16,
        compile=True,
        average=0.0,
        label_smoothing=0.1,
        mixup=0.2,
        class_weights=True,
        gradient_clip=0.0,
        augmentations=("noise", "gain"),
        label_share=0.1,
        find_learning_rate=True,
        int8=True,
    )
    flags = ("compile", "class_weights", "find_learning_rate", "int8")
    arguments = ["finetune", "d", "--architecture", "tiny_cnn", "--name", "m"]
    for name in TrainingOptions.__dataclass_fields__:
        value = getattr(wanted, name)
        assert value != getattr(TrainingOptions(), name), name
        arguments.append(f"--{name.replace('_', '-')}")
        if name not in flags:
            arguments.append(",".join(value) if isinstance(value, tuple) else str(value))
    assert stated_options(parsed(*arguments)) == wanted
    assert options_from_proto(options_to_proto(wanted)) == wanted


def test_no_augmentations_are_not_the_default() -> None:
    told = parsed("finetune", "d", "--architecture", "a", "--name", "m", "--augmentations", "none")
    assert stated_options(told).augmentations == ()


def test_fields_of_a_page_are_texts_and_blanks() -> None:
    assert stated_options({"seed": "4", "learning_rate": "0.01", "patience": "", "max_epochs": None}) == (
        TrainingOptions(seed=4, learning_rate=0.01)
    )
    with pytest.raises(InvalidArgument, match="seed"):
        stated_options({"seed": "four"})


def test_what_is_stated_goes_before_a_preset() -> None:
    preset = replace(TrainingOptions(), max_epochs=50, mixup=0.3)
    assert stated_options({"max_epochs": 2, "mixup": None}, preset) == replace(preset, max_epochs=2)
