"""The verbs on models: who answers under a name, and the changes that a person makes to that."""

from __future__ import annotations

from typing import Any, cast

from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import inference_service_pb2_grpc, model_pb2
from services.ui.gateway.line import Line
from services.ui.views import ServingView, VersionView

CHANGE_S = 60.0
"""A version is loaded and tried before it serves."""
_STATES = {
    model_pb2.MODEL_STATE_QUARANTINED: "quarantined",
    model_pb2.MODEL_STATE_APPROVED: "approved",
    model_pb2.MODEL_STATE_DEPRECATED: "deprecated",
}


class ModelsDoor:
    """Every method raises the ExchangeaiError that the service raised, Unavailable when it is away."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._stub: Any = inference_service_pb2_grpc.InferenceServiceStub(line.channel)

    def served(self) -> list[ServingView]:
        """Every name with its versions, newest first, and how it is served."""
        models = self._line.call(self._stub.ListModels, pb.ListModelsRequest()).models
        names = self._line.call(self._stub.ListServing, pb.ListServingRequest()).serving
        versions: dict[str, list[VersionView]] = {}
        for x in cast("list[model_pb2.Model]", models):
            versions.setdefault(x.name, []).append(
                VersionView(
                    version=x.version,
                    state=_STATES.get(x.state, "unknown"),
                    digest=x.digest,
                    origin=x.origin,
                    signed_by=x.signed_by,
                )
            )
        return [
            ServingView(
                name=x.name,
                versions=tuple(versions.get(x.name, ())),
                champion=x.champion,
                answering=x.answering,
                previous=tuple(x.previous),
                canary=x.canary,
                canary_share=x.canary_share,
                shadow=x.shadow,
                changed_by=x.changed_by,
                changed_at=float(x.changed_at.seconds),
                problem=x.problem,
                compared=x.agreement.compared,
                differing=x.agreement.differing,
                max_difference=x.agreement.max_difference,
            )
            for x in cast("list[pb.Serving]", names)
        ]

    def approve(self, name: str, version: int, by: str) -> None:
        """Let a version predict."""
        self._change(self._stub.ApproveModel, pb.ApproveModelRequest(name=name, version=version, by=by))

    def promote(self, name: str, version: int, by: str) -> None:
        """Make a version the champion."""
        self._change(self._stub.SetChampion, pb.SetChampionRequest(name=name, version=version, by=by))

    def set_canary(self, name: str, version: int, share: float, by: str) -> None:
        """Let a version answer a share of the inputs; 0 ends it."""
        request = pb.SetCanaryRequest(name=name, version=version, share=share, by=by)
        self._change(self._stub.SetCanary, request)

    def set_shadow(self, name: str, version: int, by: str) -> None:
        """Let a version run after the answers; 0 ends it."""
        self._change(self._stub.SetShadow, pb.SetShadowRequest(name=name, version=version, by=by))

    def roll_back(self, name: str, by: str) -> None:
        """Go back to the champion before."""
        self._change(self._stub.RollBack, pb.RollBackRequest(name=name, by=by))

    def deprecate(self, name: str, version: int, by: str) -> None:
        """Withdraw a version."""
        self._change(self._stub.DeprecateModel, pb.DeprecateModelRequest(name=name, version=version, by=by))

    def _change(self, method: Any, request: Any) -> None:
        self._line.call(method, request, timeout_s=CHANGE_S)
