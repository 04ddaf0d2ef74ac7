"""How names are served, to messages."""

from __future__ import annotations

from exchangeai.facts import ServingFact
from exchangeai.rpc.convert import timestamp
from exchangeai.v1 import inference_service_pb2 as pb


def serving_to_proto(
    fact: ServingFact, answering: int, problem: str, agreement: pb.ShadowAgreement | None
) -> pb.Serving:
    """`answering` is the version that answers now or 0; `problem` is empty when it is the champion."""
    return pb.Serving(
        name=fact.name,
        champion=fact.champion,
        answering=answering,
        previous=fact.previous,
        canary=fact.canary,
        canary_share=fact.canary_share,
        shadow=fact.shadow,
        changed_by=fact.changed_by,
        changed_at=timestamp(fact.changed_at) if fact.changed_at else None,
        agreement=agreement,
        problem=problem,
    )
