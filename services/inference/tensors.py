"""Checks tensors that callers send against the tensor contract."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ContractViolation, TooLarge
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import WINDOW_SAMPLES

MAX_WINDOWS = 128
"""20 minutes of signal, 31 MB; longer recordings are ingested and predicted by id."""


MV_PER_UV = np.float32(1e-3)


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The shape as [n, 12, 5000]. Raises ContractViolation or TooLarge with expected and got."""
    if len(shape) != 3 or shape[0] < 1 or tuple(shape[1:]) != (len(STANDARD_12), WINDOW_SAMPLES):
        raise ContractViolation(
            f"the tensor's shape is {list(shape)[:8]}; expected [n, {len(STANDARD_12)}, {WINDOW_SAMPLES}] "
            "with n >= 1: leads I II III aVR aVL aVF V1-V6 at 500 Hz in windows of 10 s"
        )
    if shape[0] > MAX_WINDOWS:
        raise TooLarge(f"the tensor has {shape[0]} windows; at most {MAX_WINDOWS} fit in one request")
    return (shape[0], shape[1], shape[2])


def from_bytes(shape: Sequence[int], raw: bytes) -> npt.NDArray[np.float32]:
    """float32 [n, 12, 5000] from little-endian, row-major bytes. Raises ContractViolation."""
    checked = check_shape(shape)
    expected = 4 * math.prod(checked)
    if len(raw) != expected:
        raise ContractViolation(
            f"the tensor has {len(raw)} bytes; expected {expected} for float32 {list(checked)}"
        )
    return _finite(np.frombuffer(raw, "<f4").reshape(checked))


def from_values(shape: Sequence[int], values: Sequence[float]) -> npt.NDArray[np.float32]:
    """float32 [n, 12, 5000] from numbers in row-major order. Raises ContractViolation."""
    checked = check_shape(shape)
    if len(values) != math.prod(checked):
        raise ContractViolation(
            f"the tensor has {len(values)} values; expected {math.prod(checked)} for float32 {list(checked)}"
        )
    return _finite(np.array(values, np.float32).reshape(checked))


def from_microvolt_bytes(shape: Sequence[int], raw: bytes) -> npt.NDArray[np.float32]:
    """float32 [n, 12, 5000] in mV from little-endian int16 in microvolts. Raises ContractViolation."""
    checked = check_shape(shape)
    expected = 2 * math.prod(checked)
    if len(raw) != expected:
        raise ContractViolation(
            f"the tensor has {len(raw)} bytes; expected {expected} for int16 {list(checked)}"
        )
    return np.multiply(np.frombuffer(raw, "<i2").reshape(checked), MV_PER_UV, dtype=np.float32)


def from_microvolts(shape: Sequence[int], values: Sequence[int]) -> npt.NDArray[np.float32]:
    """float32 [n, 12, 5000] in mV from numbers in microvolts. Raises ContractViolation."""
    checked = check_shape(shape)
    if len(values) != math.prod(checked):
        raise ContractViolation(
            f"the tensor has {len(values)} values; expected {math.prod(checked)} for int16 {list(checked)}"
        )
    return np.multiply(np.array(values, np.int32).reshape(checked), MV_PER_UV, dtype=np.float32)


def check_valid_samples(valid_samples: Sequence[int], windows: int) -> npt.NDArray[np.int32]:
    """int32 [n]; empty means that all samples are signal. Raises ContractViolation."""
    if not valid_samples:
        return np.full(windows, WINDOW_SAMPLES, np.int32)
    if len(valid_samples) != windows or not all(0 <= x <= WINDOW_SAMPLES for x in valid_samples):
        raise ContractViolation(
            f"valid_samples must be empty or one number from 0 to {WINDOW_SAMPLES} for each of the "
            f"{windows} windows; got {len(valid_samples)} numbers"
        )
    return np.array(valid_samples, np.int32)


def _finite(tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(tensor).all():
        raise ContractViolation(
            "the tensor holds NaN or infinite values; expected finite millivolts (0 where there is no signal)"
        )
    return tensor
