"""What the commands that train take from the command line; loads neither gRPC nor what trains."""

from __future__ import annotations

import argparse
from typing import Any

from exchangeai.facts import AUGMENTATIONS, Method, Precision, TrainingOptions
from exchangeai.int8 import INT8_MOST_LOSS, INT8_SUFFIX

_DEFAULTS = TrainingOptions()
_COUNTS = {
    "max_epochs": "at most so many epochs",
    "batch_size": "windows a step",
    "patience": "end after so many epochs without gain",
    "processes": "processes to train with",
    "accumulate": "parts that a step is taken in, to save memory",
}
_NUMBERS = {
    "learning_rate": "at its peak",
    "layer_decay": "share of the rate for each earlier stage of a base model",
    "weight_decay": "of AdamW",
    "average": "decay a step of the moving average of the weights, 0 for none",
    "label_smoothing": "0 for none",
    "mixup": "parameter of its Beta distribution, 0 for none",
    "gradient_clip": "greatest norm of a gradient, 0 for no limit",
}
_SWITCHES = {
    "compile": "compile the network first",
    "class-weights": "weigh rare classes more",
    "find-learning-rate": "search for the peak rate first",
    "int8": "also make the model in numbers of eight bits, smaller and faster on CPUs; published with the "
    f"name's end {INT8_SUFFIX} if it loses at most {INT8_MOST_LOSS:g} of macro-AUROC on validation",
}


def add_finetune(commands: Any) -> None:
    """The command `finetune`."""
    parser = commands.add_parser(
        "finetune",
        help="train a model on a data set of the platform",
        description="Queue a run, follow it and print the model's digest. The same options and seed give the "
        "same digest as on the page. Ctrl-C leaves the run running. Exit status: 0 the model is published, "
        "1 the run failed or was cancelled, 2 wrong usage or no connection, 130 no longer followed.",
    )
    _add_door(parser)
    _add_dataset(parser)
    parser.add_argument("--architecture", required=True, help="what to train; see `exchangeai models list`")
    parser.add_argument("--base", default="", metavar="NAME[:VERSION]", help="model to start from")
    parser.add_argument("--name", required=True, help="name of the model to publish")
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="ready-made options: quick, balanced or thorough; those stated go first",
    )
    parser.add_argument("--method", choices=[x.value for x in Method], help="what is trained (default: full)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and variation (default: 0)")
    parser.add_argument(
        "--label-share", type=float, metavar="SHARE", help="share of the training patients (default: 1)"
    )
    _add_options(parser)


def add_compare(commands: Any) -> None:
    """The command `compare`."""
    parser = commands.add_parser(
        "compare",
        help="train several architectures and rank them",
        description="Queue every architecture with every seed, follow them and print the leaderboard. It "
        "is ranked by the score on validation; the test score is shown beside it. Ctrl-C leaves the runs "
        "running. Exit status: as of finetune.",
    )
    _add_door(parser)
    _add_dataset(parser)
    parser.add_argument(
        "--architectures", required=True, type=_texts, metavar="A,B,...", help="what to train"
    )
    parser.add_argument("--seeds", type=_integers, default=(0, 1, 2), metavar="0,1,2", help="default: 0,1,2")
    parser.add_argument(
        "--label-shares",
        type=_floats,
        default=(),
        metavar="0.01,0.1",
        help="also train with these shares of the training patients",
    )
    parser.add_argument("--name", required=True, help="models are named after it and their architecture")
    _add_options(parser)


def add_runs(commands: Any) -> None:
    """The command `runs`."""
    parser = commands.add_parser("runs", help="list, follow, cancel or continue runs and comparisons")
    parser.add_argument("action", choices=("list", "follow", "log", "cancel", "resume"))
    parser.add_argument("id", nargs="?", default="", help="of a run or a comparison")
    _add_door(parser)


def _add_door(parser: Any) -> None:
    parser.add_argument(
        "--to",
        default="127.0.0.1:50053",
        metavar="HOST:PORT",
        help="the trainer (default: %(default)s, where `exchangeai up` has it)",
    )


def _add_dataset(parser: Any) -> None:
    parser.add_argument("dataset", help="id of the data set, which its page shows")


def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("options of training")
    for names, kind in ((_COUNTS, int), (_NUMBERS, float)):
        for name, text in names.items():
            group.add_argument(
                f"--{name.replace('_', '-')}",
                type=kind,
                metavar="N" if kind is int else "X",
                help=f"{text} (default: {getattr(_DEFAULTS, name):g})",
            )
    group.add_argument("--precision", choices=[x.value for x in Precision], help="default: float32")
    for name, text in _SWITCHES.items():
        group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=text)
    group.add_argument(
        "--augmentations",
        type=_texts,
        metavar="A,B,...",
        help=f"of {', '.join(AUGMENTATIONS)}; `none` for none (default: {','.join(_DEFAULTS.augmentations)})",
    )


def _texts(text: str) -> tuple[str, ...]:
    return tuple(x.strip() for x in text.split(",") if x.strip() not in ("", "none"))


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(x) for x in text.split(","))


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(x) for x in text.split(","))
