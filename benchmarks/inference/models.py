"""The benchmark's two models, as model files: `ref`, a small residual network, and `null`, next to nothing.

Weights are random: what is measured is how fast they answer. torch is needed to make them.
"""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from exchangeai.facts import Task
from exchangeai.model_file import (
    INPUT,
    OUTPUTS,
    WINDOW_SAMPLES,
    Manifest,
    ModelClass,
    TrainingData,
    write_manifest,
)
from services.trainer.export import golden, session, synthetic_window
from services.trainer.quantise import quantised

CLASSES = 71
OPSET = 20


class _Block(nn.Module):
    def __init__(self, taken: int, given: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(taken, given, 7, stride, 3, bias=False),
            nn.BatchNorm1d(given),
            nn.ReLU(),
            nn.Conv1d(given, given, 7, 1, 3, bias=False),
            nn.BatchNorm1d(given),
        )
        self.short = nn.Conv1d(taken, given, 1, stride) if stride > 1 or taken != given else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


class Ref(nn.Module):
    """A residual network of eight blocks at 500 Hz: 2.4 M parameters, 1.5 GFLOP a window."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(12, 32, 7, 2, 3), nn.ReLU(), nn.MaxPool1d(3, 2, 1))
        sizes = ((32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1))
        self.blocks = nn.Sequential(*(_Block(*x) for x in (*sizes, (128, 256, 2), (256, 256, 1))))
        self.head = nn.Linear(256, CLASSES)

    def forward(self, ecg: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features: Tensor = self.blocks(self.stem(ecg))
        embedding = features.mean(dim=2)
        logits: Tensor = self.head(embedding)
        return logits, torch.sigmoid(logits), embedding, torch.matmul(self.head.weight, features)


class Null(nn.Module):
    """A mean and one matrix: what is left is the server's own work."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, CLASSES)

    def forward(self, ecg: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        embedding = ecg.mean(dim=2)
        logits: Tensor = self.head(embedding)
        return logits, torch.sigmoid(logits), embedding, logits[:, :, None]


def model_file(name: str) -> bytes:
    """The bytes of `ref`, `null` or `int8`, which is `ref` with numbers of eight bits."""
    if name == "int8":
        plain = onnx.load_from_string(model_file("ref"))
        return _described(name, quantised(plain, iter(np.split(windows(32), 4))))
    torch.manual_seed(0)
    net = {"ref": Ref, "null": Null}[name]().eval()
    made = io.BytesIO()
    program = cast(Any, torch.onnx).export(
        net,
        (torch.zeros(2, 12, WINDOW_SAMPLES),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1 << 16)},),
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        verbose=False,
    )
    program.save(made)
    return _described(name, onnx.load_from_string(made.getvalue()))


def _described(name: str, graph: onnx.ModelProto) -> bytes:
    manifest = Manifest(
        name=name,
        architecture=name,
        task=Task.MULTI_LABEL,
        classes=tuple(ModelClass(name=f"c{i}", threshold=0.5) for i in range(CLASSES)),
        training=TrainingData(dataset_id="0" * 64, recordings=0, patients=0, positives=(0,) * CLASSES),
        golden=golden(session(graph.SerializeToString()), synthetic_window()),
    )
    return write_manifest(graph, manifest)


def windows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Different synthetic windows, float32 [count, 12, 5000]."""
    return np.stack([synthetic_window(seed) for seed in range(count)])
