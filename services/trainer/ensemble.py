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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from exchangeai.dataset import PARTS, decode_manifest, open_part
from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import Task
from exchangeai.model_file import INPUT, OUTPUTS, Manifest, model_digest, parse_model, read_manifest
from exchangeai.model_file import write_manifest as with_manifest
from services.trainer import label_share, network
from services.trainer.embeddings import some
from services.trainer.evaluation import novelty, onnx_file
from services.trainer.export import OPSET, golden, session, synthetic_window
from services.trainer.finish import Trained, finish
from services.trainer.job import MODEL_FILE, Job, read_job, read_result
from services.trainer.scope import scope
from services.trainer.train import MANIFEST_FILE

MEMBERS_KEY = "members"
"""Of the manifest's `extra`: the members' digests, separated by spaces."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of several."""

    job: Job
    data: bytes
    manifest: Manifest
    best_epoch: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Join, judge, write; exit status 0, or 2 with the reason."""
    parser = argparse.ArgumentParser(prog="ensemble", description=__doc__)
    parser.add_argument("run", nargs="+", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its card")
    chosen = parser.parse_args(arguments)
    try:
        members = [_member(folder) for folder in chosen.run]
        chosen.out.mkdir(parents=True, exist_ok=True)
        join(members, chosen.out)
    except ExchangeaiError as e:
        print(f"ensemble: {e}", file=sys.stderr)
        return 2
    return 0


def join(members: Sequence[Member], out: Path) -> None:
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
    data = _tempered(graph, 1.0)
    described = decode_manifest((first.job.data_folder / MANIFEST_FILE).read_bytes())
    parts = {p: open_part(first.job.data_folder, described, p) for p in PARTS}
    options = first.job.options
    rows = label_share.rows(parts["train"], first.job.task, options.label_share, options.seed)
    looked_at = some(rows)
    run, everyone = onnx_file.own(data, 0), range(len(first.job.classes))
    known, exchanged, unseen = (
        onnx_file.embeddings(data, parts[p], chosen, 0, orders)
        for p, chosen, orders in (
            ("train", looked_at, None),
            ("train", looked_at, novelty.lead_orders(looked_at)),
            ("validation", some(np.arange(len(parts["validation"]))), None),
        )
    )
    trained = Trained(
        learned_from=first.manifest.training,
        best_epoch=min(x.best_epoch for x in members),
        validation=onnx_file.predictions(run, parts["validation"], everyone, everyone),
        test=onnx_file.predictions(run, parts["test"], everyone, everyone),
        scope=scope(
            parts["train"],
            rows,
            looked_at,
            lead_loss="lead_loss" in options.augmentations,
            crop_s=min(network.build(name, 1).encoder.crop_s for name in counted),
        ),
        novelty=novelty.fit(known, exchanged, unseen),
    )
    extra = {MEMBERS_KEY: " ".join(model_digest(x.data) for x in members)}

    def export(manifest: Manifest) -> bytes:
        made = _tempered(graph, manifest.temperature)
        record = golden(session(made), synthetic_window())
        return with_manifest(parse_model(made), replace(manifest, extra=extra, golden=record))

    finish(out, replace(first.job, architecture=named, base_digest=""), described, trained, export)


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


def _member(folder: Path) -> Member:
    result = read_result(folder)
    if result is None:
        raise InvalidArgument(f"the run in {folder.name} is not finished")
    data = (folder / MODEL_FILE).read_bytes()
    known = read_manifest(parse_model(data))
    return Member(job=read_job(folder), data=data, manifest=known, best_epoch=result.best_epoch)


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


def _tempered(model: onnx.ModelProto, temperature: float) -> bytes:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    value = numpy_helper.from_array(np.array(temperature, np.float32), "temperature")
    copied.graph.initializer.append(value)
    onnx.checker.check_model(copied)  # pyright: ignore[reportUnknownMemberType]
    return copied.SerializeToString(deterministic=True)


if __name__ == "__main__":
    sys.exit(main())
