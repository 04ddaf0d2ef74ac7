"""Predict the same recordings twice, by the typed API and by the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.progress import Progress
from demo.records import CLASSES
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.model_file import INPUT
from exchangeai.rpc import invoke
from exchangeai.v1 import inference_service_pb2 as typed
from exchangeai.v1 import model_pb2, preprocess_service_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from exchangeai.v1.preprocess_service_pb2_grpc import PreprocessServiceStub

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Probabilities of the recordings that could be analysed."""

    probabilities: Floats
    """[recordings, classes], by the typed API."""
    analysed: list[int]
    """Positions of these recordings among those asked for."""
    largest_difference: float
    """Between the two doors, over all probabilities."""


def predict(
    inference: InferenceServiceStub,
    protocol: GRPCInferenceServiceStub,
    preprocess: PreprocessServiceStub,
    model: model_pb2.Model,
    recording_ids: Sequence[str],
) -> Predictions:
    """Predict each recording by its id and, apart from that, by its windows as a tensor."""
    rows: list[Floats] = []
    analysed: list[int] = []
    largest = 0.0
    with Progress("predict test part", len(recording_ids)) as bar:
        for position, recording_id in enumerate(recording_ids):
            request = typed.PredictRequest(
                model_name=model.name, model_version=model.version, recording_id=recording_id
            )
            response: typed.PredictResponse = invoke(inference.Predict, request, timeout_s=30)
            bar.update(position + 1)
            if not response.findings:
                continue
            by_name = {finding.name: finding.probability for finding in response.findings}
            row = np.array([by_name[name] for name in CLASSES])
            standard = by_protocol(protocol, preprocess, model, recording_id)
            largest = max(largest, float(np.abs(row - standard).max()))
            rows.append(row)
            analysed.append(position)
    return Predictions(probabilities=np.array(rows), analysed=analysed, largest_difference=largest)


def by_protocol(
    protocol: GRPCInferenceServiceStub,
    preprocess: PreprocessServiceStub,
    model: model_pb2.Model,
    recording_id: str,
) -> Floats:
    """Mean probability over the windows of a recording, [classes] in CLASSES order, by ModelInfer."""
    windows: preprocess_service_pb2.GetWindowsResponse = invoke(
        preprocess.GetWindows, preprocess_service_pb2.GetWindowsRequest(recording_id=recording_id, count=16)
    )
    request = oip.ModelInferRequest(
        model_name=model.name,
        model_version=str(model.version),
        inputs=[oip.ModelInferRequest.InferInputTensor(name=INPUT, datatype="FP32", shape=windows.shape)],
        outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")],
        raw_input_contents=[windows.values_mv],
    )
    response: oip.ModelInferResponse = invoke(protocol.ModelInfer, request, timeout_s=30)
    values = np.frombuffer(response.raw_output_contents[0], "<f4").reshape(response.outputs[0].shape)
    order = [[c.name for c in model.classes].index(name) for name in CLASSES]
    return values.mean(axis=0, dtype=np.float64)[order]
