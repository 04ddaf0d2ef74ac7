"""Where models run: on the processor, or on an NVIDIA GPU by CUDA or TensorRT (extra `gpu`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.config import ConfigError

_ort: Any = onnxruntime

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_OPTIONS: dict[str, dict[str, str]] = {
    # TF32 has 10 bits of mantissa; and a search for the best kernel would be made anew for each batch size.
    _CUDA: {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    _TENSORRT: {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"},
}


class Device(StrEnum):
    """A kind of device, as the setting `device` names it."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What a session needs to know of its device."""

    providers: tuple[str, ...]
    """Of onnxruntime; the first is wanted, the others take what it cannot run."""
    most_windows: int
    """That one run takes: beyond, on a processor, more gains nothing and makes the next caller wait."""
    tolerance: float
    """Of the golden record, relative: other kernels add in another order."""


_PLACEMENTS = {
    Device.CPU: Placement(providers=(_CPU,), most_windows=4, tolerance=1e-5),
    Device.CUDA: Placement(providers=(_CUDA, _CPU), most_windows=32, tolerance=1e-3),
    Device.TENSORRT: Placement(providers=(_TENSORRT, _CUDA, _CPU), most_windows=32, tolerance=1e-3),
}


def placement(device: Device) -> Placement:
    """What sessions on a device are like."""
    return _PLACEMENTS[device]


def chosen(text: str) -> Device:
    """The device that a setting names. Raises ConfigError, also when this onnxruntime cannot use it."""
    try:
        device = Device(text)
    except ValueError:
        raise ConfigError(
            f"EXCHANGEAI_DEVICE must be one of {', '.join(Device)}, not {text[:32]!r}"
        ) from None
    if device is not Device.CPU:
        # The CUDA libraries of the extra lie among Python's packages, where no loader looks.
        _ort.preload_dlls()
    wanted = placement(device).providers[0]
    if wanted not in _ort.get_available_providers():
        raise ConfigError(
            f"EXCHANGEAI_DEVICE is {device}, but this onnxruntime runs models on the processor only; install "
            "onnxruntime-gpu in its place (extra 'gpu'), or set EXCHANGEAI_DEVICE=cpu"
        )
    return device


def opened(data: bytes, threads: int, device: Device) -> Any:
    """An onnxruntime session on the device.

    Raises RuntimeError when a GPU does not take it, and what onnxruntime raises when it refuses the model.
    """
    options = _ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Spinning threads gain nothing measurable here and cost their neighbours a third of their time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    wanted = placement(device).providers
    session = _ort.InferenceSession(data, options, providers=[(x, _OPTIONS.get(x, {})) for x in wanted])
    # Where the first provider fails to start, onnxruntime goes on without it and without a word.
    if session.get_providers()[0] != wanted[0]:
        raise RuntimeError(f"{wanted[0]} could not be used")
    return session
