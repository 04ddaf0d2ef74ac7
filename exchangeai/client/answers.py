"""What calls give back: plain frozen values, and their rows for a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ExchangeaiError, NotFound
from exchangeai.findings import Finding, Prediction, Provenance, Refusal
from exchangeai.inference import grpc_service_pb2
from exchangeai.rpc.answers import answer_from_proto
from exchangeai.v1 import dataset_pb2, inference_service_pb2, model_pb2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says of one ECG. Research use, not a medical device."""

    prediction: Prediction
    """All that was answered: windows, quality, notes, how unlike the training data."""
    provenance: Provenance
    findings: Mapping[str, Finding] = field(init=False)
    """By class, over the whole recording; empty when there are refusals."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", {x.name: x for x in self.prediction.findings})

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why there are no findings; empty when there are."""
        return self.prediction.refusals

    @property
    def present(self) -> tuple[str, ...]:
        """Classes that are decided to be present, in the model's order."""
        return tuple(name for name, x in self.findings.items() if x.present)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each class, with the model and the digest of the input; for `pandas.DataFrame`."""
        origin = self.provenance
        about = {
            "model": origin.model_name,
            "version": origin.model_version,
            "input_digest": origin.input_digest,
            "quality": self.prediction.quality.verdict.value,
        }
        rows: list[dict[str, Any]] = []
        for finding in self.findings.values():
            row = asdict(finding)
            row["conformal"] = finding.conformal.value if finding.conformal else ""
            rows.append({**about, **row})
        return rows


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An answer, or why there is none, of one ECG among many."""

    index: int
    """Place of the ECG among those given."""
    answer: Answer | None = None
    error: ExchangeaiError | None = None

    def result(self) -> Answer:
        """The answer. Raises the error."""
        if self.answer is None:
            raise self.error or NotFound("there is no answer")
        return self.answer


@dataclass(frozen=True, kw_only=True)
class RawOutputs:
    """Raw outputs of a model on a batch of windows."""

    model_name: str
    model_version: int
    arrays: Mapping[str, npt.NDArray[np.float32]]
    """`logits` and `probabilities` [n, classes], `embedding` [n, size], `saliency` [n, classes, steps]."""
    quality: tuple[str, ...]
    """Verdict on each window (`analysable`, `limited`, `not_analysable`); empty when not assessed."""
    parameters: Mapping[str, str]
    """Digests of the model and of the input, versions, reasons of the quality, the notice; unless not
    assessed also what the model's contract of use and its detector say of each window."""

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        """One output."""
        return self.arrays[name]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A version of a model that the service knows."""

    name: str
    version: int
    digest: str
    """SHA-256 (hex) of the .onnx file."""
    approved: bool
    """False in quarantine: it does not answer."""
    task: str
    """`multi_label`, `single_label` or `regression`."""
    classes: Mapping[str, float]
    """Thresholds by class."""
    architecture: str
    origin: str
    licence: str
    intended_use: str


def answer_of(message: inference_service_pb2.PredictResponse) -> Answer:
    """Read a typed answer."""
    prediction, provenance = answer_from_proto(message)
    return Answer(prediction=prediction, provenance=provenance)


def outputs_of(message: grpc_service_pb2.ModelInferResponse) -> RawOutputs:
    """Read raw outputs; the arrays are views of the message's bytes."""
    parameters = {k: v.string_param for k, v in message.parameters.items()}
    told = parameters.get("quality", "")
    return RawOutputs(
        model_name=message.model_name,
        model_version=int(message.model_version),
        arrays={
            x.name: np.frombuffer(raw, "<f4").reshape(tuple(x.shape))
            for x, raw in zip(message.outputs, message.raw_output_contents, strict=True)
        },
        quality=() if told in {"", "not_assessed"} else tuple(told.split(",")),
        parameters=parameters,
    )


def model_of(message: model_pb2.Model) -> ModelInfo:
    """Read a model of the list."""
    return ModelInfo(
        name=message.name,
        version=message.version,
        digest=message.digest,
        approved=message.state == model_pb2.MODEL_STATE_APPROVED,
        task=dataset_pb2.Task.Name(message.task).removeprefix("TASK_").lower(),
        classes={x.name: x.threshold for x in message.classes},
        architecture=message.architecture,
        origin=message.origin,
        licence=message.licence,
        intended_use=message.intended_use,
    )
