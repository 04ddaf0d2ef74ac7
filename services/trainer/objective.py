"""What training minimises: weighted cross-entropy, and how the weights' bias is taken out again.

Shapes: B batch, N windows, C classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from exchangeai.facts import Task
from services.trainer.network import head_of
from services.trainer.tensors import tensor

GREATEST_WEIGHT = 5.0
"""Beyond this a handful of positives would steer the run."""


def class_weights(labels: npt.NDArray[np.uint8], task: Task) -> Tensor:
    """float32 [C] from labels [N, C]: negatives per positive, or inverse frequency (mean 1 if balanced)."""
    count = len(labels)
    positives = labels.sum(axis=0, dtype=np.float64)
    wanted = (
        count - positives if task is Task.MULTI_LABEL else np.full_like(positives, count / len(positives))
    )
    ratio = np.divide(wanted, positives, out=np.ones_like(positives), where=positives > 0)
    return tensor(np.clip(ratio, 1 / GREATEST_WEIGHT, GREATEST_WEIGHT).astype(np.float32))


def loss(logits_BC: Tensor, labels_BC: Tensor, weights_C: Tensor, task: Task) -> Tensor:
    """Mean weighted binary (multi-label) or categorical (single-label) cross-entropy."""
    if task is Task.MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(logits_BC, labels_BC, pos_weight=weights_C)
    return F.cross_entropy(logits_BC, labels_BC.argmax(dim=1), weight=weights_C)


def take_out_weights(network: nn.Module, weights_C: Tensor) -> None:
    """Move the last layer's bias so that its probabilities estimate the data's frequencies again.

    The minimiser of a cross-entropy with positive weight w has its logit too high by exactly log w
    (Elkan 2001); a temperature alone could not repair that.
    """
    with torch.no_grad():
        head_of(network).bias.sub_(torch.log(weights_C.to(head_of(network).bias.device)))
