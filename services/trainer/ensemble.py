"""`python -m services.trainer.ensemble RUN RUN... --out DIR`: the models of several runs as one model file.

Each run is the folder of a finished one, with equal data and classes (Lakshminarayanan et al. 2017: networks
that differ only by their seed err differently). The logits are averaged; temperature, thresholds and
conformal bounds are fitted anew on validation, and the model is judged as a run's is. Writes the same files.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import Task
from exchangeai.model_file import INPUT, MEMBERS_KEY, OUTPUTS, model_digest, parse_model
from services.trainer.export import OPSET
from services.trainer.judge_anew import FinishedRun, finished, judge_anew


def main(arguments: Sequence[str] | None = None) -> int:
    """Join, judge, write; exit status 0, or 2 with the reason."""
    parser = argparse.ArgumentParser(prog="ensemble", description=__doc__)
    parser.add_argument("run", nargs="+", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its card")
    chosen = parser.parse_args(arguments)
    try:
        members = [finished(folder) for folder in chosen.run]
        chosen.out.mkdir(parents=True, exist_ok=True)
        join(members, chosen.out)
    except ExchangeaiError as e:
        print(f"ensemble: {e}", file=sys.stderr)
        return 2
    return 0


def join(members: Sequence[FinishedRun], out: Path) -> None:
    """Write the joined model, its card and result. Raises InvalidArgument when the members do not fit."""
    first = members[0]
    for other in members[1:]:
        if (other.job.dataset_id, other.job.task) != (first.job.dataset_id, first.job.task):
            raise InvalidArgument("the runs learned from different data; only runs on equal data are joined")
        if [c.name for c in other.manifest.classes] != [c.name for c in first.manifest.classes]:
            raise InvalidArgument("the runs have different classes, or an other order of them")
    counted = Counter(x.job.architecture for x in members)
    named = " + ".join(f"{n} x {name}" if n > 1 else name for name, n in counted.items())
    graph = joined([parse_model(x.data) for x in members], first.job.task)
    judge_anew(
        out,
        first,
        lambda temperature: tempered(graph, temperature),
        architecture=named,
        best_epoch=min(x.best_epoch for x in members),
        extra={MEMBERS_KEY: " ".join(model_digest(x.data) for x in members)},
    )


def joined(models: Sequence[onnx.ModelProto], task: Task) -> onnx.ModelProto:
    """One graph of the contract from several: means of logits and saliency, embeddings side by side.

    Its temperature is an initialiser of that name. Raises InvalidArgument for saliencies of unequal steps.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    for i, model in enumerate(models):
        part = compose.add_prefix(model, f"{i}.").graph
        needed = _needed(part, [f"{i}.{x}" for x in OUTPUTS if x != "probabilities"])
        for node in needed:
            node.input[:] = [INPUT if x == f"{i}.{INPUT}" else x for x in node.input]
        used = {x for node in needed for x in node.input}
        nodes += needed
        weights += [x for x in part.initializer if x.name in used]
    steps = {dim.dim_value for x in models for dim in _output(x, "saliency").type.tensor_type.shape.dim[2:]}
    if len(steps) != 1:
        raise InvalidArgument(f"the models' saliencies have {sorted(steps)} steps; they must have as many")
    for name, kind in (("logits", "Mean"), ("saliency", "Mean"), ("embedding", "Concat")):
        nodes.append(_node(kind, [f"{i}.{name}" for i in range(len(models))], name))
    nodes.append(_node("Div", ["logits", "temperature"], "scaled"))
    nodes.append(_node(_LAST.get(task, "Identity"), ["scaled"], "probabilities"))
    outputs = [_output(models[0], name) for name in OUTPUTS]
    width = sum(_output(x, "embedding").type.tensor_type.shape.dim[1].dim_value for x in models)
    at = OUTPUTS.index("embedding")
    outputs[at] = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph(nodes, "ensemble", list(models[0].graph.input), outputs, weights)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=models[0].ir_version
    )


_LAST = {Task.MULTI_LABEL: "Sigmoid", Task.SINGLE_LABEL: "Softmax"}
"""From scaled logits to probabilities; numbers stay as they are."""


def _node(kind: str, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    node = helper.make_node(kind, inputs, [output])
    if kind in ("Concat", "Softmax"):
        node.attribute.append(helper.make_attribute("axis", 1))
    return node


def _needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in the order of the graph, which is one of execution."""
    wanted, kept = set(outputs), list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _output(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(x for x in model.graph.output if x.name == name)


def tempered(model: onnx.ModelProto, temperature: float) -> bytes:
    """The bytes of a joined graph that divides its logits by this."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    value = numpy_helper.from_array(np.array(temperature, np.float32), "temperature")
    copied.graph.initializer.append(value)
    onnx.checker.check_model(copied)  # pyright: ignore[reportUnknownMemberType]
    return copied.SerializeToString(deterministic=True)


if __name__ == "__main__":
    sys.exit(main())
