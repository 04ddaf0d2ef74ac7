"""Texts that people type into files stay where the sources are.

A marker in every field of every format is uploaded, then looked for in all objects, facts, events, logs,
metrics, answers and pages of the platform.
"""

from __future__ import annotations

import io
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.platform import Stubs, connect
from demo.upload import wait_until_preprocessed
from exchangeai.errors import ExchangeaiError
from exchangeai.formats import ReadOptions, readers
from exchangeai.rpc import invoke
from exchangeai.store.s3 import BUCKETS, open_blocking_store
from exchangeai.v1 import ingest_service_pb2, preprocess_service_pb2, recording_pb2
from services.local import Platform, running_platform
from tests.fuzz.marking import MARKER, Marked, containers, found_in, marked, with_texts
from tests.fuzz.seeds import seeds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
UNITS = {"mV": recording_pb2.UNIT_MILLIVOLT, None: recording_pb2.UNIT_UNSPECIFIED}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own, with metrics: what is on its disk is all there is."""
    with running_platform(tmp_path_factory.mktemp("site"), environment={}, measured=True) as running:
        yield running


@pytest.fixture(scope="module")
def doors(site: Platform) -> Iterator[Stubs]:
    with ExitStack() as stack:
        yield connect(site.addresses, stack)


def records() -> list[Marked]:
    made = containers()
    for name, found in seeds().items():
        made.append(marked(with_texts(name, found[0].files), found[0].options))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.comment = MARKER.encode()
        for i, record in enumerate(list(made)):
            for name, data in record.files.items():
                packed.writestr(f"{MARKER}/{i}/{name}", data)
    letter = f"A letter about {MARKER}, not an ECG.\n".encode() * 20
    for name, data in ((f"{MARKER}.zip", archive.getvalue()), (f"{MARKER}.txt", letter)):
        made.append(Marked(files={name: data}, options=ReadOptions(), places=1))
    return made


def sent(record: Marked) -> Iterator[ingest_service_pb2.UploadRequest]:
    stated = record.options
    options = recording_pb2.ReadOptions(
        sampling_rate_hz=stated.sampling_rate_hz or 0, unit=UNITS[stated.unit], leads=stated.leads
    )
    for name, data in record.files.items():
        start = ingest_service_pb2.FileStart(name=name, size_bytes=len(data), options=options)
        yield ingest_service_pb2.UploadRequest(file=start)
        for at in range(0, len(data), 1 << 20):
            yield ingest_service_pb2.UploadRequest(chunk=data[at : at + (1 << 20)])


@pytest.fixture(scope="module")
def answers(doors: Stubs) -> list[tuple[str, bytes]]:
    """Everything is uploaded; what the services answered about it, by what was asked."""
    told: list[tuple[str, bytes]] = []
    formats: set[str] = set()
    for record in records():
        try:
            response = invoke(doors.ingest.Upload, sent(record), timeout_s=120)
        except ExchangeaiError as e:
            told.append(("refusal", str(e).encode()))
            continue
        for result in response.results:
            formats.add(result.recording.format)
            told.append(("upload", result.recording.SerializeToString()))
    assert formats >= set(readers())
    wait_until_preprocessed(doors.ingest, len(told))
    page = invoke(doors.ingest.List, ingest_service_pb2.ListRequest(page_size=500))
    told.append(("list", page.SerializeToString()))
    for recording in page.recordings:
        for ask, request in (
            (doors.ingest.Get, ingest_service_pb2.GetRequest(recording_id=recording.recording_id)),
            (
                doors.preprocess.GetMeasurements,
                preprocess_service_pb2.GetMeasurementsRequest(recording_id=recording.recording_id),
            ),
        ):
            try:
                told.append(("get", invoke(ask, request).SerializeToString()))
            except ExchangeaiError as e:
                told.append(("refusal", str(e).encode()))
    return told


def test_no_answer_holds_a_marker(answers: list[tuple[str, bytes]]) -> None:
    assert len(answers) > 2 * len(readers())
    assert [what for what, data in answers if found_in(data)] == []


def test_no_object_outside_the_sources_holds_a_marker(
    site: Platform, answers: list[tuple[str, bytes]]
) -> None:
    assert site.store is not None
    store = open_blocking_store(site.store)
    inside = {bucket: store.list(f"{bucket}/") for bucket in BUCKETS}
    assert len(inside["recordings"]) >= len(readers())
    assert any(found_in(store.get(x)) for x in inside["sources"])
    keys = [key for bucket in inside.values() for key in bucket]
    assert not found_in("\n".join(keys).encode())
    outside = [key for bucket, found in inside.items() if bucket != "sources" for key in found]
    assert [key for key in outside if found_in(store.get(key))] == []


def test_no_fact_event_log_metric_or_page_holds_a_marker(
    site: Platform, doors: Stubs, answers: list[tuple[str, bytes]]
) -> None:
    # The bus keeps facts and events as they are sent, so its files hold all of them.
    [known] = invoke(doors.ingest.List, ingest_service_pb2.ListRequest(page_size=1)).recordings
    time.sleep(1)
    on_disk = {x: x.read_bytes() for x in _files(site.data) if "store" not in x.relative_to(site.data).parts}
    assert any(known.recording_id.encode() in data for x, data in on_disk.items() if "bus" in x.parts)
    assert any(known.recording_id.encode() in data for x, data in on_disk.items() if "logs" in x.parts)
    assert [str(x) for x, data in on_disk.items() if found_in(data)] == []
    pages = [*site.metrics.values(), *(site.ui_url + x for x in ("/", "/_dash-layout", "/finetune"))]
    for address in pages:
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert not found_in(answer.read()), address


def _files(folder: Path) -> list[Path]:
    return [x for x in folder.rglob("*") if x.is_file() and not x.is_symlink()]
