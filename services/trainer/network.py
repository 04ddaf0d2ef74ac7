"""Networks: built by name, checked against what an architecture promises, started from another's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from exchangeai.errors import ContractViolation, NotFound
from exchangeai.model_file import parse_model, read_manifest
from exchangeai.plugins import modules_in
from services.trainer.tensors import tensor

PARAMETER_PREFIX = "net."
"""Initialisers of an exported model are named by this and the parameter's name in the network."""


def build(architecture: str, classes: int) -> nn.Module:
    """A freshly initialised network. Raises NotFound."""
    known = modules_in("services.trainer.models")
    if architecture not in known:
        raise NotFound(f"there is no architecture {architecture!r}; there are {', '.join(known)}")
    return cast(nn.Module, known[architecture].build(classes))


def head_of(network: nn.Module) -> nn.Linear:
    """The last layer. Raises ContractViolation when the architecture has none."""
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Linear):
        raise ContractViolation("an architecture must name its last layer, an nn.Linear, `head`")
    return head


def logits(network: nn.Module, x_BLT: Tensor) -> Tensor:
    """Only the logits, [B, C]."""
    return cast("tuple[Tensor, Tensor, Tensor]", network(x_BLT))[0]


def start_from(network: nn.Module, architecture: str, classes: Sequence[str], data: bytes) -> bool:
    """Copy the weights of a published model; say whether its last layer was taken as well.

    The initialisers of the file bear the names of the parameters. The last layer stays freshly
    initialised when the classes differ in name or order. Raises ContractViolation when the file is of
    another architecture or lacks a weight.
    """
    model = parse_model(data)
    manifest = read_manifest(model)
    if manifest.architecture != architecture:
        raise ContractViolation(
            f"the base model is a {manifest.architecture}, not a {architecture}: its weights do not fit"
        )
    same_classes = tuple(c.name for c in manifest.classes) == tuple(classes)
    stored: dict[str, onnx.TensorProto] = {i.name: i for i in model.graph.initializer}
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            if name.endswith("num_batches_tracked") or (name.startswith("head.") and not same_classes):
                continue
            found = stored.get(PARAMETER_PREFIX + name)
            if found is None or tuple(found.dims) != tuple(weight.shape):
                raise ContractViolation(f"the base model lacks the weight {name} in the expected shape")
            weight.copy_(tensor(np.array(numpy_helper.to_array(found))))
    return same_classes
