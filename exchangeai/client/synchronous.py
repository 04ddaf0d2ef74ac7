"""The client for notebooks, scripts and threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Unpack

import grpc
import numpy as np
import numpy.typing as npt
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchangeai.client.answers import Answer, ModelInfo, Outcome, RawOutputs, answer_of, model_of, outputs_of
from exchangeai.client.connection import POLL_S, READY, TIMEOUT_S, WAIT_S, Connection, connection
from exchangeai.client.requests import Asked, Ecg, Files, contents, infer_request, predict_request
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound, Unavailable
from exchangeai.formats import ReadOptions
from exchangeai.inference import grpc_service_pb2 as oip
from exchangeai.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from exchangeai.rpc.client import invoke_patiently, open_channel
from exchangeai.rpc.upload import UploadedRecord, Uploads
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from exchangeai.v1.ingest_service_pb2_grpc import IngestServiceStub


def connect(
    address: str | Sequence[str],
    *,
    tls: bool = False,
    ca_file: str = "",
    server_name: str = "",
    token: str = "",
    timeout_s: float = TIMEOUT_S,
    wait_s: float = WAIT_S,
    ingest: str = "",
) -> Client:
    """Connect to the inference service at `host:port`, or at several, which are asked in turn.

    Waits up to `wait_s` seconds until it is ready (0: not at all). With `tls` the server must show a
    certificate for its host, or for `server_name`, from the authority in `ca_file` (PEM) or from one that the
    system knows; `token` goes along as a bearer token. `timeout_s` is the deadline of a call with all its
    tries. `ingest` is the address of the ingest service, for `upload`.

    Raises Unavailable when no service is ready in time, and InvalidArgument.
    """
    to = connection(address, tls=tls, ca_file=ca_file, server_name=server_name, token=token)
    client = Client(to, timeout_s=timeout_s, ingest=ingest)
    try:
        if wait_s > 0:
            client.wait_ready(wait_s)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """The inference service. Safe to use from several threads; not to be carried over a fork.

    Methods raise what the service raises (`exchangeai.errors`): InvalidArgument for a wrong request,
    NotFound, NotReady, and after all tries Overloaded or Unavailable.
    """

    def __init__(self, to: Connection, *, timeout_s: float = TIMEOUT_S, ingest: str = "") -> None:
        self._to = to
        self._timeout_s = timeout_s
        self._channels = [self._channel(to.addresses)]
        self._typed: Any = InferenceServiceStub(self._channels[0])
        self._raw: Any = GRPCInferenceServiceStub(self._channels[0])
        self._health: Any = health_pb2_grpc.HealthStub(self._channels[0])
        self._uploads: Uploads | None = None
        if ingest:
            self._channels.append(self._channel((ingest,)))
            self._uploads = Uploads(IngestServiceStub(self._channels[1]), metadata=to.metadata)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        for channel in self._channels:
            channel.close()

    def wait_ready(self, timeout_s: float = WAIT_S, *, model: str = "") -> None:
        """Wait until the service is ready and, when one is named, until the model answers.

        Raises Unavailable when that takes longer.
        """
        end_s, told = time.monotonic() + timeout_s, "it is not ready"
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                if self._ready(model, left_s):
                    return
            except (Unavailable, NotFound) as e:
                told = str(e)
            time.sleep(max(0.0, min(POLL_S, end_s - time.monotonic())))
        raise Unavailable(f"no inference service was ready within {timeout_s:g} s: {told}")

    def predict(self, ecg: Ecg, model: str, *, timeout_s: float = 0, **asked: Unpack[Asked]) -> Answer:
        """What a model says of one ECG: a recording's id, a path or paths, bytes by name, or an array.

        An ECG that cannot be judged has refusals in place of findings.
        """
        request = predict_request(ecg, model, asked)
        return answer_of(self._call(self._typed.Predict, request, timeout_s))

    def predict_many(
        self,
        ecgs: Iterable[Ecg],
        model: str,
        *,
        at_once: int = 8,
        timeout_s: float = 0,
        **asked: Unpack[Asked],
    ) -> Generator[Outcome]:
        """Outcomes in the order of the ECGs, `at_once` at work; an error ends its own ECG only.

        No more ECGs are taken than are at work, so a generator of any length will do.
        """

        def one(index: int, ecg: Ecg) -> Outcome:
            try:
                answer = self.predict(ecg, model, timeout_s=timeout_s, **asked)
                return Outcome(index=index, answer=answer)
            except ExchangeaiError as e:
                return Outcome(index=index, error=e)

        pending: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(at_once, "predict") as pool:
            try:
                for index, ecg in enumerate(ecgs):
                    if len(pending) == at_once:
                        yield pending.popleft().result()
                    pending.append(pool.submit(one, index, ecg))
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def infer(
        self,
        values: npt.NDArray[np.float32] | npt.NDArray[np.int16],
        model: str,
        *,
        version: int = 0,
        outputs: Sequence[str] = (),
        assess_quality: bool = True,
        timeout_s: float = 0,
    ) -> RawOutputs:
        """Raw outputs on [n, 12, 5000] or [12, 5000]: float32 in millivolts or int16 in microvolts, 500 Hz.

        Outputs come whatever the signal is like; `quality` has the verdict on each window unless
        `assess_quality` is off. By the Open Inference Protocol, version 2.
        """
        request = infer_request(values, model, version, outputs, assess=assess_quality)
        return outputs_of(self._call(self._raw.ModelInfer, request, timeout_s))

    def models(self, *, timeout_s: float = 0) -> list[ModelInfo]:
        """The models that the service knows, by name, newest version first."""
        answer = self._call(self._typed.ListModels, pb.ListModelsRequest(), timeout_s)
        return [model_of(x) for x in answer.models]

    def upload(
        self,
        files: Files,
        *,
        options: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
        timeout_s: float = 120,
    ) -> list[UploadedRecord]:
        """Store files, a path or paths or bytes by name; several records may be among them.

        Needs the address `ingest` at `connect`. An unreadable record is a result with its reason.
        """
        if self._uploads is None:
            raise InvalidArgument("to upload, give the address of the ingest service: connect(…, ingest=…)")
        return self._uploads.send(contents(files), options, timeout_s=timeout_s)

    def _ready(self, model: str, left_s: float) -> bool:
        request = health_pb2.HealthCheckRequest(service=READY)
        serving = health_pb2.HealthCheckResponse.SERVING
        if self._call(self._health.Check, request, left_s).status != serving:
            return False
        return not model or self._call(self._raw.ModelReady, oip.ModelReadyRequest(name=model), left_s).ready

    def _call(self, method: Any, request: Any, timeout_s: float) -> Any:
        allowed_s = timeout_s or self._timeout_s
        return invoke_patiently(method, request, timeout_s=allowed_s, metadata=self._to.metadata)

    def _channel(self, addresses: tuple[str, ...]) -> grpc.Channel:
        to = self._to
        return open_channel(addresses, tls=to.tls, ca_file=to.ca_file, server_name=to.server_name)
