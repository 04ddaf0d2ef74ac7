"""The preprocess service over real servers, in a thread with its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from exchangeai import recording as recordings
from exchangeai.bus import Bus
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.facts import LeadFact, PreprocessedFact, RecordingFact
from exchangeai.keys import name_key
from exchangeai.recording import Patient, Recording
from exchangeai.rpc import open_channel
from exchangeai.store import ObjectStore
from exchangeai.v1.preprocess_service_pb2_grpc import PreprocessServiceStub
from services.preprocess.main import Config, run
from tests.contract.service_thread import behind, running_service

SITE_KEY = "0f" * 32
T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A running service and the servers behind it."""

    stub: Any
    bus_config: BusConfig
    store_config: StoreConfig

    def behind(self, work: Callable[[Bus, ObjectStore], Awaitable[T]]) -> T:
        """Do what other services would do."""

        return behind(self.bus_config, self.store_config, work)

    def ingest(self, recordings_: dict[str, Recording], *, wait: bool = True) -> None:
        """Store recordings by file name as ingest does: object, fact, event; wait for their results."""

        async def work(bus: Bus, store: ObjectStore) -> None:
            for name, ecg in recordings_.items():
                await store.put(f"recordings/{ecg.source_digest}.npz", recordings.to_bytes(ecg))
                await bus.facts(RecordingFact).put(ecg.source_digest, fact_of(ecg, name))
                await bus.publish(
                    RecordingIngested(recording_id=ecg.source_digest), dedup_id=ecg.source_digest
                )
            facts = bus.facts(PreprocessedFact)
            for ecg in recordings_.values() if wait else ():
                while await facts.get(ecg.source_digest) is None:
                    await asyncio.sleep(0.05)

        self.behind(work)


def fact_of(ecg: Recording, name: str) -> RecordingFact:
    """The fact that ingest writes for a readable recording."""
    return RecordingFact(
        recording_id=ecg.source_digest,
        format=ecg.format,
        leads=tuple(
            LeadFact(name=x.name, sampling_rate_hz=x.sampling_rate_hz, sample_count=x.samples.size)
            for x in ecg.leads
        ),
        duration_s=ecg.duration_s,
        patient=ecg.patient,
        name_keys=(name_key(SITE_KEY, name), name_key(SITE_KEY, name.rpartition(".")[0])),
        ingested_at=1.0,
    )


def identified(ecg: Recording, number: int, patient_key: str | None = None) -> Recording:
    """The recording under an id of its own."""
    return replace(
        ecg,
        source_digest=f"{number:064x}",
        patient=Patient(sex="M", age_years=60, patient_key=patient_key),
    )


@contextmanager
def running_preprocess(bus: BusConfig, store: StoreConfig) -> Iterator[Running]:
    """Start the service, yield it, drain it."""
    config = Config(bus=bus, store=store, site_key=SITE_KEY)
    with running_service(lambda *ends: run(config, *ends)) as address, open_channel(address) as channel:
        yield Running(PreprocessServiceStub(channel), bus, store)
