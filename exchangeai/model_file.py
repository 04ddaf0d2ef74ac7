"""The one model file: an `.onnx` whose metadata carries its manifest; the trainer → inference contract.

The graph's input is `ecg`, float32 [batch, 12, 5000] in the tensor contract (mV, 500 Hz, standard lead
order). Its outputs are `logits` and `probabilities` [batch, classes] (calibrated), `embedding`
[batch, features] and `saliency` [batch, classes, steps]. Whatever a model wants beyond the contract
(another rate, a filter, a normalisation) is inside the graph.

The manifest is JSON in the metadata entry `exchangeai.manifest`. The golden record, a real or synthetic
window and the outputs that the model gives on it, travels in the manifest as well.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12
from exchangeai.metrics import TestReport
from exchangeai.novelty import Detector, scorer

CARD_FILE = "card.md"
MANIFEST_KEY = "exchangeai.manifest"
MANIFEST_VERSION = 1
MEMBERS_KEY = "members"
"""Of a manifest's `extra`: digests of the models that this one is the mean of, separated by spaces."""
LOSS_KEY = "int8_loss"
"""Of a manifest's `extra`: what the int8 form scores less than the model that it was made of."""
INPUT = "ecg"
OUTPUTS = ("logits", "probabilities", "embedding", "saliency")
WINDOW_SAMPLES = 5000
SAMPLING_RATE_HZ = 500.0
INTENDED_USE = "Research use only, not a medical device."


@dataclass(frozen=True, kw_only=True)
class ModelClass:
    """One class in output order."""

    name: str
    threshold: float
    """Probability from which it is decided, fixed on validation data."""
    code: str = ""
    """Code in a terminology (`SCP-ECG:NORM`); empty when the label table gave only a name."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What the model has learned from."""

    dataset_id: str
    recordings: int
    patients: int
    positives: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A window and the model's outputs on it: whoever runs the model must reproduce them."""

    window: str
    """base64 of zlib of little-endian float32 [12, 5000], mV."""
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    tolerance: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """Bounds of sets that hold the truth in `coverage` of patients like those of validation, by class.

    Multi-label: below `low` a class does not hold, above `high` it does, between it is undecided or either.
    Single-label: the set has every class at or above `low`. Regression: add both to the number.
    """

    coverage: float
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a model may be used on: what is like the recordings that it has learned from."""

    min_age_years: int | None = None
    """None: no bound, or the ages were not known."""
    max_age_years: int | None = None
    leads: tuple[str, ...] = ()
    """That must be there: it has hardly ever been without them."""
    max_missing_leads: int | None = None
    """How many of the twelve leads may be missing at once; None: any that are not in `leads`."""
    min_duration_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about a model that is not its weights."""

    version: int = MANIFEST_VERSION
    name: str
    architecture: str
    task: Task
    classes: tuple[ModelClass, ...]
    leads: tuple[str, ...] = STANDARD_12
    sampling_rate_hz: float = SAMPLING_RATE_HZ
    window_samples: int = WINDOW_SAMPLES
    unit: str = "mV"
    temperature: float = 1.0
    """Calibration already applied inside the graph; stated for information."""
    training: TrainingData
    test: TestReport | None = None
    conformal: Conformal | None = None
    scope: Scope | None = None
    novelty: Detector | None = None
    """Tells what is unlike the training data, by the embedding."""
    parent_digest: str = ""
    """Digest of the model whose weights it started from; empty when from scratch."""
    code_version: str = ""
    preprocessing_version: str = ""
    licence: str = ""
    intended_use: str = INTENDED_USE
    golden: Golden | None = None
    extra: dict[str, str] = field(default_factory=dict[str, str])


ABSENT_KEY = "absent_outputs"
"""Of the manifest's `extra`: names of outputs, with commas, that have no elements because the model makes
none of them."""


