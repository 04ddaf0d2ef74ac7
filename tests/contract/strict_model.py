"""A model with all that a manifest may say, and requests to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from exchangeai.bus import Bus
from exchangeai.facts import ModelFact, PreprocessedFact, RecordingFact
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.model_file import Conformal, Manifest, Scope, write_manifest
from exchangeai.recording import Patient
from exchangeai.signal import PREPROCESSING_VERSION
from exchangeai.signal.windows import cut, to_bytes
from exchangeai.store import ObjectStore
from exchangeai.testing.models import (
    FEATURES,
    synthetic_window,
    tiny_graph,
    tiny_manifest,
)
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import prediction_pb2
from services.trainer.evaluation import novelty
from tests.contract.inference_process import Running


def with_everything(manifest: Manifest) -> Manifest:
    """The manifest with a contract of use, conformal bounds, codes and a detector."""
    random = np.random.default_rng(0)
    made = random.gamma(4, 1, (800, FEATURES))
    return replace(
        manifest,
        scope=Scope(min_age_years=18, max_age_years=80, leads=("I", "II", "V6"), min_duration_s=2.5),
        conformal=Conformal(coverage=0.9, low=(0.0, 0.0, 1.0, 1.0, 0.5), high=(0.0, 1.0, 1.0, 0.0, 0.5)),
        novelty=novelty.fit(made[:400], made[:400] * random.gamma(4, 1, (400, 1)), made[400:]),
        classes=tuple(replace(x, code=f"SCP-ECG:{x.name}") for x in manifest.classes),
    )


def publish(service: Running, name: str, change: Callable[[Manifest], Manifest]) -> ModelFact:
    """Publish a tiny model of its own weights."""
    graph = tiny_graph(seed=len(name))
    return service.publish(write_manifest(graph, change(tiny_manifest(graph, name=name))), name)


def tensor_of(windows: np.ndarray[Any, Any], valid: Sequence[int] = ()) -> pb.EcgTensor:
    """Windows [n, 12, 5000] as a message."""
    values = np.ascontiguousarray(windows, "<f4")
    return pb.EcgTensor(shape=values.shape, values_mv=values.tobytes(), valid_samples=valid)


def request_for(**fields: Any) -> pb.PredictRequest:
    """A request on a synthetic ECG, or on what the fields say."""
    ecg = {} if "recording_id" in fields else {"tensor": tensor_of(synthetic_window()[None])}
    return pb.PredictRequest(**{"model_name": "strict", **ecg, **fields})


def ingested(service: Running, key: str, age_years: int | None = None, *, seed: int = 0) -> str:
    """Leave behind what ingest and preprocess leave behind."""
    leads = dict(zip(STANDARD_12, synthetic_window(seed), strict=True))
    quality = Quality(
        verdict=Verdict.LIMITED,
        reasons=("a caution",),
        leads=tuple(LeadQuality(lead=x) for x in STANDARD_12),
        flags=("pacing_spikes",),
    )
    preprocessed = PreprocessedFact(
        recording_id=key, preprocessing_version=PREPROCESSING_VERSION, windows=1, quality=quality
    )

    async def work(bus: Bus, store: ObjectStore) -> None:
        await store.put(f"windows/{key}.npz", to_bytes(cut(leads)))
        known = RecordingFact(recording_id=key, patient=Patient(age_years=age_years))
        await bus.facts(RecordingFact).put(key, known)
        await bus.facts(PreprocessedFact).put(key, preprocessed)

    service.behind(work)
    return key


def codes(answer: pb.PredictResponse) -> list[str]:
    """Why it was refused."""
    return [prediction_pb2.RefusalCode.Name(x.code).removeprefix("REFUSAL_CODE_") for x in answer.refusals]
