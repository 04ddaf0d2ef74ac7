"""The shipped client against a running service: every way in, order, bounds, retries, deadlines."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from exchangeai.client import Client, connect, connect_async
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import (
    ContractViolation,
    InvalidArgument,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    UnreadableFile,
)
from exchangeai.facts import ModelFact
from exchangeai.formats import ReadOptions
from exchangeai.leads import STANDARD_12
from exchangeai.ports import ReservedPort
from exchangeai.testing.models import SUPERCLASSES, synthetic_window, tiny_model
from services.inference.sessions import Session
from tests.contract.inference_process import Running, running_inference

OPTIONS = ReadOptions(sampling_rate_hz=500.0, unit="mV")
MODEL = "shipped"


@pytest.fixture(scope="module")
def service(bus_config: BusConfig, store_config: StoreConfig) -> Iterator[Running]:
    with running_inference(bus_config, store_config) as running:
        yield running


@pytest.fixture(scope="module")
def model(service: Running) -> ModelFact:
    return service.publish(tiny_model(name=MODEL), MODEL)


@pytest.fixture(scope="module")
def client(service: Running, model: ModelFact) -> Iterator[Client]:
    with connect(service.address) as connected:
        connected.wait_ready(model=MODEL)
        yield connected


def _csv() -> bytes:
    rows = [",".join(f"{x:.3f}" for x in column) for column in synthetic_window(0)[:, :4800].T]
    return "\n".join([",".join(STANDARD_12), *rows]).encode()


def test_an_array_a_path_and_bytes_are_answered_alike(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(_csv())
    answers = [
        client.predict(path, MODEL, options=OPTIONS),
        client.predict(str(path), MODEL, options=OPTIONS),
        client.predict({"b.csv": _csv()}, MODEL, options=OPTIONS, age_years=60),
    ]
    assert len({x.findings["NORM"].probability for x in answers}) == 1
    assert list(answers[0].findings) == list(SUPERCLASSES)
    one, batch = client.predict(synthetic_window(1), MODEL), synthetic_window(1)[None]
    assert one.findings == client.predict(batch, MODEL, valid_samples=[5000]).findings
    assert one.provenance.model_name == MODEL
    assert "not a medical device" in one.provenance.notice
    assert one.present == tuple(k for k, v in one.findings.items() if v.present)


def test_rows_go_into_a_table(client: Client) -> None:
    rows = client.predict(synthetic_window(1), MODEL).rows()
    assert [x["name"] for x in rows] == list(SUPERCLASSES)
    assert {type(v) for row in rows for v in row.values()} <= {str, float, int, bool, type(None)}
    assert rows[0]["model"] == MODEL


def test_what_cannot_be_judged_has_refusals(client: Client) -> None:
    answer = client.predict(np.zeros((12, 5000), np.float32), MODEL)
    assert not answer.findings
    assert answer.rows() == []
    assert answer.refusals
    assert answer.prediction.quality.verdict.value == "not_analysable"


def test_saliency_and_embedding_come_when_asked_for(client: Client) -> None:
    [window] = client.predict(synthetic_window(2), MODEL, saliency=True, embedding=True).prediction.windows
    assert window.saliency is not None
    assert len(window.saliency.values) == window.saliency.classes * window.saliency.steps
    assert len(window.embedding) == 8


def test_raw_outputs_are_those_of_the_model(client: Client) -> None:
    values = np.stack([synthetic_window(1), synthetic_window(2)])
    expected = Session(tiny_model(name=MODEL), threads=1).run(values)
    raw = client.infer(values, MODEL)
    for name, array in expected.items():
        np.testing.assert_array_equal(raw[name], array)
    assert raw.quality == ("analysable", "analysable")
    assert raw.model_version == 1
    microvolts = np.round(values * 1000).astype(np.int16)
    got = client.infer(microvolts, MODEL, outputs=["logits"], assess_quality=False)
    assert list(got.arrays) == ["logits"]
    assert got.quality == ()
    rounded = client.infer(microvolts.astype(np.float32) * np.float32(1e-3), MODEL)
    np.testing.assert_array_equal(got["logits"], rounded["logits"])


def test_models_are_listed(client: Client, model: ModelFact) -> None:
    [found] = [x for x in client.models() if x.name == MODEL]
    assert (found.version, found.digest, found.approved) == (1, model.digest, True)
    assert found.task == "multi_label"
    assert list(found.classes) == list(SUPERCLASSES)


def test_errors_are_the_services_own(client: Client) -> None:
    with pytest.raises(NotFound, match="nobody"):
        client.predict(synthetic_window(0), "nobody")
    with pytest.raises(NotFound, match="recording"):
        client.predict("0" * 64, MODEL)
    with pytest.raises(UnreadableFile) as raised:
        client.predict({"a.edf": b"no ecg at all"}, MODEL)
    assert raised.value.request_id


def test_what_would_be_refused_is_told_before_sending() -> None:
    with _nowhere() as client:
        window = synthetic_window(0)
        for values, kind, says in (
            (window.astype(np.float64), ContractViolation, "float64"),
            ((window * 1000).astype(np.int16), ContractViolation, "int16"),
            (window.T, ContractViolation, r"\[5000, 12\]"),
            (window[:, :1000], ContractViolation, r"\[12, 1000\]"),
            (window * np.float32("nan"), ContractViolation, "NaN"),
            (np.zeros((129, 12, 5000), np.float32), TooLarge, "129"),
            (np.zeros((0, 12, 5000), np.float32), ContractViolation, r"\[0, 12, 5000\]"),
        ):
            with pytest.raises(kind, match=says):
                client.predict(values, MODEL)  # type: ignore[arg-type]
        for ecg, says in (("no-such-file.edf", "cannot be read"), (b"12", "file name"), ([], "no file")):
            with pytest.raises(InvalidArgument, match=says):
                client.predict(ecg, MODEL)  # type: ignore[arg-type]
        with pytest.raises(TooLarge, match="by its id"):
            client.predict({"a.edf": bytes(39 << 20)}, MODEL)
        with pytest.raises(InvalidArgument, match="no model"):
            client.predict(window, "")
        with pytest.raises(InvalidArgument, match="ingest"):
            client.upload({"a.edf": b"x"})


def _nowhere() -> Client:
    return connect(f"127.0.0.1:{ReservedPort().number}", wait_s=0)


def test_a_channel_that_could_not_be_trusted_is_refused() -> None:
    for given, says in (
        ({"token": "secret"}, "TLS only"),
        ({"ca_file": "ca.pem"}, "tls=True"),
    ):
        with pytest.raises(InvalidArgument, match=says):
            connect("localhost:1", **given)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="server_name"):
        connect(["a:1", "b:1"], tls=True)
    with pytest.raises(InvalidArgument, match="host:port"):
        connect("localhost")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_token_goes_over_tls_to_a_server_that_is_known(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    names = ["-addext", "subjectAltName=DNS:ecg.example", "-subj", "/CN=ecg.example"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names]
    made += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True, timeout=30)
    seen: list[str] = []

    def listed(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.extend(str(v) for k, v in context.invocation_metadata() if k == "authorization")
        return b""

    server = _server({"ListModels": grpc.unary_unary_rpc_method_handler(listed)})
    pair = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', pair)}"
    server.start()
    trusted: dict[str, Any] = {"tls": True, "ca_file": str(certificate), "wait_s": 0, "token": "secret"}
    try:
        for addresses in (address, [address, address]):
            with connect(addresses, server_name="ecg.example", **trusted) as client:
                assert client.models() == []
                assert "secret" not in repr(client.__dict__)
        stranger = connect(address, server_name="other.example", **trusted)
        with stranger as client, pytest.raises(Unavailable):
            client.models(timeout_s=0.5)
    finally:
        server.stop(None).wait()
    assert seen == ["Bearer secret"] * 2


def _server(methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> grpc.Server:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("exchangeai.v1.InferenceService", methods),)
    )
    return server


def test_nobody_there_is_told_in_time() -> None:
    port = ReservedPort()
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="ready"):
        connect(f"127.0.0.1:{port.number}", wait_s=0.5)
    assert time.monotonic() - begun < 3


def test_many_come_in_order_and_no_more_are_taken_than_are_at_work(client: Client) -> None:
    taken = 0

    def ecgs() -> Iterator[Any]:
        nonlocal taken
        for i in range(20):
            taken += 1
            yield synthetic_window(i % 4) if i != 7 else "no-such-file.edf"

    answered = []
    for outcome in client.predict_many(ecgs(), MODEL, at_once=3):
        assert taken <= outcome.index + 4
        answered.append(outcome)
    assert [x.index for x in answered] == list(range(20))
    with pytest.raises(InvalidArgument, match="cannot be read"):
        answered[7].result()
    expected = [client.predict(synthetic_window(i), MODEL).findings for i in range(4)]
    assert all(x.result().findings == expected[x.index % 4] for x in answered if x.index != 7)


async def test_the_asynchronous_client_says_the_same(service: Running, client: Client) -> None:
    expected = [client.predict(synthetic_window(i), MODEL).findings for i in range(4)]
    async with connect_async(service.address) as other:
        await other.wait_ready(model=MODEL)
        assert (await other.predict(synthetic_window(2), MODEL)).findings == expected[2]
        windows = [synthetic_window(i % 4) for i in range(12)]
        outcomes = [x async for x in other.predict_many(windows, MODEL, at_once=5)]
        assert [x.result().findings for x in outcomes] == [expected[i % 4] for i in range(12)]
        raw = await other.infer(np.stack(windows), MODEL, outputs=["logits"])
        assert raw["logits"].shape == (12, 5)
        assert [x.name for x in await other.models()] == [x.name for x in client.models()]
        with pytest.raises(NotFound, match="nobody"):
            await other.predict(windows[0], "nobody")


class _Scripted:
    """A server that answers each Predict with the next of its statuses, then as it should."""

    def __init__(self, *statuses: tuple[grpc.StatusCode, str]) -> None:
        self.statuses = list(statuses)
        self.calls: list[float] = []

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append(time.monotonic())
        if self.statuses:
            context.abort(*self.statuses.pop(0))
        return b""


@pytest.mark.parametrize(
    ("statuses", "kind", "calls"),
    [
        ([(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")] * 2, None, 3),
        ([(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")] * 99, Overloaded, None),
        ([(grpc.StatusCode.UNAVAILABLE, "away")] * 7, None, 8),
        ([(grpc.StatusCode.CANCELLED, "the server ends")], None, 2),
        ([(grpc.StatusCode.INVALID_ARGUMENT, "wrong")] * 9, InvalidArgument, 1),
        ([(grpc.StatusCode.DEADLINE_EXCEEDED, "late")] * 9, Unavailable, 1),
        ([(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)")], Overloaded, 1),
    ],
)
def test_what_helps_is_tried_again_within_the_deadline(
    statuses: list[tuple[grpc.StatusCode, str]], kind: type[Exception] | None, calls: int | None
) -> None:
    script = _Scripted(*statuses)
    server = _server({"ListModels": grpc.unary_unary_rpc_method_handler(script)})
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with connect(f"127.0.0.1:{port}", wait_s=0) as client:
            begun = time.monotonic()
            if kind is None:
                assert client.models(timeout_s=20) == []
            else:
                with pytest.raises(kind):
                    client.models(timeout_s=1)
                assert time.monotonic() - begun < 3
    finally:
        server.stop(None).wait()
    # Those that the channel makes by itself are among them.
    assert calls is None or len(script.calls) == calls


def test_a_replica_that_goes_is_left_out(service: Running, model: ModelFact) -> None:
    """Two replicas, one of them drained under load: no call fails."""
    failed: list[Exception] = []
    done = threading.Event()
    answered = 0
    window = synthetic_window(0)

    def load(client: Client) -> None:
        nonlocal answered
        while not done.is_set():
            try:
                # Two windows are over the 256 KiB up to which gRPC by default keeps a request to try again.
                client.infer(np.stack([window] * 2), MODEL, outputs=["logits"], timeout_s=10)
                answered += 1
            except Exception as e:
                failed.append(e)

    with ExitStack() as first:
        second = first.enter_context(running_inference(service.bus_config, service.store_config))
        with connect([service.address, second.address]) as client:
            client.wait_ready(model=MODEL)
            threads = [threading.Thread(target=load, args=(client,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            first.close()
            time.sleep(0.5)
            done.set()
            for thread in threads:
                thread.join()
    assert failed == []
    assert answered > 50


def test_importing_it_needs_no_reader_model_runtime_or_table_library() -> None:
    heavy = ["pandas", "torch", "onnx", "onnxruntime", "pyarrow", "scipy", "wfdb", "pydicom", "h5py", "dash"]
    code = f"import sys, exchangeai.client; print([x for x in {heavy!r} if x in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
