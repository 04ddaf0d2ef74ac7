"""From a trained network to the one ONNX file, reproduced by onnxruntime before anyone sees it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import torch
from onnx import numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.model_file import (
    INPUT,
    OUTPUTS,
    WINDOW_SAMPLES,
    Golden,
    Manifest,
    pack_window,
    write_manifest,
)
from services.trainer.network import PARAMETER_PREFIX, Network
from services.trainer.tensors import tensor

OPSET = 20
PARITY = 1e-4
PARITY_BATCHES = (1, 7, 64)
Floats32 = npt.NDArray[np.float32]

# heart's waves of a synthetic beat: (centre s, width s, amplitude mV in the mean lead)
_WAVES = (
    (-0.18, 0.022, 0.12),
    (-0.03, 0.009, -0.1),
    (0.0, 0.011, 1.0),
    (0.03, 0.01, -0.2),
    (0.24, 0.045, 0.28),
)


class Exported(nn.Module):
    """A network with the outputs of the model file's contract.

    The saliency is the class activation map (Zhou et al. 2016): the features at each step under the last
    layer's weights; its mean over the valid steps, plus the bias, is the logit.
    """

    temperature: Tensor

    def __init__(self, network: Network, task: Task, temperature: float) -> None:
        super().__init__()
        self.net = network
        self._task = task
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float32))

    def forward(self, ecg: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (logits, probabilities, embedding, saliency)."""
        logits_BC, embedding_BE, features_BET = self.net(ecg)
        scaled_BC = logits_BC / self.temperature
        if self._task is Task.MULTI_LABEL:
            probabilities_BC = torch.sigmoid(scaled_BC)
        elif self._task is Task.SINGLE_LABEL:
            probabilities_BC = torch.softmax(scaled_BC, dim=1)
        else:
            probabilities_BC = logits_BC * 1.0  # numbers have none; an output must not be another's alias
        saliency_BCT = torch.matmul(self.net.head.weight, features_BET)
        return logits_BC, probabilities_BC, embedding_BE, saliency_BCT


def synthetic_window(seed: int = 0) -> Floats32:
    """A window like an ECG and of nobody, float32 [12, 5000], mV: Gaussians for the waves of each beat.

    Made by the same arithmetic everywhere from the seed; Einthoven's and Goldberger's relations hold.
    """
    random = np.random.default_rng(seed)
    t_s = np.arange(WINDOW_SAMPLES) / 500.0
    independent = np.zeros((8, WINDOW_SAMPLES))
    gains = random.uniform(0.4, 1.2, (8, len(_WAVES)))
    for beat_s in np.arange(0.4, 10.0, 0.82) + random.normal(0, 0.01, 12):
        for w, (centre_s, width_s, amplitude_mv) in enumerate(_WAVES):
            wave = np.exp(-0.5 * ((t_s - beat_s - centre_s) / width_s) ** 2)
            independent += amplitude_mv * gains[:, w : w + 1] * wave
    independent += random.normal(0, 0.005, independent.shape)
    i, ii = independent[0], independent[1]
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    return np.concatenate([np.stack(limb), independent[2:]]).astype(np.float32)


def export(network: Network, manifest: Manifest) -> bytes:
    """The model file's bytes, equal for equal inputs; the manifest's golden record is made here.

    Raises ContractViolation when onnxruntime and torch differ by more than 1e-4 at batch 1, 7 or 64.
    """
    network = network.cpu().eval()
    exported = Exported(network, manifest.task, manifest.temperature).eval()
    graph = _graph(Exported(_materialised(network), manifest.task, manifest.temperature).eval())
    _keep_parameters(graph, network)
    predict = session(graph.SerializeToString(deterministic=True))
    windows = np.stack([synthetic_window(seed) for seed in range(max(PARITY_BATCHES))])
    windows[-1, :, 3500:] = 0.0  # a short recording
    for batch in PARITY_BATCHES:
        _check(exported, predict, windows[-batch:])
    return write_manifest(graph, replace(manifest, golden=golden(predict, windows[0])))


def golden(predict: Callable[[Floats32], list[Floats32]], window: Floats32) -> Golden:
    """What a model, as `session` gives it, makes of a window, float32 [12, 5000] mV."""
    logits, probabilities = predict(window[None])[:2]
    return Golden(
        window=pack_window(window),
        logits=tuple(map(float, logits[0])),
        probabilities=tuple(map(float, probabilities[0])),
    )


def _materialised(network: Network) -> Network:
    """A copy in which layers that make their weights when they run hold them made."""
    copied = copy.deepcopy(network)
    for name, module in list(cast(Any, copied).named_modules()):
        materialise = getattr(module, "materialise", None)
        if materialise is not None:
            parent, _, attribute = name.rpartition(".")
            setattr(copied.get_submodule(parent), attribute, materialise())
    return copied


def _keep_parameters(graph: onnx.ModelProto, network: Network) -> None:
    """Store the parameters that no node needs any more: whoever trains the model further does."""
    there = {i.name for i in graph.graph.initializer}
    for name, value in network.named_parameters():
        if PARAMETER_PREFIX + name not in there:
            kept = numpy_helper.from_array(value.detach().numpy(), PARAMETER_PREFIX + name)
            graph.graph.initializer.append(kept)


def _graph(exported: Exported) -> onnx.ModelProto:
    program = cast(Any, torch.onnx).export(
        exported,
        (torch.zeros(2, 12, WINDOW_SAMPLES),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1 << 16)},),
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        optimize=False,
        verbose=False,
    )
    # The full optimiser would fold normalisation into the convolutions; then the weights could not be
    # trained further. The runtime folds them itself when it loads the model.
    tidy = cast(Any, optimizer)
    tidy.inline(program.model)
    # A transposed weight would be a second copy beside the one kept for training.
    tidy.fold_constants(program.model, should_fold=_not_transposes)
    tidy.remove_unused_nodes(program.model)
    graph = cast(onnx.ModelProto, program.model_proto)
    _strip(graph)
    cast(Any, onnx.checker).check_model(graph)
    return graph


def _not_transposes(node: Any) -> bool | None:
    return False if node.op_type == "Transpose" else None


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the machine that it ran on: paths and stack traces."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for parts in (graph.node, graph.value_info, graph.input, graph.output, graph.initializer):
        for part in parts:
            part.doc_string = ""
            del part.metadata_props[:]


def session(data: bytes) -> Callable[[Floats32], list[Floats32]]:
    """Runs a model on windows, float32 [B, 12, 5000], on one thread of the CPU; gives all its outputs."""
    ort = cast(Any, onnxruntime)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # else it warns of parameters kept for training
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda windows: session.run(list(OUTPUTS), {INPUT: windows})


def _check(exported: Exported, predict: Callable[[Floats32], list[Floats32]], windows: Floats32) -> None:
    with torch.no_grad():
        expected = cast("tuple[Tensor, ...]", exported(tensor(windows)))
    for name, ours, theirs in zip(OUTPUTS, expected, predict(windows), strict=True):
        difference = float(np.abs(ours.numpy() - theirs).max())
        if not difference <= PARITY:
            raise ContractViolation(
                f"the exported model's {name} differ from the trained network's by {difference:.2g} "
                f"at batch {len(windows)}; at most {PARITY} is allowed"
            )
