"""The command `exchangeai`: run the platform, run one service, look after it."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchangeai import __version__, model_arguments, result_command, training_arguments
from exchangeai.plugins import names_in

SERVICES = ("ingest", "preprocess", "trainer", "inference", "ui")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="exchangeai", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything on this machine")
    up.add_argument("--data", type=Path, default=Path("data"), help="folder of the data (default: ./data)")
    up.add_argument("--port", type=int, default=8050, help="port of the user interface (default: 8050)")
    serve = commands.add_parser("serve", help="run one service, configured by the environment")
    serve.add_argument("service", choices=SERVICES)
    health = commands.add_parser("health", help="ask a gRPC service whether it is ready; exit status 0 if so")
    health.add_argument("address", help="host:port")
    _add_file_commands(commands)
    _add_import_command(commands)
    _add_labels_command(commands)
    result_command.add_results(commands)
    training_arguments.add_finetune(commands)
    training_arguments.add_compare(commands)
    training_arguments.add_runs(commands)
    model_arguments.add_models(commands)
    options = parser.parse_args(arguments)
    if options.command in ("inspect", "convert"):
        from exchangeai import file_commands

        return (
            file_commands.inspect(options) if options.command == "inspect" else file_commands.convert(options)
        )
    if options.command == "import":
        from exchangeai.import_command import import_files

        return import_files(options)
    if options.command == "labels":
        from exchangeai.label_commands import labels

        return labels(options)
    if options.command == "results":
        return result_command.results(options)
    if options.command in ("finetune", "compare", "runs"):
        from exchangeai import training_command

        return getattr(training_command, options.command)(options)
    if options.command == "models":
        return _list_models() if options.action == "list" else _exchange_models(options)
    if options.command == "up":
        # Found by name, so that the kernel does not import the services.
        local = importlib.import_module("services.local")
        return local.up(options.data, {**local.DEFAULT_PORTS, "ui": options.port})
    if options.command == "serve":
        return _serve(options.service)
    return _health(options.address)


def _add_file_commands(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="tell what ECG files hold")
    convert = commands.add_parser("convert", help="write ECG files in another format")
    for parser in (inspect, convert):
        parser.add_argument("source", nargs="+", type=Path, help="files, folders or archives")
        _add_reading_options(parser)
    inspect.add_argument("--json", action="store_true", help="one JSON object a record and line")
    convert.add_argument(
        "--to", required=True, choices=names_in("exchangeai.writers"), help="format to write"
    )
    convert.add_argument("--out", type=Path, required=True, help="folder for the files")


def _add_import_command(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="send ECG files in bulk to the platform",
        description="Send all ECGs of folders, files, archives and buckets to the ingest service. The "
        "report has a row for each record: read, warning (read, with something odd), duplicate (the same "
        "bytes, or the same signal from another file, were there) or refused, with the reason. A cut-off "
        "import goes on when the same command is run again. The report holds file names, which may be "
        "identities of persons: it stays on this machine, readable by you alone. Exit status: 0 all read, "
        "1 some refused, 2 wrong usage or no connection.",
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="folder (with all below, but no hidden files), file, zip, tar or gzip archive, or "
        "s3://BUCKET/PREFIX of the S3 store that EXCHANGEAI_STORE_URL, _ACCESS_KEY and _SECRET_KEY name",
    )
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the ingest service")
    parser.add_argument(
        "--report", type=Path, default=Path("import-report.csv"), help="default: ./import-report.csv"
    )
    parser.add_argument("--again", action="store_true", help="send again what the report has as refused")
    _add_reading_options(parser)


def _add_labels_command(commands: Any) -> None:
    parser = commands.add_parser("labels", help="write the label table of a public data set")
    parser.add_argument("set", choices=names_in("exchangeai.tables.published"))
    parser.add_argument("source", type=Path, help="what the set publishes: its folder")
    parser.add_argument("--out", type=Path, help="CSV file to write (default: standard output)")


def _add_reading_options(parser: Any) -> None:
    parser.add_argument("--rate", type=float, help="sampling rate in Hz, where the file does not say it")
    parser.add_argument("--unit", choices=("V", "mV", "uV"), help="unit, where the file does not say it")
    parser.add_argument("--unit-multiple", type=float, default=1.0, help="the samples count so many units")
    parser.add_argument("--leads", default="", help="lead names in the file's order, with commas: I,II,V1")
    parser.add_argument("--strict", action="store_true", help="refuse truncated files, wrong checksums")


def _exchange_models(options: argparse.Namespace) -> int:
    try:
        from exchangeai import model_command
    except ModuleNotFoundError as e:
        print(f"exchangeai models: {e.name} is missing; install exchangeai[inference]", file=sys.stderr)
        return 2
    return model_command.models(options)


def _list_models() -> int:
    try:
        print(importlib.import_module("services.trainer.architectures").table())
    except ModuleNotFoundError as e:
        print(f"exchangeai models: {e.name} is missing; install exchangeai[trainer]", file=sys.stderr)
        return 2
    return 0


def _serve(name: str) -> int:
    from exchangeai.config import ConfigError, from_env, masked
    from exchangeai.process import launch
    from exchangeai.telemetry import start_telemetry

    service = importlib.import_module(f"services.{name}.main")
    try:
        config = from_env(service.Config)
        start_telemetry(config.telemetry, name)
    except ConfigError as e:
        print(f"exchangeai serve {name}: {e}", file=sys.stderr)
        return 2
    log = logging.getLogger(__name__)
    log.info("starting", extra={"fields": {"config": masked(config), "version": __version__}})

    def announce(port: int) -> None:
        # What is there now stays; for the collector to look through it costs calls an eighth of their time.
        gc.collect()
        gc.freeze()
        log.info("listening", extra={"fields": {"port": port}})

    loop = getattr(service, "event_loop", None)
    return launch(lambda stop: service.run(config, stop, announce), loop)


def _health(address: str) -> int:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from exchangeai.errors import ExchangeaiError
    from exchangeai.rpc import invoke, open_channel

    with open_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = invoke(
                stub.Check,
                health_pb2.HealthCheckRequest(service="ready"),
                timeout_s=5,
            )
        except ExchangeaiError as e:
            print(f"{address}: {e}", file=sys.stderr)
            return 1
    ready = answer.status == health_pb2.HealthCheckResponse.SERVING
    print(f"{address}: {'ready' if ready else 'not ready'}")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
