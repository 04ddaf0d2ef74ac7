"""The only door to the other services: gRPC calls in, plain values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import grpc
import numpy as np

from exchangeai.errors import NotFound, Unavailable
from exchangeai.facts import (
    ClassMetrics,
    DatasetFact,
    DatasetState,
    Epoch,
    Estimate,
    JoinReport,
    PartSummary,
    RowProblem,
    RunFact,
    RunState,
    Task,
    TestReport,
    TrainingOptions,
)
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.rpc import invoke, open_channel, stream
from exchangeai.v1 import (
    dataset_pb2,
    inference_service_pb2,
    inference_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    measurements_pb2,
    metrics_pb2,
    model_pb2,
    preprocess_service_pb2,
    preprocess_service_pb2_grpc,
    recording_pb2,
    run_pb2,
    training_service_pb2,
    training_service_pb2_grpc,
)
from services.ui.views import (
    ArchitectureView,
    DatasetOrder,
    FindingView,
    MeasuredView,
    ModelView,
    PredictionView,
    RecordingView,
    SignalView,
    Stated,
    UploadView,
)

_CHUNK_BYTES = 1 << 20
_UNITS = {
    "": recording_pb2.UNIT_UNSPECIFIED,
    "V": recording_pb2.UNIT_VOLT,
    "mV": recording_pb2.UNIT_MILLIVOLT,
    "uV": recording_pb2.UNIT_MICROVOLT,
}
_SEX = {recording_pb2.SEX_FEMALE: "female", recording_pb2.SEX_MALE: "male"}
_VERDICT = {
    measurements_pb2.QUALITY_VERDICT_ANALYSABLE: Verdict.ANALYSABLE,
    measurements_pb2.QUALITY_VERDICT_LIMITED: Verdict.LIMITED,
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

    Every method raises the ExchangeError that the service raised, Unavailable when it does not answer.
    """

    def __init__(self, addresses: Addresses) -> None:
        names = ("ingest", "preprocess", "trainer", "inference")
        self._channels: list[grpc.Channel] = [open_channel(getattr(addresses, n)) for n in names]
        ingest, preprocess, trainer, inference = self._channels
        # Generated stubs have no types for their methods' call objects.
        self._ingest: Any = ingest_service_pb2_grpc.IngestServiceStub(ingest)
        self._preprocess: Any = preprocess_service_pb2_grpc.PreprocessServiceStub(preprocess)
        self._trainer: Any = training_service_pb2_grpc.TrainingServiceStub(trainer)
        self._inference: Any = inference_service_pb2_grpc.InferenceServiceStub(inference)

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels:
            channel.close()

    def upload(self, files: Mapping[str, bytes], stated: Stated) -> list[UploadView]:
        """Store files; one result for each record among them."""
        answer = _call("ingest", self._ingest.Upload, _parts(files, stated), timeout_s=120)
        return [
            UploadView(
                file_names=tuple(r.file_names), recording=_recording(r.recording), duplicate=r.duplicate
            )
            for r in cast("Sequence[ingest_service_pb2.UploadResult]", answer.results)
        ]

    def recordings(self, limit: int = 200) -> tuple[list[RecordingView], int]:
        """(the newest recordings, how many there are in all)."""
        answer = _call("ingest", self._ingest.List, ingest_service_pb2.ListRequest(page_size=limit))
        return [_recording(r) for r in answer.recordings], int(answer.total)

    def recording(self, recording_id: str) -> RecordingView:
        """One recording."""
        request = ingest_service_pb2.GetRequest(recording_id=recording_id)
        return _recording(_call("ingest", self._ingest.Get, request).recording)

    def signal(self, recording_id: str) -> list[SignalView]:
        """All leads as stored, in the order of the file."""
        request = ingest_service_pb2.GetSignalRequest(recording_id=recording_id)
        chunks: dict[int, list[bytes]] = {}
        about: dict[int, tuple[str, float]] = {}
        for part in _stream("ingest", self._ingest.GetSignal, request, timeout_s=30):
            chunks.setdefault(part.lead_index, []).append(part.samples_mv)
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
        """Heart rate and quality; raises NotReady while the recording is being preprocessed."""
        request = preprocess_service_pb2.GetMeasurementsRequest(recording_id=recording_id)
        answer = _call("preprocess", self._preprocess.GetMeasurements, request)
        measured: measurements_pb2.Measurements = answer.measurements
        return MeasuredView(
            heart_rate_bpm=measured.heart_rate_bpm if measured.HasField("heart_rate_bpm") else None,
            lead=measured.lead,
            notes=tuple(measured.notes),
            quality=_quality(answer.quality),
        )

    def models(self) -> list[ModelView]:
        """All models, by name, newest version first."""
        answer = _call("inference", self._inference.ListModels, inference_service_pb2.ListModelsRequest())
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
        answer: inference_service_pb2.PredictResponse = _call(
            "inference", self._inference.Predict, request, timeout_s=60
        )
        origin = answer.provenance
        return PredictionView(
            findings=tuple(
                FindingView(name=f.name, probability=f.probability, threshold=f.threshold, present=f.present)
                for f in answer.findings
            ),
            quality=_quality(answer.quality),
            model=f"{origin.model_name}:{origin.model_version}",
            model_digest=origin.model_digest,
            input_digest=origin.input_digest,
            request_id=origin.request_id,
            code_version=origin.code_version,
        )

    def build_dataset(self, order: DatasetOrder) -> DatasetFact:
        """Queue a data set; 70 / 15 / 15 % of patients unless a column names the parts."""
        request = preprocess_service_pb2.BuildDatasetRequest(
            name=order.name,
            table=order.table,
            columns=preprocess_service_pb2.TableColumns(
                recording=order.recording_column,
                label=order.label_column,
                patient=order.patient_column,
                part=order.part_column,
            ),
            task=dataset_pb2.TASK_SINGLE_LABEL if order.single_label else dataset_pb2.TASK_MULTI_LABEL,
            split=preprocess_service_pb2.Split(validation=0.15, test=0.15, seed=0),
        )
        answer = _call("preprocess", self._preprocess.BuildDataset, request, timeout_s=60)
        return _dataset(answer.dataset)

    def datasets(self) -> list[DatasetFact]:
        """All data sets, newest first."""
        request = preprocess_service_pb2.ListDatasetsRequest()
        return [_dataset(d) for d in _call("preprocess", self._preprocess.ListDatasets, request).datasets]

    def architectures(self) -> list[ArchitectureView]:
        """What can be trained."""
        request = training_service_pb2.ListArchitecturesRequest()
        return [
            ArchitectureView(name=a.name, summary=a.summary, parameters=a.parameters)
            for a in _call("trainer", self._trainer.ListArchitectures, request).architectures
        ]

    def runs(self) -> list[RunFact]:
        """All runs, newest first."""
        return [
            _run(r)
            for r in _call("trainer", self._trainer.ListRuns, training_service_pb2.ListRunsRequest()).runs
        ]

    def run(self, run_id: str) -> RunFact:
        """One run as it stands now."""
        request = training_service_pb2.WatchRunRequest(run_id=run_id)
        for answer in _stream("trainer", self._trainer.WatchRun, request, timeout_s=5):
            return _run(answer.run)
        raise NotFound("there is no such run; choose one from the table")

    def start_run(
        self,
        *,
        dataset_id: str,
        architecture: str,
        model_name: str,
        options: TrainingOptions,
        base_model: str,
        request_key: str,
    ) -> RunFact:
        """Queue a run; equal request keys give the same run."""
        request = training_service_pb2.StartRunRequest(
            dataset_id=dataset_id,
            architecture=architecture,
            model_name=model_name,
            base_model=base_model,
            request_key=request_key,
            options=run_pb2.TrainingOptions(
                max_epochs=options.max_epochs,
                batch_size=options.batch_size,
                learning_rate=options.learning_rate,
                patience=options.patience,
                seed=options.seed,
            ),
        )
        return _run(_call("trainer", self._trainer.StartRun, request).run)

    def cancel_run(self, run_id: str) -> None:
        """Stop a run after its checkpoint is saved."""
        _call("trainer", self._trainer.CancelRun, training_service_pb2.CancelRunRequest(run_id=run_id))

    def resume_run(self, run_id: str) -> None:
        """Continue a cancelled or failed run."""
        _call("trainer", self._trainer.ResumeRun, training_service_pb2.ResumeRunRequest(run_id=run_id))


