"""Predictions of an ONNX file on a part of a data set: one of ours, or a foreign one that is described.

Shapes: B batch, L lead, T time, C class, n crops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.dataset import Part
from exchangeai.errors import ContractViolation, InvalidArgument
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from exchangeai.signal.resample import resample
from services.trainer.evaluation.metrics import Floats
from services.trainer.evaluation.predictions import Predictions

BATCH = 64
LEAST_PROBABILITY = 1e-7
Windows = npt.NDArray[np.float32]
Run = Callable[[Windows], Floats]
"""From windows in the tensor contract, float32 [B, 12, 5000] mV, to logits, [B, C]."""


class Foreign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be said of a model that does not describe itself: a TOML file beside it."""

    name: str
    task: Task
    classes: tuple[str, ...]
    """In output order, named as in the data set."""
    sampling_rate_hz: float
    samples: int
    """That it takes at once; longer windows are cut into crops, whose probabilities are averaged."""
    leads: tuple[str, ...] = STANDARD_12
    time_first: bool = False
    """The input is [B, T, L] instead of [B, L, T]."""
    millivolts: float = 1.0
    """That a 1 in its input stands for: 0.001 for a model that takes microvolts."""
    output: str = ""
    """Name of the output; the first if empty."""
    gives: str = "logits"
    """`logits`, `probabilities`, or `numbers` in regression."""


def read_foreign(text: str) -> Foreign:
    """Parse a description. Raises InvalidArgument, which says what is missing or wrong."""
    try:
        said = msgspec.toml.decode(text, type=Foreign)
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise InvalidArgument(f"the description of the model is malformed: {e}") from e
    if unknown := [x for x in said.leads if x not in STANDARD_12]:
        raise InvalidArgument(f"the leads {', '.join(unknown)} are none of {', '.join(STANDARD_12)}")
    if said.gives not in ("logits", "probabilities", "numbers"):
        raise InvalidArgument(f"gives = {said.gives!r}; it is logits, probabilities or numbers")
    if said.sampling_rate_hz <= 0 or said.millivolts <= 0 or not said.classes:
        raise InvalidArgument("a model has classes, a rate above 0 Hz and a unit above 0 mV")
    if not 0 < said.samples <= round(WINDOW_SAMPLES * said.sampling_rate_hz / SAMPLING_RATE_HZ):
        raise InvalidArgument(f"samples = {said.samples}; windows have 10 s")
    return said


def own(data: bytes, threads: int) -> Run:
    """A model file of the platform."""
    session = _session(data, threads)
    return lambda windows: np.asarray(session.run([OUTPUTS[0]], {INPUT: windows})[0], np.float64)


def embeddings(
    data: bytes,
    part: Part,
    rows: npt.NDArray[np.int64],
    threads: int,
    lead_orders: npt.NDArray[np.int64] | None = None,
) -> Floats:
    """What a model file of the platform makes of windows before it decides, [n, E].

    With `lead_orders`, int64 [n, 12], of the windows with their leads in these orders.
    """
    session = _session(data, threads)
    found: list[Windows] = []
    for start in range(0, len(rows), BATCH):
        windows = part.millivolts(rows[start : start + BATCH])
        if lead_orders is not None:
            windows = windows[np.arange(len(windows))[:, None], lead_orders[start : start + BATCH]]
        found.append(session.run(["embedding"], {INPUT: windows})[0])
    return np.concatenate(found).astype(np.float64)


def foreign(data: bytes, said: Foreign, threads: int) -> Run:
    """A model of others. Raises ContractViolation when it is not as described."""
    session = _session(data, threads)
    name: str = session.get_inputs()[0].name
    outputs = [x.name for x in session.get_outputs()]
    if said.output and said.output not in outputs:
        raise ContractViolation(f"the model has no output {said.output!r}; it has {', '.join(outputs)}")
    output = said.output or outputs[0]
    order = [STANDARD_12.index(x) for x in said.leads]

    def run(windows: Windows) -> Floats:
        x = resample(windows[:, order], SAMPLING_RATE_HZ, said.sampling_rate_hz)
        x = x / np.float32(said.millivolts)
        count = x.shape[2] // said.samples
        crops = x[:, :, : count * said.samples].reshape(*x.shape[:2], count, said.samples)
        x = crops.transpose(0, 2, 1, 3).reshape(-1, x.shape[1], said.samples)
        if said.time_first:
            x = x.transpose(0, 2, 1)
        try:
            given = np.asarray(session.run([output], {name: np.ascontiguousarray(x)})[0], np.float64)
        except Exception as e:  # the runtime's own errors have no common class
            raise ContractViolation(f"the model does not take {list(x.shape)}: {e}") from e
        if given.shape != (len(x), len(said.classes)):
            raise ContractViolation(
                f"the model gives {list(given.shape)} for {len(x)} crops, not [{len(x)}, {len(said.classes)}]"
            )
        return _averaged(given.reshape(len(windows), count, -1), said)

    return run


def predictions(run: Run, part: Part, classes: Sequence[int], of: Sequence[int]) -> Predictions:
    """Outputs on a whole part: of the model its outputs `classes`, of the data set its labels `of`."""
    rows = [np.empty((0, len(classes)))]
    for start in range(0, len(part), BATCH):
        rows.append(run(part.millivolts(slice(start, start + BATCH)))[:, list(classes)])
    labels = np.asarray(part.labels)[:, list(of)]
    return Predictions(
        logits=np.concatenate(rows),
        labels=labels if labels.dtype == np.float32 else labels > 0,
        recordings=part.recording_ids,
        patients=part.patient_keys,
        sex=part.sex,
        age_years=part.age_years,
        device_model=part.device_model,
    )


def _averaged(given_BnC: Floats, said: Foreign) -> Floats:
    """The mean over crops, of probabilities where there are any, as logits (or numbers)."""
    if said.gives == "numbers":
        return given_BnC.mean(axis=1)
    p = given_BnC
    multi = said.task is Task.MULTI_LABEL
    if said.gives == "logits":
        e = np.exp(-np.abs(p)) if multi else np.exp(p - p.max(axis=2, keepdims=True))
        p = np.where(given_BnC >= 0, 1, e) / (1 + e) if multi else e / e.sum(axis=2, keepdims=True)
    mean = np.clip(p.mean(axis=1), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(mean / (1 - mean)) if multi else np.log(mean)


def _session(data: bytes, threads: int) -> Any:
    ort = cast(Any, onnxruntime)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # else it warns of parameters kept for training
    try:
        return ort.InferenceSession(data, options, providers=ort.get_available_providers())
    except Exception as e:  # as above
        raise ContractViolation(f"ONNX Runtime cannot load the model: {e}") from e
