"""Crafted files that break the contract: inputs, outputs, manifests, golden records, torn bytes."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from exchangeai.facts import Task
from exchangeai.model_file import MANIFEST_KEY, Golden, Manifest, ModelClass, pack_window, write_manifest
from exchangeai.testing.models import synthetic_window, tiny_graph, tiny_manifest, tiny_model
from tests.contract.corpus_parts import DOUBLE, FLOAT, Crafted, case, constant


@case(r"inputs are \['x'\]")
def wrong_input_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"


@case("inputs are .*'age'")
def second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("age", FLOAT, ["batch", 1]))


@case(r"inputs are \[\]")
def input_that_is_a_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 12, 5000), np.float32), "ecg"))


@case("free batch size")
def fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


@case(r"\['batch', 12, 1000\]")
def other_rate(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1000


@case("is double")
def double_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = DOUBLE


@case("outputs are .*must be")
def missing_output(model: onnx.ModelProto) -> None:
    del model.graph.output[3]


@case("outputs are .*must be")
def output_twice(model: onnx.ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


@case("'logits' is double")
def double_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = DOUBLE


@case("'logits' .*5 classes")
def classes_of_another_model(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7


@case("'embedding' .*2 axes")
def rank_of_embedding(model: onnx.ModelProto) -> None:
    model.graph.output[2].type.tensor_type.shape.dim.add().dim_value = 1


@case("not valid ONNX")
def same_name_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(model.graph.node[0])


@case("not valid ONNX")
def weights_of_another_shape(model: onnx.ModelProto) -> None:
    weight = next(x for x in model.graph.initializer if x.name == "w_classes")
    weight.CopyFrom(numpy_helper.from_array(np.ones((5, 9), np.float32), "w_classes"))


@case("not valid ONNX")
def weights_that_claim_a_terabyte(model: onnx.ModelProto) -> None:
    weight = next(x for x in model.graph.initializer if x.name == "w_classes")
    weight.dims[:] = [1 << 19, 1 << 19]


@case("probabilities are not between 0 and 1")
def probabilities_that_are_none(model: onnx.ModelProto) -> None:
    """Right on the golden record (where all are positive), wrong beside it."""
    node = next(x for x in model.graph.node if x.output[0] == "probabilities")
    node.output[0] = "p"
    constant(model, "half", 2.0, np.float32)
    constant(model, "hinge", 5.0, np.float32)
    model.graph.node.append(helper.make_node("Mul", ["p", "half"], ["p2"]))
    model.graph.node.append(helper.make_node("Mul", ["p2", "hinge"], ["probabilities"]))
    outputs = ReferenceEvaluator(model).run(["logits", "probabilities"], {"ecg": _golden_window()})
    _answer(model, outputs)


def _golden_window() -> Any:
    return synthetic_window(seed=1)[None]


def _answer(model: onnx.ModelProto, outputs: Any) -> None:
    manifest = tiny_manifest(tiny_graph())
    assert manifest.golden is not None
    golden = replace(
        manifest.golden,
        logits=tuple(map(float, outputs[0][0])),
        probabilities=tuple(map(float, outputs[1][0])),
    )
    write_manifest(model, replace(manifest, golden=golden))


def _with(manifest: Manifest) -> bytes:
    return write_manifest(tiny_graph(), manifest)


def _raw(*texts: str) -> bytes:
    graph = tiny_graph()
    for text in texts:
        graph.metadata_props.add(key=MANIFEST_KEY, value=text)
    return graph.SerializeToString()


def manifests() -> Iterator[Crafted]:
    good = tiny_manifest(tiny_graph())
    text = msgspec.json.encode(good).decode()
    swapped = (good.leads[1], good.leads[0], *good.leads[2:])
    first = good.classes[0]
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "manifest_version": ("version", {"version": 2}),
        "lead_order": ("leads", {"leads": swapped}),
        "unit": ("unit", {"unit": "uV"}),
        "rate": ("sampling_rate_hz", {"sampling_rate_hz": 100.0}),
        "length": ("window_samples", {"window_samples": 1000}),
        "no_classes": ("no classes", {"classes": ()}),
        "class_twice": ("twice", {"classes": (first, *good.classes[:4])}),
        "class_without_name": (
            "class name",
            {"classes": (replace(first, name=""), *good.classes[1:])},
        ),
        "class_with_control_characters": (
            "class name",
            {"classes": (replace(first, name="NORM\x1b[2J\n"), *good.classes[1:])},
        ),
        "threshold": (
            "threshold",
            {"classes": (ModelClass(name="NORM", threshold=7.0), *good.classes[1:])},
        ),
        "single_label_that_does_not_add_up": ("add up to 1", {"task": Task.SINGLE_LABEL}),
        "no_golden_record": ("no golden record", {"golden": None}),
    }
    for name, (says, change) in changes.items():
        yield Crafted(name=name, data=_with(replace(good, **change)), says=says)
    yield Crafted(name="no_manifest", data=_raw(), says="no manifest")
    yield Crafted(name="two_manifests", data=_raw(text, text), says="no manifest")
    yield Crafted(name="broken_json", data=_raw(text[:-2]), says="malformed")
    yield Crafted(name="json_of_another_kind", data=_raw("[1, 2]"), says="malformed")
    yield Crafted(name="nested_json", data=_raw('{"extra":' * 100_000), says="malformed")
    yield Crafted(name="python_in_place_of_json", data=_raw("__import__('os').abort()"), says="malformed")
    yield Crafted(name="metadata_bomb", data=_raw(" " * (17 << 20)), says="metadata has more than")


def goldens() -> Iterator[Crafted]:
    good = tiny_manifest(tiny_graph())
    assert good.golden is not None
    golden, shape = good.golden, (12, 5000)
    off = tuple(x + 1e-3 for x in golden.logits)
    bomb = base64.b64encode(zlib.compress(bytes(1 << 24), 9)).decode()
    changes: dict[str, tuple[str, Golden]] = {
        "golden_of_other_weights": ("logits differ", replace(golden, logits=off)),
        "golden_with_a_loose_tolerance": ("logits differ", replace(golden, logits=off, tolerance=1e9)),
        "golden_of_fewer_classes": ("one value for each class", replace(golden, logits=off[:2])),
        "golden_zlib_bomb": ("golden record", replace(golden, window=bomb)),
        "golden_no_base64": ("golden record", replace(golden, window="no base64!")),
        "golden_short": ("golden record", replace(golden, window=golden.window[:400])),
        "golden_of_nan": (
            "differ|not finite",
            replace(golden, window=pack_window(np.full(shape, np.nan, np.float32))),
        ),
    }
    for name, (says, change) in changes.items():
        yield Crafted(name=name, data=_with(replace(good, golden=change)), says=says)
    graph = tiny_graph()
    flat = np.zeros(shape, np.float32)
    outputs = ReferenceEvaluator(graph).run(["logits", "probabilities"], {"ecg": flat[None]})
    logits, probabilities = (tuple(map(float, np.asarray(x)[0])) for x in outputs)
    told = replace(golden, window=pack_window(flat), logits=logits, probabilities=probabilities)
    yield Crafted(name="golden_flat", data=_with(replace(good, golden=told)), says="flat")


def torn() -> Iterator[Crafted]:
    good = tiny_model()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        says = "not an ONNX model|manifest|golden|outputs|inputs"
        yield Crafted(name=f"truncated_{share}", data=good[: int(len(good) * share)], says=says)
    latin = good.replace(b"saliency", b"sali\xe9ncy"[:8])
    yield Crafted(name="name_that_is_no_text", data=latin, says="no text")
    yield Crafted(name="empty", data=b"", says="not an ONNX model")
    yield Crafted(name="zeros", data=bytes(4096), says="not an ONNX model")
    yield Crafted(name="text", data=b"model = torch.load('x')\n" * 50, says="not an ONNX model")
    nested = b""
    for _ in range(5000):
        # GraphProto.node (1) of NodeProto.attribute (5) of AttributeProto.g (6), again and again.
        for field in (6, 5, 1):
            nested = bytes([field << 3 | 2]) + _varint(len(nested)) + nested
    whole = bytes([7 << 3 | 2]) + _varint(len(nested)) + nested
    yield Crafted(name="nested_graphs", data=whole, says="not an ONNX model")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
