"""Vetting: every way in which a model file can be wrong is refused with words that say which."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.model_file import parse_model, read_manifest, write_manifest
from exchangeai.testing.models import tiny_graph, tiny_manifest, tiny_model
from services.inference import graph_safety, graph_sizes
from services.inference.vetting import read_verdict, vet, vet_bytes


@pytest.mark.parametrize("task", list(Task))
def test_a_valid_model_is_accepted(task: Task) -> None:
    data = tiny_model(task=task)
    assert vet(data) == read_verdict(vet_bytes(data)) == read_manifest(parse_model(data))


def _external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def _small() -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(1, np.float32), "small")


def _external_initializer(model: onnx.ModelProto) -> None:
    _external(model.graph.initializer[0])


def _external_marker_only(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _external_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=_external(_small())))


def _external_sparse(model: onnx.ModelProto) -> None:
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(_external(_small()), indices, [1]))


def _external_sparse_attribute(model: onnx.ModelProto) -> None:
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    sparse = helper.make_sparse_tensor(_external(_small()), indices, [1])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))


def _external_in_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [_external(_small())])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def _external_in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["y"], value=_external(_small()))
    model.functions.append(helper.make_function("own", "f", [], ["y"], [node], [helper.make_opsetid("", 17)]))


def _custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gelu", ["ecg"], ["y"], domain="com.microsoft"))


def _function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(
        helper.make_function("own", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    )


def _loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["n", "", "x"], ["y"], body=body))


def _hidden_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Scan", ["x"], ["y"], num_scan_inputs=1)], "body", [], [])
    node = helper.make_node("Identity", ["ecg"], ["y"])
    node.attribute.append(helper.make_attribute("unused", body))
    model.graph.node.append(node)


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _wrong_input_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _other_rate(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1000


def _missing_output(model: onnx.ModelProto) -> None:
    del model.graph.output[3]


def _double_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Multiply"


def _impossible_shapes(model: onnx.ModelProto) -> None:
    weight = next(x for x in model.graph.initializer if x.name == "w_classes")
    weight.CopyFrom(numpy_helper.from_array(np.ones((5, 9), np.float32), "w_classes"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_external_initializer, "external files"),
        (_external_marker_only, "external files"),
        (_external_attribute, "external files"),
        (_external_sparse, "external files"),
        (_external_sparse_attribute, "external files"),
        (_external_in_subgraph, "external files"),
        (_external_in_function, "external files"),
        (_custom_domain, "com.microsoft"),
        (_function, "functions"),
        (_loop, "Loop"),
        (_hidden_loop, "Scan"),
        (_training, "training"),
        (_wrong_input_name, "'ecg'"),
        (_fixed_batch, "free batch size"),
        (_other_rate, "1000"),
        (_missing_output, "saliency"),
        (_double_output, "logits"),
        (_unknown_operator, "not valid ONNX"),
        (_impossible_shapes, "not valid ONNX"),
    ],
)
def test_a_spoilt_graph_is_refused(spoil: Callable[[onnx.ModelProto], None], says: str) -> None:
    model = parse_model(tiny_model())
    spoil(model)
    with pytest.raises(ContractViolation, match=says):
        vet(model.SerializeToString())


def test_one_flipped_weight_is_noticed() -> None:
    model = parse_model(tiny_model())
    weight = next(x for x in model.graph.initializer if x.name == "w_classes")
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = -values.flat[0]
    weight.CopyFrom(numpy_helper.from_array(values, "w_classes"))
    with pytest.raises(ContractViolation, match="golden record: logits differ"):
        vet(model.SerializeToString())


def test_a_manifest_cannot_ask_for_a_looser_comparison() -> None:
    graph = tiny_graph()
    manifest = tiny_manifest(graph)
    assert manifest.golden is not None
    off = replace(manifest.golden, logits=tuple(x + 1e-3 for x in manifest.golden.logits), tolerance=1.0)
    with pytest.raises(ContractViolation, match="differ"):
        vet(write_manifest(graph, replace(manifest, golden=off)))


def test_a_model_that_mixes_the_records_of_a_batch_is_refused() -> None:
    graph = tiny_graph()
    manifest = tiny_manifest(graph)
    mean = helper.make_node("ReduceMean", ["ecg"], ["mixed_in"], axes=[0], keepdims=1)
    graph.graph.node.insert(0, mean)
    graph.graph.node[1].input[1] = "mixed_in"
    with pytest.raises(ContractViolation, match="differ"):
        vet(write_manifest(graph, manifest))


def test_no_manifest_and_no_golden_record_are_refused() -> None:
    graph = tiny_graph()
    with pytest.raises(ContractViolation, match="no manifest"):
        vet(graph.SerializeToString())
    with pytest.raises(ContractViolation, match="no golden record"):
        vet(write_manifest(graph, replace(tiny_manifest(graph), golden=None)))


def test_wrong_lead_order_is_refused() -> None:
    graph = tiny_graph()
    manifest = tiny_manifest(graph)
    swapped = (manifest.leads[1], manifest.leads[0], *manifest.leads[2:])
    with pytest.raises(ContractViolation, match="leads"):
        vet(write_manifest(graph, replace(manifest, leads=swapped)))


def test_too_many_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_safety, "MAX_NODES", 5)
    with pytest.raises(ContractViolation, match="more than 5 nodes"):
        vet(tiny_model())


def test_weights_may_be_larger_than_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_sizes, "MAX_ELEMENTS", 60_000)
    model = parse_model(tiny_model())
    weights = np.zeros((5000, 20), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "wide"))
    model.graph.node.append(helper.make_node("MatMul", ["ecg", "wide"], ["unused"]))
    vet(model.SerializeToString())
    model.graph.node.append(helper.make_node("MatMul", ["unused", "narrow"], ["too_large"]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((20, 5001), np.float32), "narrow"))
    with pytest.raises(ContractViolation, match="'too_large' of the model would have 60012 elements"):
        vet(model.SerializeToString())


class _Opens:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        return (open, (self.path, "w"))


def test_a_pickle_is_refused_and_not_loaded(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    with pytest.raises(ContractViolation):
        vet(pickle.dumps(_Opens(planted)))
    assert not planted.exists()


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(keep: float) -> None:
    data = tiny_model()
    with pytest.raises(ContractViolation):
        vet(data[: int(len(data) * keep)])


def test_random_bytes_never_fail_in_another_way() -> None:
    rng, data = np.random.default_rng(0), bytearray(tiny_model())
    for _ in range(100):
        spoilt = bytearray(data)
        for at in rng.integers(0, len(data), 8):
            spoilt[at] = int(rng.integers(0, 256))
        try:
            vet(bytes(spoilt))
        except ContractViolation:
            continue
