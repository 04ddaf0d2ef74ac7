"""Crafted graphs: external data wherever a tensor may stand, foreign operators, loops, chance."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.contract.corpus_parts import before_all, case, constant


def small(shape: tuple[int, ...] = (1,)) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), "small")


def zeros(name: str) -> TensorProto:
    return numpy_helper.from_array(np.zeros(1, np.int64), name)


def external(tensor: TensorProto, location: str = "weights.bin", **more: str) -> TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@case("external files")
def external_beside(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0])


@case("external files")
def external_parent(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0], "../../../../etc/passwd")


@case("external files")
def external_absolute(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0], "/etc/passwd", offset="0", length="64")


@case("external files")
def external_negative_offset(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0], "weights.bin", offset="-4096", length="18446744073709551615")


@case("external files")
def external_in_memory_marker(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0], "*/_ORT_MEM_ADDR_/*", offset="4096", length="64")


@case("external files")
def external_marker_without_location_kind(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/proc/self/environ")


@case("external files")
def external_sparse_values(model: onnx.ModelProto) -> None:
    sparse = helper.make_sparse_tensor(external(small()), zeros("indices"), [1])
    model.graph.sparse_initializer.append(sparse)


@case("external files")
def external_sparse_indices(model: onnx.ModelProto) -> None:
    sparse = helper.make_sparse_tensor(small(), external(zeros("indices")), [1])
    model.graph.sparse_initializer.append(sparse)


@case("external files")
def external_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external(small())))


@case("external files")
def external_attribute_list(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["ecg"], ["c"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS, tensors=[external(small())])
    model.graph.node.append(node)


@case("external files")
def external_sparse_attribute(model: onnx.ModelProto) -> None:
    sparse = helper.make_sparse_tensor(external(small()), zeros("indices"), [1])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))


@case("external files")
def external_in_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [external(small())])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


@case("external files")
def external_in_nested_subgraph(model: onnx.ModelProto) -> None:
    deepest = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=external(small()))], "d", [], []
    )
    inner = helper.make_graph([helper.make_node("Loop", ["n"], ["y"], body=deepest)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


@case("external files")
def external_in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["y"], value=external(small()))
    model.functions.append(helper.make_function("own", "f", [], ["y"], [node], [helper.make_opsetid("", 17)]))


@case("external files")
def external_in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(external(small()))


@case("training graphs")
def training_graph(model: onnx.ModelProto) -> None:
    model.training_info.add()


@case(r"com\.microsoft")
def custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gelu", ["ecg"], ["y"], domain="com.microsoft"))


@case(r"preview\.training")
def training_domain(model: onnx.ModelProto) -> None:
    node = helper.make_node("Gradient", ["ecg"], ["y"], domain="ai.onnx.preview.training")
    model.graph.node.append(node)


@case("functions of its own")
def own_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(
        helper.make_function("own", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    )


@case("functions of its own")
def function_in_place_of_a_standard_operator(model: onnx.ModelProto) -> None:
    node = helper.make_node("Neg", ["x"], ["y"])
    model.functions.append(
        helper.make_function("", "Relu", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    )


def body(op: str = "Identity") -> onnx.GraphProto:
    return helper.make_graph([helper.make_node(op, ["a"], ["b"])], "body", [], [])


@case("Loop; control flow")
def loop_without_end(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62, np.int64), "trips"))
    model.graph.node.append(helper.make_node("Loop", ["trips", "", "ecg"], ["y"], body=body()))


@case("Scan; control flow")
def scan(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Scan", ["ecg"], ["y"], body=body(), num_scan_inputs=1))


@case("If; control flow")
def condition(model: onnx.ModelProto) -> None:
    node = helper.make_node("If", ["ecg"], ["y"], then_branch=body(), else_branch=body())
    model.graph.node.append(node)


@case("SequenceMap; control flow")
def sequence_map(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("SequenceMap", ["ecg"], ["y"], body=body()))


@case("Loop; control flow")
def loop_hidden_in_an_attribute_nobody_reads(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["ecg"], ["y"])
    node.attribute.append(helper.make_attribute("unused", body("Loop")))
    model.graph.node.append(node)


@case("ImageDecoder")
def picture_decoder(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("ImageDecoder", ["ecg"], ["y"]))


@case("not valid ONNX")
def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Multiply"


@case(r"versions \[99\]")
def opset_of_the_future(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


@case(r"versions \[\]")
def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


@case("more than 20000 nodes")
def node_bomb(model: onnx.ModelProto) -> None:
    node = helper.make_node("Neg", ["ecg"], ["y"])
    model.graph.node.extend([node] * 20_001)


@case("RandomNormal .*chance")
def random_normal(model: onnx.ModelProto) -> None:
    noise = helper.make_node("RandomNormal", [], ["noise"], shape=[1, 12, 5000])
    before_all(model, noise, helper.make_node("Add", ["ecg", "noise"], ["changed"]))


@case("RandomUniformLike .*chance")
def random_uniform_like(model: onnx.ModelProto) -> None:
    noise = helper.make_node("RandomUniformLike", ["ecg"], ["noise"])
    before_all(model, noise, helper.make_node("Add", ["ecg", "noise"], ["changed"]))


@case("Bernoulli .*chance")
def bernoulli(model: onnx.ModelProto) -> None:
    before_all(model, helper.make_node("Bernoulli", ["ecg"], ["changed"]))


@case("Dropout .*chance")
def dropout_in_training(model: onnx.ModelProto) -> None:
    constant(model, "ratio", 0.5, np.float32)
    constant(model, "yes", True, np.bool_)
    before_all(model, helper.make_node("Dropout", ["ecg", "ratio", "yes"], ["changed"]))


@case("BatchNormalization .*batch")
def normalisation_in_training(model: onnx.ModelProto) -> None:
    for name in "abcd":
        constant(model, name, np.ones(12), np.float32)
    outputs = ["changed", "mean", "variance"]
    node = helper.make_node("BatchNormalization", ["ecg", *"abcd"], outputs, training_mode=1)
    before_all(model, node)


@case("golden record|mixes the records")
def batch_mean(model: onnx.ModelProto) -> None:
    mean = helper.make_node("ReduceMean", ["ecg"], ["mean"], axes=[0], keepdims=1)
    before_all(model, mean, helper.make_node("Add", ["ecg", "mean"], ["changed"]))


@case("mixes the records")
def first_record_reads_the_last(model: onnx.ModelProto) -> None:
    """Golden values stand, because the zeros before the golden window are what is changed."""
    constant(model, "zero", [0])
    constant(model, "one", [1])
    constant(model, "end", [2**31 - 1])
    constant(model, "minus", [-1])
    before_all(
        model,
        helper.make_node("Slice", ["ecg", "minus", "end", "zero"], ["last"]),
        helper.make_node("Slice", ["ecg", "zero", "one", "zero"], ["first"]),
        helper.make_node("Slice", ["ecg", "one", "end", "zero"], ["rest"]),
        helper.make_node("Add", ["first", "last"], ["both"]),
        helper.make_node("Sub", ["both", "first"], ["other"]),
        helper.make_node("Concat", ["other", "rest"], ["changed"], axis=0),
    )
