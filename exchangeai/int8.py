"""The form of a model in numbers of eight bits, as the run that makes it tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from exchangeai.metrics import Estimate

INT8_SUFFIX = "-int8"
"""Ends the name of a model in numbers of eight bits that a run published beside its own."""
INT8_MOST_LOSS = 0.002
"""Of macro-AUROC on validation; when it loses more it is not published."""


@dataclass(frozen=True, kw_only=True)
class Int8Form:
    """What became of a run's model in numbers of eight bits; see `services.trainer.int8_form`."""

    digest: str = ""
    """Empty when there is none."""
    model_name: str = ""
    model_version: int = 0
    loss: Estimate = field(default_factory=Estimate)
    """Of macro-AUROC against the float32 form on the recordings that the run reports on."""
    inference_ms: float = 0.0
    """Median time for one window in ONNX Runtime on one thread where the run ended."""
    float32_ms: float = 0.0
    """The same of the float32 form, measured in turn with it."""
    reason: str = ""
    """Why there is none."""