def absent_outputs(manifest: Manifest) -> frozenset[str]:
    """Outputs that the graph has for the contract's sake alone: they are empty and mean nothing.

    A wrapped model of others may have no embedding and no saliency; empty ones mislead nobody.
    """
    return frozenset(x for x in manifest.extra.get(ABSENT_KEY, "").split(",") if x)


def model_digest(data: bytes) -> str:
    """SHA-256, hex, of the file."""
    return hashlib.sha256(data).hexdigest()


def object_key(digest: str) -> str:
    """Where the store keeps a model file."""
    return f"models/{digest}.onnx"


def card_prefix(digest: str) -> str:
    """Where the store keeps what explains a model: `card.md` and its figures."""
    return f"models/{digest}/"


def pack_window(window: npt.NDArray[np.float32]) -> str:
    """Encode a golden window, float32 [12, 5000]."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(window, "<f4").tobytes(), 9)).decode()


def unpack_window(packed: str) -> npt.NDArray[np.float32]:
    """Decode a golden window. Raises ContractViolation when it is not float32 [12, 5000]."""
    size = len(STANDARD_12) * WINDOW_SAMPLES * 4
    try:
        stream = zlib.decompressobj()
        raw = stream.decompress(base64.b64decode(packed, validate=True), size + 1)
    except (ValueError, zlib.error) as e:
        raise ContractViolation("the golden record in the model's manifest cannot be decoded") from e
    if len(raw) != size:
        raise ContractViolation("the golden record in the model's manifest is not [12, 5000] float32")
    return np.frombuffer(raw, "<f4").reshape(len(STANDARD_12), WINDOW_SAMPLES)


def write_manifest(model: onnx.ModelProto, manifest: Manifest) -> bytes:
    """Put the manifest into the model, in place of one that is there; return the file's bytes."""
    entries = [(p.key, p.value) for p in model.metadata_props if p.key != MANIFEST_KEY]
    del model.metadata_props[:]
    for key, value in [*entries, (MANIFEST_KEY, msgspec.json.encode(manifest).decode())]:
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def parse_model(data: bytes) -> onnx.ModelProto:
    """Parse an ONNX file. Raises ContractViolation when the bytes are none."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as e:
        raise ContractViolation("the file is not an ONNX model: it cannot be parsed") from e
    if not model.graph.node:
        raise ContractViolation("the file is not an ONNX model: it has no graph")
    return model


def read_manifest(model: onnx.ModelProto) -> Manifest:
    """Read and check the manifest. Raises ContractViolation, which says what is missing or wrong."""
    found = [p.value for p in model.metadata_props if p.key == MANIFEST_KEY]
    if len(found) != 1:
        raise ContractViolation(
            f"the model carries no manifest (metadata entry {MANIFEST_KEY!r}): its classes, leads and "
            "unit are unknown and are not guessed"
        )
    try:
        manifest = msgspec.json.decode(found[0], type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise ContractViolation(f"the model's manifest is malformed: {e}") from e
    expected: dict[str, tuple[Any, Any]] = {
        "version": (manifest.version, MANIFEST_VERSION),
        "leads": (manifest.leads, STANDARD_12),
        "unit": (manifest.unit, "mV"),
        "sampling_rate_hz": (manifest.sampling_rate_hz, SAMPLING_RATE_HZ),
        "window_samples": (manifest.window_samples, WINDOW_SAMPLES),
    }
    for what, (is_, must) in expected.items():
        if is_ != must:
            raise ContractViolation(f"the model's manifest says {what} = {is_!r}; it must be {must!r}")
    if not manifest.classes:
        raise ContractViolation("the model's manifest names no classes")
    held = manifest.conformal
    if held is not None and not len(held.low) == len(held.high) == len(manifest.classes):
        raise ContractViolation("the model's manifest has conformal bounds for other classes than its own")
    if manifest.novelty is not None:
        scorer(manifest.novelty)
    if manifest.scope is not None and not set(manifest.scope.leads) <= set(STANDARD_12):
        raise ContractViolation(f"the model's manifest needs leads that are none: {manifest.scope.leads}")
    return manifest
