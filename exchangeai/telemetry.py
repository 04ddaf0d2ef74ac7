"""Logs as JSON lines, metrics for Prometheus, and the id that follows a request through both.

Log fields and metric labels come from an allow-list by construction: code passes ids, counts, states and
class names, never file names, header fields or free text of a recording.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from exchangeai.config import ConfigError, TelemetryConfig

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request or message that is being worked on; empty outside of one."""

RPCS = Counter("exchangeai_rpcs_total", "gRPC calls by method and status", ["method", "status"])
RPC_SECONDS = Histogram("exchangeai_rpc_seconds", "Duration of gRPC calls", ["method"])
WORK = Counter("exchangeai_work_total", "Messages of work queues by event and outcome", ["event", "outcome"])
WORK_SECONDS = Histogram("exchangeai_work_seconds", "Duration of handling a message", ["event"])
UPLOADS = Counter("exchangeai_uploads_total", "Uploaded records by format and outcome", ["format", "outcome"])
PREDICTIONS = Counter(
    "exchangeai_predictions_total", "Predictions by model and outcome", ["model", "outcome"]
)
SHADOWS = Counter(
    "exchangeai_shadow_answers_total",
    "Answers by what became of their comparison with the shadow: agreeing, differing, dropped or failed",
    ["model", "version", "outcome"],
)
SHADOW_DIFFERENCE = Histogram(
    "exchangeai_shadow_difference",
    "Greatest difference of a probability between an answer and the shadow's",
    ["model"],
    buckets=(0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0),
)
STAGE_SECONDS = Histogram("exchangeai_stage_seconds", "Time spent in a stage of the pipeline", ["stage"])
RUNS_ACTIVE = Gauge("exchangeai_runs_active", "Training runs being worked on")


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def start_telemetry(config: TelemetryConfig, service: str) -> None:
    """Send logs to stderr as JSON lines and open the metrics endpoint when a port is given."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.log_level)
    # The NATS client logs a traceback for each attempt to reconnect; the bus adapter says it once.
    logging.getLogger("nats").setLevel(logging.CRITICAL)
    if config.metrics_port:
        start_http_server(config.metrics_port, config.metrics_host)
    if config.otlp_endpoint:
        _start_traces(config.otlp_endpoint, service)


def _start_traces(endpoint: str, service: str) -> None:
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.grpc import (  # pyright: ignore[reportMissingTypeStubs]
            GrpcAioInstrumentorServer,  # pyright: ignore[reportUnknownVariableType]
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as e:
        raise ConfigError(
            "EXCHANGEAI_TELEMETRY_OTLP_ENDPOINT is set but the extra 'telemetry' is not installed"
        ) from e
    provider = TracerProvider(resource=Resource.create({"service.name": f"exchangeai-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    GrpcAioInstrumentorServer().instrument()


@contextmanager
def stage(name: str) -> Generator[None]:
    """Measure a stage of the pipeline."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(name).observe(time.perf_counter() - begin)