def _silent(service: str, error: Unavailable) -> Unavailable:
    # The transport's own words name addresses; people need to know which part is away.
    raised = Unavailable(
        f"The {service} service does not answer. It may be starting; this page tries again by itself."
    )
    raised.request_id = error.request_id
    return raised


def _call(service: str, method: Any, request: Any, *, timeout_s: float = 10) -> Any:
    try:
        return invoke(method, request, timeout_s=timeout_s)
    except Unavailable as e:
        raise _silent(service, e) from e


def _stream(service: str, method: Any, request: Any, *, timeout_s: float) -> Iterator[Any]:
    try:
        yield from stream(method, request, timeout_s=timeout_s)
    except Unavailable as e:
        raise _silent(service, e) from e


def _parts(files: Mapping[str, bytes], stated: Stated) -> Iterator[ingest_service_pb2.UploadRequest]:
    options = recording_pb2.ReadOptions(
        sampling_rate_hz=stated.sampling_rate_hz, unit=_UNITS[stated.unit], leads=stated.leads
    )
    for name, data in files.items():
        start = ingest_service_pb2.FileStart(name=name, size_bytes=len(data), options=options)
        yield ingest_service_pb2.UploadRequest(file=start)
        for at in range(0, len(data), _CHUNK_BYTES):
            yield ingest_service_pb2.UploadRequest(chunk=data[at : at + _CHUNK_BYTES])


