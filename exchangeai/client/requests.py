"""Requests from what a caller gives; what the service would refuse is told before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ContractViolation, InvalidArgument, TooLarge
from exchangeai.formats import ReadOptions
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.leads import STANDARD_12
from exchangeai.rpc.upload import read_options_to_proto
from exchangeai.v1 import inference_service_pb2 as pb

Place: TypeAlias = "str | PathLike[str]"
Files: TypeAlias = "Place | Sequence[Place] | Mapping[str, bytes]"
"""A path, the paths of a record of several files, or bytes by file name."""
Ecg: TypeAlias = "Files | npt.NDArray[np.float32]"
"""One ECG: the id of a stored recording (64 hex digits), its files, or float32 [n, 12, 5000] or [12, 5000] in
millivolts at 500 Hz."""

INPUT, SAMPLES = "ecg", 5000
MAX_WINDOWS = 128
MAX_FILE_BYTES = 38 << 20
_RECORDING_ID = re.compile(r"[0-9a-f]{64}")
_LAYOUT = f"[n, {len(STANDARD_12)}, {SAMPLES}] or [{len(STANDARD_12)}, {SAMPLES}]"


class Asked(TypedDict, total=False):
    """What may be said with an ECG."""

    version: int
    """Of the model; 0, the default, is the one that the service chooses."""
    age_years: int | None
    """In place of what the file or the recording says."""
    options: ReadOptions
    """What the files do not say."""
    valid_samples: Sequence[int]
    """Of an array: how many samples of each window are signal; empty for all."""
    saliency: bool
    embedding: bool
    record: bool
    """Keep the answer among the results; for a stored recording only."""


def predict_request(ecg: Ecg, model: str, asked: Asked) -> pb.PredictRequest:
    """A request for findings. Raises ContractViolation, TooLarge or InvalidArgument."""
    request = pb.PredictRequest(
        model_name=_name(model),
        model_version=asked.get("version", 0),
        age_years=asked.get("age_years"),
        include_saliency=asked.get("saliency", False),
        include_embedding=asked.get("embedding", False),
        record_result=asked.get("record", False),
    )
    if isinstance(ecg, str) and _RECORDING_ID.fullmatch(ecg):
        request.recording_id = ecg
    elif isinstance(ecg, np.ndarray):
        values = windows(ecg, np.float32)
        request.tensor.shape.extend(values.shape)
        request.tensor.values_mv = values.tobytes()
        request.tensor.valid_samples.extend(asked.get("valid_samples", ()))
    else:
        files = contents(ecg)
        request.files.options.CopyFrom(read_options_to_proto(asked.get("options", ReadOptions())))
        request.files.files.extend(pb.EcgFile(name=k, content=v) for k, v in files.items())
    return request


def infer_request(
    values: npt.NDArray[Any], model: str, version: int, outputs: Sequence[str], *, assess: bool
) -> oip.ModelInferRequest:
    """A request for raw outputs: float32 in millivolts, or int16 in microvolts, which is half the bytes."""
    array: npt.NDArray[Any] = np.asarray(values)
    wide = array.dtype != np.int16
    checked = windows(array, np.float32 if wide else np.int16)
    kind = oip.ModelInferRequest
    return oip.ModelInferRequest(
        model_name=_name(model),
        model_version=str(version) if version else "",
        parameters={} if assess else {"assess_quality": oip.InferParameter(bool_param=False)},
        inputs=[kind.InferInputTensor(name=INPUT, datatype="FP32" if wide else "INT16", shape=checked.shape)],
        outputs=[kind.InferRequestedOutputTensor(name=x) for x in outputs],
        raw_input_contents=[checked.tobytes()],
    )


def windows(values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """[n, 12, 5000] of the dtype, little-endian, in C order. Raises ContractViolation or TooLarge."""
    if values.dtype.newbyteorder("=") != np.dtype(dtype):
        raise ContractViolation(
            f"the array is {values.dtype}; expected {np.dtype(dtype)}: `.astype(np.float32)` after scaling "
            "to millivolts (only `infer` also takes int16 in microvolts)"
        )
    whole = values[np.newaxis] if values.ndim == 2 else values
    if whole.ndim != 3 or whole.shape[0] < 1 or whole.shape[1:] != (len(STANDARD_12), SAMPLES):
        raise ContractViolation(
            f"the array's shape is {list(values.shape)}; expected {_LAYOUT}: leads I II III aVR aVL aVF "
            "V1-V6 at 500 Hz in windows of 10 s. Send the file itself to have it made so"
        )
    if whole.shape[0] > MAX_WINDOWS:
        raise TooLarge(f"the array has {whole.shape[0]} windows; at most {MAX_WINDOWS} fit in one request")
    if np.issubdtype(whole.dtype, np.floating) and not np.isfinite(whole).all():
        raise ContractViolation(
            "the array holds NaN or infinite values; put 0 where there is no signal, and say `valid_samples`"
        )
    return np.ascontiguousarray(whole, whole.dtype.newbyteorder("<"))


def contents(given: Files) -> dict[str, bytes]:
    """Bytes by file name. Raises InvalidArgument (cannot be read, a name twice) or TooLarge."""
    if isinstance(given, bytes | bytearray | memoryview):
        raise InvalidArgument("bytes need a file name, which says the format: give {'ecg.edf': data}")
    if isinstance(given, Mapping):
        files = {name: bytes(data) for name, data in given.items()}
    else:
        paths = [Path(given)] if isinstance(given, str | PathLike) else [Path(x) for x in given]
        if len({x.name for x in paths}) != len(paths):
            raise InvalidArgument("two of the files have the same name; each needs its own")
        try:
            files = {x.name: x.read_bytes() for x in paths}
        except OSError as e:
            raise InvalidArgument(f"the file cannot be read: {e.strerror}") from e
    if not files:
        raise InvalidArgument("no file is given")
    total = sum(len(x) for x in files.values())
    if total > MAX_FILE_BYTES:
        raise TooLarge(
            f"the files have {total >> 20} MiB; at most {MAX_FILE_BYTES >> 20} fit in one request: upload "
            "the recording and predict it by its id"
        )
    return files


def _name(model: str) -> str:
    if not model:
        raise InvalidArgument("no model is named; `models()` lists those that the service knows")
    return model
