"""What training minimises, for each task, and how what eased the minimising is taken out again.

Shapes: B batch, N windows, C classes or targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from services.trainer.network import Network
from services.trainer.tensors import tensor

GREATEST_WEIGHT = 5.0
"""Beyond this a handful of positives would steer the run."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A task's loss, fitted to the labels of the training part."""

    task: Task
    classes: int
    weights: Tensor
    """Of positives (multi-label) or of classes (single-label), float32 [C]; ones when all count alike."""
    centre: Tensor
    """Mean of each numeric target, float32 [C]; zeros for classes."""
    spread: Tensor
    """Standard deviation of each numeric target, float32 [C]; ones for classes."""
    label_smoothing: float = 0.0

    def targets(self, labels: npt.NDArray[Any]) -> Tensor:
        """What the network's outputs are compared with, float32 [B, C], from labels as the data set has them.

        Numbers are standardised; NaN stays where there is no value.
        """
        y_BC = tensor(labels.astype(np.float32))
        if self.task is Task.REGRESSION:
            return (y_BC - self.centre) / self.spread
        even = 0.5 if self.task is Task.MULTI_LABEL else 1 / self.classes
        return y_BC * (1 - self.label_smoothing) + even * self.label_smoothing

    def loss(self, logits_BC: Tensor, targets_BC: Tensor) -> Tensor:
        """Mean weighted binary or categorical cross-entropy, or Huber's loss of what has a value."""
        weights_C = self.weights.to(logits_BC)
        if self.task is Task.MULTI_LABEL:
            return F.binary_cross_entropy_with_logits(logits_BC, targets_BC, pos_weight=weights_C)
        if self.task is Task.SINGLE_LABEL:
            return F.cross_entropy(logits_BC, targets_BC, weight=weights_C)
        known = ~torch.isnan(targets_BC)
        each_BC = F.smooth_l1_loss(logits_BC, torch.where(known, targets_BC, logits_BC), reduction="none")
        return each_BC.sum() / known.sum().clamp(min=1)

    def settle(self, network: Network) -> None:
        """Change the last layer so that its outputs mean what they say.

        The minimiser of a cross-entropy with positive weight w has its logit too high by exactly log w
        (Elkan 2001), which a temperature alone could not repair; numbers come in the target's own unit.
        """
        head = network.head
        with torch.no_grad():
            centre_C, spread_C, weights_C = (
                x.to(head.bias.device) for x in (self.centre, self.spread, self.weights)
            )
            head.weight.mul_(spread_C[:, None])
            head.bias.mul_(spread_C).add_(centre_C - torch.log(weights_C))

    def unsettle(self, network: Network) -> None:
        """Undo `settle`, for a network that begins with the last layer of a finished one."""
        head = network.head
        with torch.no_grad():
            head.bias.sub_(self.centre - torch.log(self.weights)).div_(self.spread)
            head.weight.div_(self.spread[:, None])


def fit(labels: npt.NDArray[Any], task: Task, *, weigh: bool, label_smoothing: float) -> Objective:
    """The objective for labels [N, C] of a training part. Raises ContractViolation (nothing to learn)."""
    classes = labels.shape[1]
    ones, zeros = torch.ones(classes), torch.zeros(classes)
    if task is not Task.REGRESSION:
        if not (labels.any(axis=0) & ~labels.all(axis=0)).any():
            raise ContractViolation(
                "the training part has one class only: none is present in some recordings and absent in "
                "others, so there is nothing to tell apart"
            )
        return Objective(
            task=task,
            classes=classes,
            weights=_class_weights(labels, task) if weigh else ones,
            centre=zeros,
            spread=ones,
            label_smoothing=label_smoothing,
        )
    if np.isnan(labels).all(axis=0).any():
        raise ContractViolation("a target has no value in the training part")
    spread = np.nanstd(labels.astype(np.float64), axis=0)
    if not (spread > 0).all():
        raise ContractViolation("a target has the same value in all recordings of the training part")
    return Objective(
        task=task,
        classes=classes,
        weights=ones,
        centre=tensor(np.nanmean(labels.astype(np.float64), axis=0).astype(np.float32)),
        spread=tensor(spread.astype(np.float32)),
    )


def _class_weights(labels: npt.NDArray[np.uint8], task: Task) -> Tensor:
    """Negatives per positive, or inverse frequency (mean 1 if balanced)."""
    count = len(labels)
    positives = labels.sum(axis=0, dtype=np.float64)
    wanted = (
        count - positives if task is Task.MULTI_LABEL else np.full_like(positives, count / len(positives))
    )
    ratio = np.divide(wanted, positives, out=np.ones_like(positives), where=positives > 0)
    return tensor(np.clip(ratio, 1 / GREATEST_WEIGHT, GREATEST_WEIGHT).astype(np.float32))