def _recording(r: recording_pb2.Recording) -> RecordingView:
    unreadable = r.state == recording_pb2.RECORDING_STATE_UNREADABLE
    failed = r.preprocessing_state == recording_pb2.PREPROCESSING_STATE_FAILED
    pending = r.preprocessing_state == recording_pb2.PREPROCESSING_STATE_PENDING
    age = r.patient.age_years if r.patient.HasField("age_years") else None
    return RecordingView(
        recording_id=r.recording_id,
        status="unreadable" if unreadable or failed else "pending" if pending else "read",
        format=r.format,
        leads=tuple(x.name for x in r.leads),
        rates_hz=tuple(x.sampling_rate_hz for x in r.leads),
        duration_s=r.duration_s,
        sex=_SEX.get(r.patient.sex, "—"),
        age="—" if age is None else "90+ y" if age >= 90 else f"{age} y",
        year=str(r.acquisition_year) if r.acquisition_year else "—",
        device=r.device_model or "—",
        warnings=tuple(r.warnings),
        reason=r.error.reason if unreadable else "NotPreprocessed" if failed else "",
        message=r.error.message if unreadable else r.preprocessing_error,
    )


def _quality(q: measurements_pb2.Quality) -> Quality:
    return Quality(
        verdict=_VERDICT.get(q.verdict, Verdict.NOT_ANALYSABLE),
        reasons=tuple(q.reasons),
        leads=tuple(LeadQuality(lead=x.lead, flags=tuple(x.flags)) for x in q.leads),
    )


def _dataset(d: dataset_pb2.Dataset) -> DatasetFact:
    report = d.report
    return DatasetFact(
        dataset_id=d.dataset_id,
        name=d.name,
        state=DatasetState(_word(dataset_pb2.DatasetState.Name(d.state), "DATASET_STATE_")),
        task=Task.SINGLE_LABEL if d.task == dataset_pb2.TASK_SINGLE_LABEL else Task.MULTI_LABEL,
        classes=tuple(d.classes),
        parts=tuple(
            PartSummary(
                part=p.part, recordings=p.recordings, patients=p.patients, positives=tuple(p.positives)
            )
            for p in d.parts
        ),
        report=JoinReport(
            matched=report.matched,
            unmatched_rows=tuple(report.unmatched_rows),
            unmatched=report.unmatched,
            unusable=tuple(RowProblem(row=u.row, reason=u.reason) for u in report.unusable),
            without_label=report.without_label,
            duplicates=report.duplicates,
            unknown_patients=report.unknown_patients,
        ),
        progress=d.progress,
        error=d.error or None,
        created_at=d.created_at.ToMicroseconds() / 1e6,
    )


def _run(r: run_pb2.Run) -> RunFact:
    return RunFact(
        run_id=r.run_id,
        model_name=r.model_name,
        dataset_id=r.dataset_id,
        architecture=r.architecture,
        state=RunState(_word(run_pb2.RunState.Name(r.state), "RUN_STATE_")),
        options=TrainingOptions(
            max_epochs=r.options.max_epochs,
            batch_size=r.options.batch_size,
            learning_rate=r.options.learning_rate,
            patience=r.options.patience,
            seed=r.options.seed,
        ),
        base_model=r.base_model,
        epochs=tuple(
            Epoch(
                epoch=e.epoch,
                train_loss=e.train_loss,
                validation_loss=e.validation_loss,
                validation_macro_auroc=(
                    e.validation_macro_auroc if e.HasField("validation_macro_auroc") else None
                ),
                seconds=e.seconds,
            )
            for e in r.epochs
        ),
        best_epoch=r.best_epoch,
        progress=r.progress,
        eta_s=r.eta_s,
        activity=r.activity,
        error=r.error or None,
        test=_report(r.test) if r.HasField("test") else None,
        model_digest=r.model_digest or None,
        model_version=r.model_version,
        created_at=r.created_at.ToMicroseconds() / 1e6,
        updated_at=r.updated_at.ToMicroseconds() / 1e6,
    )


def _report(t: metrics_pb2.TestReport) -> TestReport:
    return TestReport(
        recordings=t.recordings,
        patients=t.patients,
        macro_auroc=_estimate(t.macro_auroc),
        macro_f1=_estimate(t.macro_f1),
        classes=tuple(
            ClassMetrics(
                name=c.name,
                positives=c.positives,
                threshold=c.threshold,
                auroc=_estimate(c.auroc),
                f1=_estimate(c.f1),
                sensitivity=_estimate(c.sensitivity),
                specificity=_estimate(c.specificity),
            )
            for c in t.classes
        ),
        bootstrap_draws=t.bootstrap_draws,
    )


def _estimate(e: metrics_pb2.Estimate) -> Estimate:
    return Estimate(
        value=e.value if e.HasField("value") else None,
        low=e.low if e.HasField("low") else None,
        high=e.high if e.HasField("high") else None,
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
