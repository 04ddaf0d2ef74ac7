"""Triton's extensions of the Open Inference Protocol that are not offered, and what there is instead."""

from __future__ import annotations

_SHARED_MEMORY = "tensors travel in the call; shared memory would let callers read one another's ECGs"
_SETTINGS = "settings come from the environment of the service, so that all replicas have the same"
_REASONS = {
    "ModelConfig": "models have no configuration beside their file; ModelMetadata tells inputs and outputs",
    "ModelStatistics": "the service's metrics are at its Prometheus endpoint /metrics",
    "TraceSetting": _SETTINGS,
    "LogSettings": _SETTINGS,
    **{
        f"{kind}SharedMemory{verb}": _SHARED_MEMORY
        for kind in ("System", "Cuda")
        for verb in ("Status", "Register", "Unregister")
    },
}
NOT_OFFERED = {f"/inference.GRPCInferenceService/{name}": reason for name, reason in _REASONS.items()}
