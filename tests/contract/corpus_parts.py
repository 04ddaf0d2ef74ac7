"""What crafted model files are made with: a list of them, and ways to change a small good graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


@dataclass(frozen=True, kw_only=True)
class Crafted:
    """One file."""

    name: str
    data: bytes
    says: str
    """Regular expression that the reason must match."""
    kills: bool = False
    """Refused by the limits of the sandbox alone: it is given little time."""


Spoil = Callable[[onnx.ModelProto], None]
SPOILT: list[tuple[str, str, Spoil, bool]] = []
"""Name, words of the reason, what changes the good graph, and whether only the sandbox stops it."""


def case(says: str, *, kills: bool = False) -> Callable[[Spoil], Spoil]:
    """Note a way to spoil a good graph, and what must be said of it."""

    def note(spoil: Spoil) -> Spoil:
        SPOILT.append((spoil.__name__, says, spoil, kills))
        return spoil

    return note


def before_all(model: onnx.ModelProto, *nodes: onnx.NodeProto, replaces: str = "ecg") -> None:
    """Put nodes first, the last of which gives `changed`, which takes the place of the signal."""
    for node in model.graph.node:
        node.input[:] = ["changed" if x == replaces else x for x in node.input]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def constant(model: onnx.ModelProto, name: str, value: Any, kind: Any = np.int64) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))


def made_of(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Add the first element of the tensor `huge` to the signal."""
    constant(model, "at", 0)
    flat = helper.make_node("Reshape", ["huge", "all"], ["flat"])
    constant(model, "all", [-1])
    first = helper.make_node("Gather", ["flat", "at"], ["picked"])
    before_all(model, *nodes, flat, first, helper.make_node("Add", ["ecg", "picked"], ["changed"]))
