"""Predictions and their results to messages."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.findings import (
    ConformalVerdict,
    Finding,
    OutOfDistribution,
    Prediction,
    Provenance,
    RefusalCode,
    Saliency,
    WindowFindings,
)
from exchangeai.results import Result
from exchangeai.rpc.convert import quality_to_proto, timestamp
from exchangeai.rpc.errors import INTERNAL_MESSAGE, status_of
from exchangeai.v1 import inference_service_pb2, prediction_pb2

_REFUSAL = {
    RefusalCode.NOT_ANALYSABLE: prediction_pb2.REFUSAL_CODE_NOT_ANALYSABLE,
    RefusalCode.AGE_OUTSIDE: prediction_pb2.REFUSAL_CODE_AGE_OUTSIDE,
    RefusalCode.LEAD_MISSING: prediction_pb2.REFUSAL_CODE_LEAD_MISSING,
    RefusalCode.TOO_SHORT: prediction_pb2.REFUSAL_CODE_TOO_SHORT,
}
_CONFORMAL = {
    None: prediction_pb2.CONFORMAL_VERDICT_UNSPECIFIED,
    ConformalVerdict.HOLDS: prediction_pb2.CONFORMAL_VERDICT_HOLDS,
    ConformalVerdict.DOES_NOT_HOLD: prediction_pb2.CONFORMAL_VERDICT_DOES_NOT_HOLD,
    ConformalVerdict.UNDECIDED: prediction_pb2.CONFORMAL_VERDICT_UNDECIDED,
    ConformalVerdict.IN_SET: prediction_pb2.CONFORMAL_VERDICT_IN_SET,
    ConformalVerdict.NOT_IN_SET: prediction_pb2.CONFORMAL_VERDICT_NOT_IN_SET,
}
_FORMATS: dict[inference_service_pb2.ResultFormat, str] = {
    inference_service_pb2.RESULT_FORMAT_CSV: "csv",
    inference_service_pb2.RESULT_FORMAT_PARQUET: "parquet",
    inference_service_pb2.RESULT_FORMAT_FHIR: "fhir",
    inference_service_pb2.RESULT_FORMAT_DICOM_SR: "dicom_sr",
}
"""Plug-ins of `exchangeai.results`."""


def prediction_to_proto(
    prediction: Prediction, provenance: Provenance
) -> inference_service_pb2.PredictResponse:
    """An answer."""
    return inference_service_pb2.PredictResponse(
        findings=_findings(prediction.findings),
        windows=[_window(x) for x in prediction.windows],
        quality=quality_to_proto(prediction.quality),
        provenance=inference_service_pb2.Provenance(
            model_name=provenance.model_name,
            model_version=provenance.model_version,
            model_digest=provenance.model_digest,
            input_digest=provenance.input_digest,
            code_version=provenance.code_version,
            preprocessing_version=provenance.preprocessing_version,
            request_id=provenance.request_id,
            notice=provenance.notice,
            runtime_version=provenance.runtime_version,
            model_role=provenance.model_role,
        ),
        refusals=[prediction_pb2.Refusal(code=_REFUSAL[x.code], text=x.text) for x in prediction.refusals],
        notes=prediction.notes,
        ood=_ood(prediction.ood),
        embedding=prediction.embedding,
    )


def result_to_proto(result: Result) -> inference_service_pb2.Result:
    """A recorded answer."""
    return inference_service_pb2.Result(
        recording_id=result.recording_id,
        answer=prediction_to_proto(result.prediction, result.provenance),
        recorded_at=timestamp(result.recorded_at),
    )


def format_from_proto(chosen: int) -> str:
    """Name of the plug-in that writes a format. Raises InvalidArgument when none is chosen."""
    for theirs, ours in _FORMATS.items():
        if theirs == chosen:
            return ours
    raise InvalidArgument("the format is not set: choose csv, parquet, fhir or dicom_sr")


def format_to_proto(name: str) -> inference_service_pb2.ResultFormat:
    """The format that a plug-in of this name writes."""
    return next(theirs for theirs, ours in _FORMATS.items() if ours == name)


def error_to_proto(error: ExchangeaiError) -> inference_service_pb2.CallError:
    """Why one request of several has no answer, by the one table of errors."""
    code: int = status_of(error).value[0]
    return inference_service_pb2.CallError(code=code, reason=type(error).__name__, message=str(error))


def defect_to_proto() -> inference_service_pb2.CallError:
    """In place of an answer, when what went wrong is in the log and not for the caller."""
    code: int = grpc.StatusCode.INTERNAL.value[0]
    return inference_service_pb2.CallError(code=code, reason="Internal", message=INTERNAL_MESSAGE)


def conformal_from_proto(verdict: int) -> ConformalVerdict | None:
    """What a conformal set says of a class."""
    return next(ours for ours, theirs in _CONFORMAL.items() if theirs == verdict)


def _findings(findings: Sequence[Finding]) -> list[inference_service_pb2.Finding]:
    return [
        inference_service_pb2.Finding(
            name=x.name,
            probability=x.probability,
            threshold=x.threshold,
            present=x.present,
            value=x.value,
            low=x.low,
            high=x.high,
            conformal=_CONFORMAL[x.conformal],
            code=x.code,
        )
        for x in findings
    ]


def _window(window: WindowFindings) -> inference_service_pb2.WindowFindings:
    return inference_service_pb2.WindowFindings(
        start_s=window.start_s,
        findings=_findings(window.findings),
        ood=_ood(window.ood),
        saliency=_saliency(window.saliency),
        embedding=window.embedding,
    )


def _ood(found: OutOfDistribution | None) -> prediction_pb2.OutOfDistribution | None:
    if found is None:
        return None
    return prediction_pb2.OutOfDistribution(
        ood_score=found.ood_score,
        percentile=found.percentile,
        outside=found.outside,
        limit=found.limit,
        limit_percentile=found.limit_percentile,
    )


def _saliency(found: Saliency | None) -> prediction_pb2.Saliency | None:
    if found is None:
        return None
    return prediction_pb2.Saliency(
        classes=found.classes, steps=found.steps, step_s=found.step_s, values=found.values
    )
