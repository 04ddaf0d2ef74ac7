"""PreprocessService: messages to values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from exchangeai.errors import InvalidArgument
from exchangeai.facts import DatasetFact
from exchangeai.rpc import convert
from exchangeai.v1 import preprocess_service_pb2 as pb
from exchangeai.v1 import preprocess_service_pb2_grpc
from exchangeai.v1.dataset_pb2 import Dataset
from services.preprocess.catalogue import Catalogue
from services.preprocess.columns import LABEL_SEPARATOR, Columns, Dialect
from services.preprocess.members import Repeated
from services.preprocess.plan import Wish
from services.preprocess.split import Shares

_PIECE_BYTES = 1 << 20
_DECIMAL: dict[str, Literal["", ".", ","]] = {"": "", ".": ".", ",": ","}
_REPEATED: dict[int, Repeated] = {
    pb.REPEATED_ROWS_UNSPECIFIED: Repeated.LEAVE_OUT,
    pb.REPEATED_ROWS_UNION: Repeated.UNION,
    pb.REPEATED_ROWS_FIRST: Repeated.FIRST,
}


class PreprocessServicer(preprocess_service_pb2_grpc.PreprocessServiceServicer):
    """Deadlines, bounds and errors are kept by the server's guard."""

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
                    time=request.columns.time,
                    label_columns=tuple(request.columns.label_columns),
                ),
                task=convert.task_from_proto(request.task),
                classes=tuple(request.classes),
                shares=Shares(
                    validation=request.split.validation, test=request.split.test, seed=request.split.seed
                ),
                dialect=_dialect(request.dialect),
                repeated=_REPEATED[request.repeated_rows],
                fewest_patients=request.fewest_patients,
                keep_unlabelled=request.keep_unlabelled,
                part_values=dict(request.columns.part_values),
            )
        )
        return pb.BuildDatasetResponse(dataset=self._dataset(fact))

    async def WatchDataset(
        self, request: pb.WatchDatasetRequest, context: Any
    ) -> AsyncIterator[pb.WatchDatasetResponse]:
        """The data set now and at each change."""
        async for fact in self._catalogue.watch(request.dataset_id):
            yield pb.WatchDatasetResponse(dataset=self._dataset(fact))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        """Newest first."""
        return pb.ListDatasetsResponse(datasets=[self._dataset(x) for x in self._catalogue.datasets()])

    async def GetDatasetReport(
        self, request: pb.GetDatasetReportRequest, context: Any
    ) -> AsyncIterator[pb.GetDatasetReportResponse]:
        """One kind of the full report."""
        content = await self._catalogue.report(
            request.dataset_id, convert.report_kind_from_proto(request.kind)
        )
        for begin in range(0, len(content), _PIECE_BYTES):
            yield pb.GetDatasetReportResponse(csv=content[begin : begin + _PIECE_BYTES])

    def _dataset(self, fact: DatasetFact) -> Dataset:
        return convert.dataset_to_proto(fact, self._catalogue.test_looks(fact.dataset_id))


def _dialect(message: pb.TableDialect) -> Dialect:
    return Dialect(
        separator=message.separator,
        encoding=message.encoding,
        decimal=_DECIMAL[message.decimal],
        label_separator=message.label_separator or LABEL_SEPARATOR,
        sheet=message.sheet,
        synonyms=dict(message.synonyms),
    )
