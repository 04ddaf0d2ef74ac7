"""The only door to the other services: gRPC calls in, plain values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from exchangeai.errors import Unavailable
from exchangeai.facts import (
    DatasetFact,
)
from exchangeai.facts import (
    DatasetState as DatasetState,
)
from exchangeai.facts import (
    Epoch as Epoch,
)
from exchangeai.facts import (
    PartSummary as PartSummary,
)
from exchangeai.facts import (
    RunState as RunState,
)
from exchangeai.facts import (
    Task as Task,
)
from exchangeai.join_report import JoinReport as JoinReport
from exchangeai.join_report import ReportKind as ReportKind
from exchangeai.join_report import RowProblem as RowProblem
from exchangeai.measurements import LeadQuality as LeadQuality
from exchangeai.measurements import Quality as Quality
from exchangeai.measurements import Verdict as Verdict
from exchangeai.metrics import ClassMetrics as ClassMetrics
from exchangeai.metrics import Estimate as Estimate
from exchangeai.metrics import TestReport as TestReport
from exchangeai.recording import MILLIVOLT
from exchangeai.rpc.convert import measurements_from_proto
from exchangeai.rpc.serving import conformal_from_proto
from exchangeai.v1 import (
    inference_service_pb2,
    inference_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    model_pb2,
    preprocess_service_pb2,
    preprocess_service_pb2_grpc,
    recording_pb2,
)
from exchangeai.v1 import (
    metrics_pb2 as metrics_pb2,
)
from services.ui.gateway.answers import (
    TASKS,
    dataset_view,
    quality_view,
    recording_view,
)
from services.ui.gateway.line import Line
from services.ui.gateway.models import ModelsDoor
from services.ui.gateway.trainer import TrainerDoor
from services.ui.views import (
    DatasetOrder,
    DatasetView,
    FindingView,
    MeasuredView,
    ModelView,
    PredictionView,
    RecordingView,
    RepeatedRows,
    SignalView,
    Stated,
    UploadView,
)

SERVICES = ("ingest", "preprocess", "trainer", "inference")
_CHUNK_BYTES = 1 << 20
_UNITS = {
    "": recording_pb2.UNIT_UNSPECIFIED,
    "V": recording_pb2.UNIT_VOLT,
    "mV": recording_pb2.UNIT_MILLIVOLT,
    "uV": recording_pb2.UNIT_MICROVOLT,
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """`host:port` of each service."""

    ingest: str
    preprocess: str
    trainer: str
    inference: str


class Gateway:
    """Speaks to the services. Channels connect when first used, so it can start before they do.

    Every method raises the ExchangeaiError that the service raised, Unavailable when it does not answer.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._lines = {n: Line(n, getattr(addresses, n)) for n in SERVICES}
        ingest, preprocess, trainer, inference = (self._lines[n].channel for n in SERVICES)
        # Generated stubs have no types for their methods' call objects.
        self._ingest: Any = ingest_service_pb2_grpc.IngestServiceStub(ingest)
        self._preprocess: Any = preprocess_service_pb2_grpc.PreprocessServiceStub(preprocess)
        self.trainer = TrainerDoor(self._lines["trainer"], trainer)
        """The verbs of the trainer."""
        self.serving = ModelsDoor(self._lines["inference"])
        """The verbs on models and how they are served."""
        self._inference: Any = inference_service_pb2_grpc.InferenceServiceStub(inference)
        self._probes = ThreadPoolExecutor(len(SERVICES), thread_name_prefix="probe")

    def close(self) -> None:
        """Close all channels."""
        self._probes.shutdown(cancel_futures=True)
        for line in self._lines.values():
            line.channel.close()

    def away(self) -> dict[str, Unavailable]:
        """The services that do not answer, each with the error to show."""
        found = zip(SERVICES, self._probes.map(Line.probe, self._lines.values()), strict=True)
        return {name: error for name, error in found if error}

    def upload(self, files: Mapping[str, bytes], stated: Stated) -> list[UploadView]:
        """Store files; one result for each record among them."""
        answer = self._lines["ingest"].call(self._ingest.Upload, _parts(files, stated), timeout_s=120)
        return [
            UploadView(
                file_names=tuple(r.file_names), recording=recording_view(r.recording), duplicate=r.duplicate
            )
            for r in cast("Sequence[ingest_service_pb2.UploadResult]", answer.results)
        ]

    def recordings(self, limit: int = 200) -> tuple[list[RecordingView], int]:
        """(the newest recordings, how many there are in all)."""
        answer = self._lines["ingest"].call(
            self._ingest.List, ingest_service_pb2.ListRequest(page_size=limit)
        )
        return [recording_view(r) for r in answer.recordings], int(answer.total)

    def recording(self, recording_id: str) -> RecordingView:
        """One recording."""
        request = ingest_service_pb2.GetRequest(recording_id=recording_id)
        return recording_view(self._lines["ingest"].call(self._ingest.Get, request).recording)

    def signal(self, recording_id: str) -> list[SignalView]:
        """The ECG leads as stored, in the order of the file."""
        request = ingest_service_pb2.GetSignalRequest(recording_id=recording_id)
        chunks: dict[int, list[bytes]] = {}
        about: dict[int, tuple[str, float]] = {}
        for part in self._lines["ingest"].stream(self._ingest.GetSignal, request, timeout_s=30):
            if part.unit != MILLIVOLT or part.derived:
                continue  # what was recorded beside the ECG; limb leads are derived by the page
            chunks.setdefault(part.lead_index, []).append(part.samples)
            about[part.lead_index] = (part.lead, part.sampling_rate_hz)
        return [
            SignalView(
                lead=about[i][0],
                sampling_rate_hz=about[i][1],
                samples_mv=np.frombuffer(b"".join(chunks[i]), "<f4").astype(np.float32),
            )
            for i in sorted(chunks)
        ]

    def measured(self, recording_id: str) -> MeasuredView:
        """Measurements and quality; raises NotReady while the recording is being preprocessed."""
        request = preprocess_service_pb2.GetMeasurementsRequest(recording_id=recording_id)
        answer = self._lines["preprocess"].call(self._preprocess.GetMeasurements, request)
        return MeasuredView(
            measurements=measurements_from_proto(answer.measurements), quality=quality_view(answer.quality)
        )

    def models(self) -> list[ModelView]:
        """All models, by name, newest version first."""
        answer = self._lines["inference"].call(
            self._inference.ListModels, inference_service_pb2.ListModelsRequest()
        )
        return [
            ModelView(
                name=m.name,
                version=m.version,
                digest=m.digest,
                approved=m.state == model_pb2.MODEL_STATE_APPROVED,
                architecture=m.architecture,
                classes=tuple(c.name for c in m.classes),
            )
            for m in cast("Sequence[model_pb2.Model]", answer.models)
        ]

    def predict(self, recording_id: str, name: str, version: int) -> PredictionView:
        """Run a model on a stored recording."""
        request = inference_service_pb2.PredictRequest(
            model_name=name, model_version=version, recording_id=recording_id
        )
        answer: inference_service_pb2.PredictResponse = self._lines["inference"].call(
            self._inference.Predict, request, timeout_s=60
        )
        origin = answer.provenance
        return PredictionView(
            findings=tuple(
                FindingView(
                    name=f.name,
                    probability=f.probability,
                    threshold=f.threshold,
                    present=f.present,
                    value=f.value if f.HasField("value") else None,
                    low=f.low if f.HasField("low") else None,
                    high=f.high if f.HasField("high") else None,
                    conformal=conformal_from_proto(f.conformal),
                )
                for f in answer.findings
            ),
            quality=quality_view(answer.quality),
            model=f"{origin.model_name}:{origin.model_version}",
            model_digest=origin.model_digest,
            input_digest=origin.input_digest,
            request_id=origin.request_id,
            code_version=origin.code_version,
            refusals=tuple(x.text for x in answer.refusals),
            notes=tuple(answer.notes),
            ood_percentile=answer.ood.percentile if answer.HasField("ood") else None,
            ood_outside=answer.ood.outside,
        )

    def build_dataset(self, order: DatasetOrder) -> DatasetFact:
        """Queue a data set; 70 / 15 / 15 % of patients unless a column names the parts or a time."""
        said = order.dialect
        request = preprocess_service_pb2.BuildDatasetRequest(
            name=order.name,
            table=order.table,
            columns=preprocess_service_pb2.TableColumns(
                recording=order.recording_column,
                label=order.label_column,
                patient=order.patient_column,
                part=order.part_column,
                time=order.time_column,
                part_values=order.part_values,
                label_columns=order.label_columns,
            ),
            dialect=preprocess_service_pb2.TableDialect(
                separator=said.separator,
                encoding=said.encoding,
                decimal=said.decimal,
                label_separator=said.label_separator,
                sheet=said.sheet,
                synonyms=said.synonyms,
            ),
            repeated_rows=_REPEATED[said.repeated_rows],
            task=TASKS[order.task],
            fewest_patients=order.fewest_patients,
            keep_unlabelled=said.keep_unlabelled,
            split=preprocess_service_pb2.Split(validation=0.15, test=0.15, seed=0),
        )
        answer = self._lines["preprocess"].call(self._preprocess.BuildDataset, request, timeout_s=60)
        return dataset_view(answer.dataset)

    def datasets(self) -> list[DatasetView]:
        """All data sets, newest first."""
        request = preprocess_service_pb2.ListDatasetsRequest()
        return [
            DatasetView(fact=dataset_view(d), test_looks=int(d.test_looks))
            for d in self._lines["preprocess"].call(self._preprocess.ListDatasets, request).datasets
        ]

    def dataset_report(self, dataset_id: str, kind: ReportKind) -> bytes:
        """One kind of a data set's full report, CSV."""
        request = preprocess_service_pb2.GetDatasetReportRequest(
            dataset_id=dataset_id,
            kind=f"REPORT_KIND_{kind.name}",  # names of enum values are taken too
        )
        answers = self._lines["preprocess"].stream(self._preprocess.GetDatasetReport, request, timeout_s=60)
        return b"".join(x.csv for x in answers)

    def model_card(self, name: str, version: int) -> str:
        """A model's card, Markdown."""
        request = inference_service_pb2.GetModelCardRequest(name=name, version=version)
        return str(self._lines["inference"].call(self._inference.GetModelCard, request).markdown)


_REPEATED: dict[RepeatedRows, str] = {
    "leave_out": "REPEATED_ROWS_UNSPECIFIED",
    "union": "REPEATED_ROWS_UNION",
    "first": "REPEATED_ROWS_FIRST",
}


def _parts(files: Mapping[str, bytes], stated: Stated) -> Iterator[ingest_service_pb2.UploadRequest]:
    options = recording_pb2.ReadOptions(
        sampling_rate_hz=stated.sampling_rate_hz, unit=_UNITS[stated.unit], leads=stated.leads
    )
    for name, data in files.items():
        start = ingest_service_pb2.FileStart(name=name, size_bytes=len(data), options=options)
        yield ingest_service_pb2.UploadRequest(file=start)
        for at in range(0, len(data), _CHUNK_BYTES):
            yield ingest_service_pb2.UploadRequest(chunk=data[at : at + _CHUNK_BYTES])
