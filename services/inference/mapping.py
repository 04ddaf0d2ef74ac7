"""What a foreign ONNX model takes and gives: a mapping file (TOML), or the published platform's metadata."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
import onnx

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.leads import STANDARD_12

MAX_TEXT_BYTES = 256 * 1024
MAX_SAMPLES = 20_000
PUBLISHED_RATE_HZ = 100.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_BASELINE_S = 2.0

Normalisation = Literal["none", "z-score-lead", "z-score-record", "min-max-lead", "min-max-record", "given"]
Layout = Literal["batch-lead-time", "batch-time-lead"]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A mapping file, field by field; what is not said has the value below."""

    classes: tuple[str, ...]
    """In output order."""
    task: Task
    rate_hz: float
    """Of the signal that the model takes."""
    name: str = ""
    samples: int = 0
    """That the model takes; 0 for those of its input's shape or, where that is free, for 10 s."""
    unit: Literal["mV", "uV", "V"] = "mV"
    leads: tuple[str, ...] = STANDARD_12
    """In the model's order; some of the twelve."""
    baseline_s: float = 0.0
    """Window of the moving median that is subtracted first; 0 for none."""
    normalisation: Normalisation = "none"
    """`z-score`: mean 0 and standard deviation 1; `min-max`: -1 to 1; of each lead or of the record.
    `given`: `(x - mean) / deviation`."""
    mean: tuple[float, ...] = ()
    """For `given`: one number, or one for each lead, in the model's unit."""
    deviation: tuple[float, ...] = ()
    input: str = ""
    """Name of its input; empty for its only one."""
    layout: Layout = "batch-lead-time"
    output: str = ""
    """Name of the output with the classes; empty for its first."""
    gives: Literal["logits", "probabilities"] = "logits"
    """Logits go through a sigmoid (multi_label) or softmax (single_label)."""
    embedding: str = ""
    """Name of a tensor [batch, features] inside; empty when there is none."""
    thresholds: tuple[float, ...] = ()
    """Of each class; 0.5 where none are given."""
    codes: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""


def read_mapping(text: str) -> Mapping:
    """Read a mapping file. Raises ContractViolation that names the field."""
    if len(text) > MAX_TEXT_BYTES:
        raise ContractViolation(f"the mapping file is larger than {MAX_TEXT_BYTES} bytes")
    try:
        tree = cast(dict[str, Any], msgspec.toml.decode(text))
        unknown = sorted(set(tree) - set(Mapping.__dataclass_fields__))
        if unknown:
            raise ContractViolation(
                f"the mapping file has fields that it may not have: {', '.join(unknown[:5])}"
            )
        mapping = msgspec.convert(tree, Mapping)
    except ContractViolation:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise ContractViolation(f"the mapping file is malformed: {e}") from e
    return _checked(mapping)


def published_mapping(model: onnx.ModelProto) -> Mapping:
    """The contract of models of ExChanGeAI (Bickmann et al. 2025) from their metadata, read as data alone.

    `target_keys` is a Python or JSON list of classes, `sampling_rate` a number (100 Hz where it is absent),
    `standardizer` None, `minMax` or `meanStd` over the whole record, `scale` milliVolt or mikroVolt. That
    platform subtracts a moving median of 2 s and puts a softmax behind the model. Raises ContractViolation.
    """
    metadata: dict[str, str] = {}
    for entry in model.metadata_props:
        if metadata.setdefault(entry.key, entry.value) != entry.value:
            raise ContractViolation(
                f"the model's metadata say two things of {entry.key[:40]!r}; write a mapping file"
            )
    keys = metadata.get("target_keys")
    if keys is None:
        raise ContractViolation(
            "nothing says what the model's classes are: it has no metadata entry 'target_keys'; write a "
            "mapping file"
        )
    normalisations: dict[str, Normalisation] = {
        **dict.fromkeys(("", "none", "null"), "none"),
        "minmax": "min-max-record",
        "meanstd": "z-score-record",
    }
    standardizer = metadata.get("standardizer", "")
    units: dict[str, Literal["mV", "uV"]] = {
        "": "mV",
        "millivolt": "mV",
        "mikrovolt": "uV",
        "microvolt": "uV",
    }
    scale = metadata.get("scale", "")
    if standardizer.lower() not in normalisations or scale.lower() not in units:
        raise ContractViolation(
            f"the model's metadata say standardizer {standardizer[:40]!r} and scale {scale[:40]!r}, "
            "which are not known here; write a mapping file"
        )
    return _checked(
        Mapping(
            classes=_listed(keys),
            task=Task.SINGLE_LABEL,
            rate_hz=_rate(metadata.get("sampling_rate", "")),
            unit=units[scale.lower()],
            baseline_s=_BASELINE_S,
            normalisation=normalisations[standardizer.lower()],
            layout=_layout(model),
        )
    )


def _layout(model: onnx.ModelProto) -> Layout:
    """That platform transposes when the shape asks for it."""
    weights = {x.name for x in model.graph.initializer}
    for value in model.graph.input:
        sizes = [x.dim_value for x in value.type.tensor_type.shape.dim]
        if value.name not in weights and len(sizes) == 3 and sizes[2] == len(STANDARD_12) != sizes[1]:
            return "batch-time-lead"
    return "batch-lead-time"


def _listed(text: str) -> tuple[str, ...]:
    """A list of texts, written by Python or as JSON; never evaluated."""
    if len(text) > MAX_TEXT_BYTES:
        raise ContractViolation(
            "the model's metadata entry 'target_keys' is too long to be a list of classes"
        )
    value: Any = None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
            break
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    items = list(cast("list[Any]", value)) if isinstance(value, list | tuple) else []
    if not items or not all(isinstance(x, str | int) for x in items):
        raise ContractViolation(
            "the model's metadata entry 'target_keys' is no list of classes, and only a list is read; write "
            "a mapping file"
        )
    return tuple(str(x) for x in items)


def _rate(text: str) -> float:
    try:
        return float(text) if text else PUBLISHED_RATE_HZ
    except ValueError as e:
        raise ContractViolation(
            f"the model's metadata entry 'sampling_rate' is {text[:40]!r}, which is no number"
        ) from e


def _checked(mapping: Mapping) -> Mapping:
    leads = mapping.leads
    rules = {
        "classes": 0 < len(mapping.classes) == len(set(mapping.classes)),
        "rate_hz": 25 <= mapping.rate_hz <= 2000,
        "samples": 0 <= mapping.samples <= MAX_SAMPLES,
        "leads": 0 < len(leads) == len(set(leads)) and set(leads) <= set(STANDARD_12),
        "baseline_s": 0 <= mapping.baseline_s <= 10,
        "thresholds": len(mapping.thresholds) in (0, len(mapping.classes)),
        "codes": len(mapping.codes) in (0, len(mapping.classes)),
        "name": not mapping.name or _NAME.fullmatch(mapping.name) is not None,
    }
    if mapping.normalisation == "given":
        rules["mean"] = len(mapping.mean) in (1, len(leads))
        rules["deviation"] = len(mapping.deviation) in (1, len(leads)) and all(
            x > 0 for x in mapping.deviation
        )
    for field, holds in rules.items():
        if not holds:
            raise ContractViolation(
                f"the mapping says {field} = {getattr(mapping, field)!r}"[:300]
                + ", which cannot be; see docs/exchange.md"
            )
    return mapping
