"""Networks: an encoder with its crops, a pool and a last layer; built by name, or started from a model.

Shapes: B batch, L lead, T time, C class, E embedding, n crops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from exchangeai.errors import ContractViolation, NotFound
from exchangeai.facts import Method
from exchangeai.model_file import WINDOW_SAMPLES, parse_model, read_manifest
from exchangeai.plugins import modules_in
from services.trainer.layers import INPUT_HZ, AttentionPool, Encoder, Entry, MeanPool, at_steps
from services.trainer.tensors import tensor

PARAMETER_PREFIX = "net."
"""Initialisers of an exported model are named by this and the parameter's name in the network."""


class Network(nn.Module):
    """Takes the tensor contract, float32 [B, 12, 5000] in mV at 500 Hz.

    In training it sees one random crop of each window; otherwise all crops side by side, and their features
    are pooled together, which for the mean is the average over crops.
    """

    def __init__(self, encoder: Encoder, outputs: int, method: Method = Method.FULL) -> None:
        super().__init__()
        self.frozen = method is not Method.FULL
        self.crop_samples = round(encoder.crop_s * INPUT_HZ)
        if WINDOW_SAMPLES % self.crop_samples:
            raise ValueError(f"an encoder's crop must divide 10 s; {encoder.crop_s} s does not")
        self.entry = Entry(encoder.rate_hz)
        self.encoder = encoder
        attends = method is Method.ATTENTION_HEAD
        self.pool: nn.Module = AttentionPool(encoder.width) if attends else MeanPool()
        self.dropout = nn.Dropout(encoder.dropout)
        self.head = nn.Linear(encoder.width, outputs)

    def forward(self, x_BLT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (logits [B, C], embedding [B, E], contributions [B, E, steps]).

        The last layer's weights on the contributions, averaged over the valid steps, are the logits less the
        bias: so they are the saliency.
        """
        if self.training:
            x_BLT = _random_crops(x_BLT, self.crop_samples)
        batch, leads, length = x_BLT.shape
        count = length // self.crop_samples
        crops = x_BLT.reshape(batch, leads, count, self.crop_samples).transpose(1, 2).flatten(0, 1)
        x, valid = self.entry(crops)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Tensor = self.encoder(x, valid)
        steps = features.shape[2]
        features_BET = features.reshape(batch, count, -1, steps).transpose(1, 2).flatten(2, 3)
        valid_B1T = at_steps(valid, steps).reshape(batch, 1, count * steps)
        embedding_BE, contributions_BET = self.pool(features_BET, valid_B1T)
        return self.head(self.dropout(embedding_BE)), embedding_BE, contributions_BET

    def train(self, mode: bool = True) -> Network:
        """Set the mode; a frozen encoder keeps its running statistics and drops nothing."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def stages(self) -> list[nn.Module]:
        """What is trained, from input to output; the last is the new head."""
        head = nn.ModuleList([self.pool, self.head])
        return [head] if self.frozen else [*self.encoder.stages(), head]


def _random_crops(x_BLT: Tensor, crop: int) -> Tensor:
    """A stretch of each window that begins where there is signal, [B, L, crop]."""
    length = x_BLT.shape[2]
    if crop == length:
        return x_BLT
    present = (x_BLT.abs().amax(dim=1) > 0).to(torch.int64)
    end = (present * torch.arange(1, length + 1, device=x_BLT.device)).amax(dim=1)
    room = (end - crop).clamp(min=0)
    start = (torch.rand(len(x_BLT), device=x_BLT.device) * (room + 1)).long().clamp(max=length - crop)
    index = start[:, None, None] + torch.arange(crop, device=x_BLT.device)
    return x_BLT.gather(2, index.expand(-1, x_BLT.shape[1], -1))


def architecture_keys() -> dict[str, tuple[str, str]]:
    """(file, size) of each architecture by its key, that which to begin with first."""
    found = modules_in("services.trainer.models")
    ranked = sorted(found.items(), key=lambda item: (item[1].RANK, item[0]))
    return {
        f"{name}{size and '-'}{size}": (name, size)
        for name, module in ranked
        for size in getattr(module, "SIZES", ("",))
    }


def build(architecture: str, outputs: int, method: Method = Method.FULL) -> Network:
    """A freshly initialised network. Raises NotFound."""
    known = architecture_keys()
    if architecture not in known:
        raise NotFound(f"there is no architecture {architecture!r}; there are {', '.join(known)}")
    name, size = known[architecture]
    module = modules_in("services.trainer.models")[name]
    return Network(cast(Encoder, module.build(size) if size else module.build()), outputs, method)


def learning_rate(architecture: str, usual: float) -> float:
    """The peak rate that suits an architecture: the usual one, unless its file says otherwise."""
    module = modules_in("services.trainer.models")[architecture_keys()[architecture][0]]
    return cast(float, getattr(module, "LEARNING_RATE", usual))


def logits(network: nn.Module, x_BLT: Tensor) -> Tensor:
    """Only the logits, [B, C]."""
    return cast("tuple[Tensor, Tensor, Tensor]", network(x_BLT))[0]


def start_from(network: Network, architecture: str, classes: Sequence[str], data: bytes) -> bool:
    """Copy the weights of a published model; say whether its last layer was taken as well.

    The initialisers of the file bear the names of the parameters. Pool and last layer stay freshly
    initialised when the classes differ in name or order, or the pool in kind. Raises ContractViolation when
    the file is of another architecture or lacks a weight.
    """
    model = parse_model(data)
    manifest = read_manifest(model)
    if manifest.architecture != architecture:
        raise ContractViolation(
            f"the base model is a {manifest.architecture}, not a {architecture}: its weights do not fit"
        )
    stored: dict[str, onnx.TensorProto] = {i.name: i for i in model.graph.initializer}
    attended = any(name.startswith(f"{PARAMETER_PREFIX}pool.") for name in stored)
    whole = tuple(c.name for c in manifest.classes) == tuple(classes) and attended == isinstance(
        network.pool, AttentionPool
    )
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            if name.endswith("num_batches_tracked") or (not name.startswith("encoder.") and not whole):
                continue
            found = stored.get(PARAMETER_PREFIX + name)
            if found is None or tuple(found.dims) != tuple(weight.shape):
                raise ContractViolation(f"the base model lacks the weight {name} in the expected shape")
            weight.copy_(tensor(np.array(numpy_helper.to_array(found))))
    return whole
