"""Crafted graphs that want all memory or all time."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.contract.corpus_parts import FLOAT, INT64, case, constant, made_of


@case("17179869184 elements")
def constant_of_shape_bomb(model: onnx.ModelProto) -> None:
    constant(model, "shape", [2**34])
    made_of(model, helper.make_node("ConstantOfShape", ["shape"], ["huge"]))


@case("elements for 1 ECG")
def expand_bomb(model: onnx.ModelProto) -> None:
    constant(model, "shape", [100_000, 1, 12, 5000])
    made_of(model, helper.make_node("Expand", ["ecg", "shape"], ["huge"]))


@case("elements for 1 ECG")
def tile_bomb(model: onnx.ModelProto) -> None:
    constant(model, "repeats", [1, 1000, 1000])
    made_of(model, helper.make_node("Tile", ["ecg", "repeats"], ["huge"]))


@case("elements for 1 ECG")
def resize_bomb(model: onnx.ModelProto) -> None:
    constant(model, "scales", [1, 1, 100_000], np.float32)
    made_of(model, helper.make_node("Resize", ["ecg", "", "scales"], ["huge"], mode="nearest"))


@case("elements for 1 ECG")
def range_bomb(model: onnx.ModelProto) -> None:
    for name, value in (("begin", 0), ("end", 2**40), ("step", 1)):
        constant(model, name, value)
    made_of(
        model,
        helper.make_node("Range", ["begin", "end", "step"], ["counted"]),
        helper.make_node("Cast", ["counted"], ["huge"], to=FLOAT),
    )


@case("elements for 1 ECG")
def pad_bomb(model: onnx.ModelProto) -> None:
    constant(model, "pads", [0, 0, 0, 0, 0, 2**36])
    made_of(model, helper.make_node("Pad", ["ecg", "pads"], ["huge"]))


@case("elements for 1 ECG")
def outer_product_bomb(model: onnx.ModelProto) -> None:
    constant(model, "column", [0, 60_000, 1])
    constant(model, "row", [0, 1, 60_000])
    made_of(
        model,
        helper.make_node("Reshape", ["ecg", "column"], ["tall"]),
        helper.make_node("Reshape", ["ecg", "row"], ["wide"]),
        helper.make_node("MatMul", ["tall", "wide"], ["huge"]),
    )


@case("68719476736 elements")
def bomb_computed_in_the_graph(model: onnx.ModelProto) -> None:
    """Its size stands nowhere in the file: constants are multiplied until it is 2^36."""
    constant(model, "part", [2**18])
    made_of(
        model,
        helper.make_node("Mul", ["part", "part"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
    )


@case("68719476736 elements")
def bomb_computed_from_the_shape(model: onnx.ModelProto) -> None:
    """Not to be folded when the model is loaded, because it depends on the batch."""
    constant(model, "part", [2**18])
    constant(model, "axis", [0])
    made_of(
        model,
        helper.make_node("Shape", ["ecg"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "axis"], ["batch"]),
        helper.make_node("Mul", ["part", "batch"], ["rows"]),
        helper.make_node("Mul", ["part", "rows"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
    )


@case("elements for 64 ECG")
def bomb_that_grows_with_the_square_of_the_batch(model: onnx.ModelProto) -> None:
    """Less than a GiB for a batch of three, as vetting tries it."""
    constant(model, "part", [2**23])
    constant(model, "axis", [0])
    made_of(
        model,
        helper.make_node("Shape", ["ecg"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "axis"], ["batch"]),
        helper.make_node("Mul", ["batch", "batch"], ["square"]),
        helper.make_node("Mul", ["part", "square"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
    )


@case("sparse weights")
def sparse_weight_of_a_vast_shape(model: onnx.ModelProto) -> None:
    """One value in the file; whoever runs it makes it dense."""
    one = numpy_helper.from_array(np.ones(1, np.float32), "vast")
    place = numpy_helper.from_array(np.zeros(1, np.int64), "place")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(one, place, [2**40]))
    made_of(model, helper.make_node("Identity", ["vast"], ["huge"]))


@case("depends on the values of the signal")
def size_from_the_signal(model: onnx.ModelProto) -> None:
    """Small on its golden record, and as large as some other signal says."""
    made_of(
        model,
        helper.make_node("ReduceMax", ["ecg"], ["peak"], keepdims=0),
        helper.make_node("Cast", ["peak"], ["whole"], to=INT64),
        helper.make_node("Abs", ["whole"], ["positive"]),
        helper.make_node("Reshape", ["positive", "all"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
    )


@case("NonZero gives depends on the values")
def counted_from_the_signal(model: onnx.ModelProto) -> None:
    made_of(
        model,
        helper.make_node("NonZero", ["ecg"], ["places"]),
        helper.make_node("Cast", ["places"], ["huge"], to=FLOAT),
    )


@case("took longer", kills=True)
def slow_graph(model: onnx.ModelProto) -> None:
    """Within the bounds of size and of nodes, but of 100,000 GFLOPs."""
    constant(model, "wide", [0, 60, 1000])
    nodes = [
        helper.make_node("Reshape", ["ecg", "wide"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["columns", "rows"], ["square0"]),
    ]
    for i in range(2000):
        nodes.append(helper.make_node("MatMul", [f"square{i}"] * 2, [f"product{i}"]))
        nodes.append(helper.make_node("Tanh", [f"product{i}"], [f"square{i + 1}"]))
    made_of(model, *nodes, helper.make_node("Identity", ["square2000"], ["huge"]))
