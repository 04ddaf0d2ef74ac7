"""Builds tiny but valid model files, so that all that uses models is tested without torch.

The graph squares the signal, averages it per lead, and goes through two Gemm layers; saliency is the
averaged absolute signal in steps of 50 samples, mixed by class. Weights come from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import (
    INPUT,
    OUTPUTS,
    WINDOW_SAMPLES,
    Golden,
    Manifest,
    ModelClass,
    TrainingData,
    pack_window,
    write_manifest,
)
from exchangeai.synthetic import synthetic_window

SUPERCLASSES: tuple[str, ...] = ("NORM", "MI", "STTC", "CD", "HYP")
SALIENCY_STEP_SAMPLES = 50
FEATURES = 8


def tiny_graph(
    *, classes: Sequence[str] = SUPERCLASSES, task: Task = Task.MULTI_LABEL, seed: int = 0
) -> onnx.ModelProto:
    """The graph alone: input `ecg` [batch, 12, 5000], all four outputs, no manifest."""
    rng = np.random.default_rng(seed)
    count, steps = len(classes), WINDOW_SAMPLES // SALIENCY_STEP_SAMPLES
    weights: dict[str, npt.NDArray[Any]] = {
        "w_features": rng.normal(0, 2.0, (FEATURES, len(STANDARD_12))).astype(np.float32),
        "b_features": rng.uniform(0.1, 0.5, FEATURES).astype(np.float32),
        "w_classes": rng.normal(0, 0.7, (count, FEATURES)).astype(np.float32),
        "b_classes": rng.normal(0, 0.3, count).astype(np.float32),
        "w_saliency": rng.uniform(0, 1, (count, len(STANDARD_12))).astype(np.float32),
        "minus_one": np.array([-1], np.int64),
    }
    probabilities = (
        helper.make_node("Sigmoid", ["logits"], ["probabilities"])
        if task is Task.MULTI_LABEL
        else helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1)
    )
    step = [SALIENCY_STEP_SAMPLES]
    nodes = [
        helper.make_node("Mul", [INPUT, INPUT], ["power"]),
        helper.make_node("GlobalAveragePool", ["power"], ["mean_power"]),
        helper.make_node("Squeeze", ["mean_power", "minus_one"], ["per_lead"]),
        helper.make_node("Gemm", ["per_lead", "w_features", "b_features"], ["mixed"], transB=1),
        helper.make_node("Relu", ["mixed"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "w_classes", "b_classes"], ["logits"], transB=1),
        probabilities,
        helper.make_node("Abs", [INPUT], ["magnitude"]),
        helper.make_node("AveragePool", ["magnitude"], ["pooled"], kernel_shape=step, strides=step),
        helper.make_node("MatMul", ["w_saliency", "pooled"], ["saliency"]),
    ]
    shapes: dict[str, list[str | int]] = {
        "logits": ["batch", count],
        "probabilities": ["batch", count],
        "embedding": ["batch", FEATURES],
        "saliency": ["batch", count, steps],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(
                INPUT, TensorProto.FLOAT, ["batch", len(STANDARD_12), WINDOW_SAMPLES]
            )
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in OUTPUTS],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="exchangeai"
    )


def tiny_manifest(
    graph: onnx.ModelProto,
    *,
    name: str = "tiny",
    classes: Sequence[str] = SUPERCLASSES,
    task: Task = Task.MULTI_LABEL,
    threshold: float = 0.5,
) -> Manifest:
    """The manifest that belongs to `tiny_graph`, its golden record computed by the reference evaluator."""
    window = synthetic_window(seed=1)
    logits, probabilities = ReferenceEvaluator(graph).run(  # pyright: ignore[reportUnknownMemberType]
        ["logits", "probabilities"], {INPUT: window[None]}
    )
    return Manifest(
        name=name,
        architecture="tiny",
        task=task,
        classes=tuple(ModelClass(name=c, threshold=threshold) for c in classes),
        training=TrainingData(
            dataset_id="0" * 64, recordings=0, patients=0, positives=tuple(0 for _ in classes)
        ),
        code_version="test",
        licence="Apache-2.0",
        golden=Golden(
            window=pack_window(window),
            logits=tuple(float(x) for x in np.asarray(logits)[0]),
            probabilities=tuple(float(x) for x in np.asarray(probabilities)[0]),
        ),
    )


def tiny_model(
    *,
    name: str = "tiny",
    classes: Sequence[str] = SUPERCLASSES,
    task: Task = Task.MULTI_LABEL,
    seed: int = 0,
    threshold: float = 0.5,
) -> bytes:
    """A whole model file that passes vetting; another seed gives other weights, hence another digest."""
    graph = tiny_graph(classes=classes, task=task, seed=seed)
    return write_manifest(
        graph, tiny_manifest(graph, name=name, classes=classes, task=task, threshold=threshold)
    )
