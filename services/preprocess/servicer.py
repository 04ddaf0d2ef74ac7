"""PreprocessService: messages to values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from exchangeai.errors import InvalidArgument
from exchangeai.rpc import convert
from exchangeai.v1 import preprocess_service_pb2 as pb
from exchangeai.v1 import preprocess_service_pb2_grpc
from services.preprocess.catalogue import Catalogue, Wish
from services.preprocess.split import Shares
from services.preprocess.table import Columns


class PreprocessServicer(preprocess_service_pb2_grpc.PreprocessServiceServicer):
    """Deadlines, bounds and errors are kept by the server's interceptor."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def GetWindows(self, request: pb.GetWindowsRequest, context: Any) -> pb.GetWindowsResponse:
        """Windows of a recording."""
        windows = await self._catalogue.windows(request.recording_id)
        if request.first >= len(windows):
            raise InvalidArgument(
                f"the recording has {len(windows)} windows, counted from 0; there is none at {request.first}"
            )
        chosen = slice(request.first, request.first + (request.count or 1))
        values = windows.millivolts_of(chosen)
        return pb.GetWindowsResponse(
            shape=values.shape,
            values_mv=values.astype("<f4", copy=False).tobytes(),
            valid_samples=windows.valid_samples[chosen].tolist(),
            total=len(windows),
            missing_leads=windows.missing,
        )

    async def GetMeasurements(
        self, request: pb.GetMeasurementsRequest, context: Any
    ) -> pb.GetMeasurementsResponse:
        """Measurements and quality."""
        analysis = await self._catalogue.analysis(request.recording_id)
        return pb.GetMeasurementsResponse(
            measurements=convert.measurements_to_proto(analysis.measurements),
            quality=convert.quality_to_proto(analysis.quality),
        )

    async def BuildDataset(self, request: pb.BuildDatasetRequest, context: Any) -> pb.BuildDatasetResponse:
        """Joins, splits and queues."""
        if request.split.validation + request.split.test >= 0.9:
            raise InvalidArgument(
                "validation and test together must be below 0.9, or nothing is left to train on"
            )
        fact = await self._catalogue.build(
            Wish(
                name=request.name,
                table=request.table,
                columns=Columns(
                    recording=request.columns.recording,
                    label=request.columns.label,
                    patient=request.columns.patient,
                    part=request.columns.part,
                ),
                task=convert.task_from_proto(request.task),
                classes=tuple(request.classes),
                shares=Shares(
                    validation=request.split.validation, test=request.split.test, seed=request.split.seed
                ),
            )
        )
        return pb.BuildDatasetResponse(dataset=convert.dataset_to_proto(fact))

    async def WatchDataset(
        self, request: pb.WatchDatasetRequest, context: Any
    ) -> AsyncIterator[pb.WatchDatasetResponse]:
        """The data set now and at each change."""
        async for fact in self._catalogue.watch(request.dataset_id):
            yield pb.WatchDatasetResponse(dataset=convert.dataset_to_proto(fact))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        """Newest first."""
        return pb.ListDatasetsResponse(
            datasets=[convert.dataset_to_proto(x) for x in self._catalogue.datasets()]
        )
