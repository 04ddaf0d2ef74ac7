"""What the inference service answers, from its messages: for whoever calls it."""

from __future__ import annotations

from exchangeai.findings import (
    Finding,
    OutOfDistribution,
    Prediction,
    Provenance,
    Refusal,
    RefusalCode,
    Saliency,
    WindowFindings,
)
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.rpc.serving import conformal_from_proto
from exchangeai.v1 import inference_service_pb2, measurements_pb2, prediction_pb2


def answer_from_proto(message: inference_service_pb2.PredictResponse) -> tuple[Prediction, Provenance]:
    """A prediction and where it comes from."""
    origin = message.provenance
    prediction = Prediction(
        findings=tuple(_finding(x) for x in message.findings),
        windows=tuple(_window(x) for x in message.windows),
        quality=quality_from_proto(message.quality),
        refusals=tuple(Refusal(code=_refusal(x.code), text=x.text) for x in message.refusals),
        notes=tuple(message.notes),
        ood=_ood(message.ood) if message.HasField("ood") else None,
        embedding=tuple(message.embedding),
    )
    provenance = Provenance(
        model_name=origin.model_name,
        model_version=origin.model_version,
        model_digest=origin.model_digest,
        input_digest=origin.input_digest,
        code_version=origin.code_version,
        preprocessing_version=origin.preprocessing_version,
        runtime_version=origin.runtime_version,
        model_role=origin.model_role,
        request_id=origin.request_id,
        notice=origin.notice,
    )
    return prediction, provenance


def quality_from_proto(message: measurements_pb2.Quality) -> Quality:
    """Signal quality."""
    known = message.HasField("acceptable_probability")
    return Quality(
        verdict=Verdict[
            measurements_pb2.QualityVerdict.Name(message.verdict).removeprefix("QUALITY_VERDICT_")
        ],
        reasons=tuple(message.reasons),
        leads=tuple(LeadQuality(lead=x.lead, flags=tuple(x.flags)) for x in message.leads),
        flags=tuple(message.flags),
        acceptable_probability=message.acceptable_probability if known else None,
    )


def _refusal(code: prediction_pb2.RefusalCode) -> RefusalCode:
    return RefusalCode[prediction_pb2.RefusalCode.Name(code).removeprefix("REFUSAL_CODE_")]


def _finding(message: inference_service_pb2.Finding) -> Finding:
    return Finding(
        name=message.name,
        probability=message.probability,
        threshold=message.threshold,
        present=message.present,
        value=message.value if message.HasField("value") else None,
        low=message.low if message.HasField("low") else None,
        high=message.high if message.HasField("high") else None,
        conformal=conformal_from_proto(message.conformal),
        code=message.code,
    )


def _window(message: inference_service_pb2.WindowFindings) -> WindowFindings:
    told = message.saliency
    saliency = Saliency(classes=told.classes, steps=told.steps, step_s=told.step_s, values=tuple(told.values))
    return WindowFindings(
        start_s=message.start_s,
        findings=tuple(_finding(x) for x in message.findings),
        ood=_ood(message.ood) if message.HasField("ood") else None,
        saliency=saliency if message.HasField("saliency") else None,
        embedding=tuple(message.embedding),
    )


def _ood(message: prediction_pb2.OutOfDistribution) -> OutOfDistribution:
    return OutOfDistribution(
        ood_score=message.ood_score,
        percentile=message.percentile,
        outside=message.outside,
        limit=message.limit,
        limit_percentile=message.limit_percentile,
    )
